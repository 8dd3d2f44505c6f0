//! How a process is told to end: a token that long-lived tasks wait on.

pub use tokio_util::sync::CancellationToken as Shutdown;
