//! When a TCP connection without an answer is given up.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// When a connection without an answer is given up. Linux needs 54 s by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) is_on: bool,
    /// Silence before the first probe.
    pub(crate) idle: Duration,
    /// Time between probes.
    pub(crate) interval: Duration,
    /// Probes without an answer.
    pub(crate) count: u32,
    /// Longest time for sent data to be acknowledged; zero leaves it to the system.
    pub(crate) user_timeout: Duration,
}

impl Default for Keepalive {
    /// NAT gateways forget a silent connection after 240 s or more.
    fn default() -> Self {
        Self {
            is_on: true,
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(8),
            count: 3,
            user_timeout: Duration::from_secs(50),
        }
    }
}

impl Keepalive {
    /// Sets the options of a connection.
    pub(crate) fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        if self.is_on {
            let probes = TcpKeepalive::new().with_time(self.idle).with_interval(self.interval);
            socket.set_tcp_keepalive(&probes.with_retries(self.count))?;
        }
        // Linux only, as in libpq.
        #[cfg(target_os = "linux")]
        if self.is_on && !self.user_timeout.is_zero() {
            socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        }
        Ok(())
    }
}
