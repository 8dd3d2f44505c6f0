//! Blocking work: file I/O, and computations that occupy a processor for long.
//!
//! The executor is not injected. It follows from the runtime: store, disk, catalog and replica do blocking work in
//! functions that share no handle, and all of them would have to pass an executor on.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{spawn_blocking, yield_now},
};

/// Runs `work` on the blocking threads of the runtime and returns its result; `None` when the runtime is
/// shutting down. A panic of `work` continues in the caller.
///
/// A single-threaded runtime runs `work` in place, between two other tasks. The order of events then depends on
/// the program alone, which simulations need.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        yield_now().await;
        return Some(work());
    }
    match spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
