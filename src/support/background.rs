//! Work of lower priority than serving.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinError,
};
use tokio_util::task::AbortOnDropHandle;

/// Nice value of threads that do such work.
const NICE: i32 = 10;
/// Blocking threads of the runtime: more read, hash and write at once than two cores can.
const BLOCKING_THREADS_MAX: usize = 8;

/// How long a runtime keeps an idle blocking thread: for good. Under a process limit no new one can be
/// made, and the work would wait for it without end.
const KEEP_ALIVE: Duration = Duration::from_hours(24 * 365);

/// Lowers the priority of this thread and of those that it starts.
fn lower_priority() {
    // Best effort: a container may forbid it, and the work is correct without it.
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Does `work` on a new thread of low priority. The result arrives on the receiver, which is closed without
/// one when `work` panics. Dropping the receiver does not end `work`.
///
/// # Errors
/// The operating system gives no thread, most often because of a limit of processes.
pub fn spawn_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (sender, result) = oneshot::channel();
    let start = move || {
        lower_priority();
        // A caller that was cancelled wants no result.
        let _ = sender.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(start)?;
    Ok(result)
}

/// Builds a runtime of several threads that has a thread for blocking work from the start.
///
/// # Errors
/// The operating system gives no thread.
pub fn build_runtime(builder: &mut Builder) -> io::Result<Runtime> {
    // Tokio panics when it gets no thread, so try first.
    thread::Builder::new().spawn(|| ())?.join().map_err(|_| io::ErrorKind::Other)?;
    let runtime = builder.enable_all().thread_keep_alive(KEEP_ALIVE).build()?;
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// Does `work` in another runtime. Dropping the future ends it.
///
/// # Errors
/// When `work` panics or the other runtime is shut down.
pub async fn run_on<F>(runtime: &Handle, work: F) -> Result<F::Output, JoinError>
where
    F: Future<Output: Send> + Send + 'static,
{
    AbortOnDropHandle::new(runtime.spawn(work)).await
}

/// A runtime whose threads all have low priority, the blocking ones included. Dropping it does not wait for
/// its work.
#[derive(Debug)]
pub struct BackgroundRuntime(Option<Runtime>);

impl BackgroundRuntime {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(BLOCKING_THREADS_MAX);
        builder.thread_name("larder-background").on_thread_start(lower_priority);
        Ok(Self(Some(build_runtime(&mut builder)?)))
    }

    /// A handle to spawn work on it.
    pub fn handle(&self) -> Handle {
        self.0.as_ref().expect("the runtime leaves in drop only").handle().clone()
    }
}

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
