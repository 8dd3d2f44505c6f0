//! Work that steps back behind those who serve.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinError,
};
use tokio_util::task::AbortOnDropHandle;

/// How far it steps back (nice value).
const NICE: i32 = 10;
/// Threads that may block at the same time: more read, hash and write than two cores can.
const BLOCKING_THREADS_MAX: usize = 8;

/// How long a runtime keeps an idle thread that may block: for good. Under a process limit no new one
/// can be made, and the work would wait for it without end.
const KEEP_ALIVE: Duration = Duration::from_hours(24 * 365);

/// Lowers the priority of this thread and of those that it starts.
fn step_back() {
    // Best effort: a container may forbid it, and the work is right without it.
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Does `work` on a new thread of low priority.
///
/// # Errors
/// The operating system gives no thread, most often because of a limit of processes.
pub fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let start = move || {
        step_back();
        work();
    };
    thread::Builder::new().name(name.to_owned()).spawn(start).map(drop)
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
        builder.worker_threads(1).max_blocking_threads(BLOCKING_THREADS_MAX);
        builder.thread_name("larder-background").on_thread_start(step_back);
        Ok(Self(Some(build_runtime(&mut builder)?)))
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
