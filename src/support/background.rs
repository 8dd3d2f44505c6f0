//! Work that steps back behind those who serve.

use std::io;

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinError,
};
use tokio_util::task::AbortOnDropHandle;

/// How far it steps back (nice value).
const NICE: i32 = 10;
/// Threads that may block at the same time: more read, hash and write than two cores can.
const BLOCKING_THREADS_MAX: usize = 8;

/// Lowers the priority of this thread and of those that it starts.
pub fn step_back() {
    // Best effort: a container may forbid it, and the work is right without it.
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Does `work` in another runtime. It ends when the caller gives up; an error when it breaks off.
pub async fn run_on<F>(runtime: &Handle, work: F) -> Result<F::Output, JoinError>
where
    F: Future<Output: Send> + Send + 'static,
{
    AbortOnDropHandle::new(runtime.spawn(work)).await
}

/// A runtime whose threads have all stepped back, those that may block among them. Its work is not waited
/// for when it is dropped.
#[derive(Debug)]
pub struct Background(Option<Runtime>);

impl Background {
    /// Starts the threads; an error when the system gives none.
    pub fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(BLOCKING_THREADS_MAX).enable_all();
        let runtime = builder.thread_name("larder-background").on_thread_start(step_back).build()?;
        Ok(Self(Some(runtime)))
    }

    /// What gives it work.
    pub fn handle(&self) -> Handle {
        self.0.as_ref().expect("the runtime leaves in drop only").handle().clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
