//! The shutdown signal: a token that long-lived tasks wait for.

pub use tokio_util::sync::CancellationToken as Shutdown;
