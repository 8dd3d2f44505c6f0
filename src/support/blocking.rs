//! Work that blocks: files, and what takes a processor for long.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{spawn_blocking, yield_now},
};

/// Runs `work` on the threads that may block and returns what it returned; `None` when the runtime is
/// ending. A panic goes on in the caller.
///
/// A runtime of one thread has it done by that thread, between two other tasks: then everything happens
/// in an order that follows from the program alone, which is what simulations are made of.
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
