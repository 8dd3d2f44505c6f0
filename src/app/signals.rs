//! Signals of the operating system.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives SIGTERM, SIGINT and SIGHUP from its creation on.
pub struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Starts to listen. A signal that cannot be handled keeps its default effect.
    pub fn new() -> Self {
        let listen = |kind| signal(kind).ok();
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
            hang_up: listen(SignalKind::hangup()),
        }
    }

    /// Waits until the process is asked to end.
    pub async fn stop(&mut self) {
        tokio::select! {
            () = next(&mut self.terminate) => {}
            () = next(&mut self.interrupt) => {}
        }
    }

    /// Waits until the process is asked to end, or to read its configuration again; whether it is the latter.
    pub async fn stop_or_reload(&mut self) -> bool {
        tokio::select! {
            () = next(&mut self.terminate) => false,
            () = next(&mut self.interrupt) => false,
            () = next(&mut self.hang_up) => true,
        }
    }
}

impl Default for Signals {
    fn default() -> Self {
        Self::new()
    }
}

async fn next(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}
