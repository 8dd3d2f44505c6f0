//! Gives up a connection over which nothing comes any more although the server has answered, and waits for a query
//! that is only slow.
//!
//! Keepalives notice a network that is gone. They do not notice a proxy that keeps the connection and forwards
//! nothing. So after some silence the server is asked, over another connection, what it is doing for this one.

use std::time::Duration;

use super::error::{Error, connection_lost};
use crate::support::relay::Link;

/// Answers in a row without which a connection is given up: the first may have crossed the server's.
const MISSES_MAX: u32 = 2;

/// Returns when nothing has come from `address` over `link` for `idle`, and `works` has said twice, an `interval`
/// apart, that the server does not work for the connection.
pub(super) async fn lost<F: Future<Output = bool>>(
    link: &Link,
    address: &str,
    idle: Duration,
    interval: Duration,
    works: impl Fn() -> F,
) -> Error {
    let mut misses = 0;
    loop {
        let silence = link.silence();
        if silence < idle {
            misses = 0;
            tokio::time::sleep(idle.saturating_sub(silence)).await;
            continue;
        }
        misses = if works().await { 0 } else { misses + 1 };
        let silence = link.silence();
        if misses >= MISSES_MAX && silence >= idle {
            return connection_lost(format_args!(
                "nothing came from {address} for {} s, and it is not working on the query",
                silence.as_secs()
            ));
        }
        tokio::time::sleep(interval).await;
    }
}
