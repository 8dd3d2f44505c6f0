//! The worker as its parent sees it: a child process with bounded time and memory.

use std::{
    io,
    path::PathBuf,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{sleep, timeout},
};
use tracing::Level;

use super::{fault, frame::Frame, job::Job, kinds::Kind};
use crate::source::error::{Error, cause};

/// The command of this program that is a worker.
const COMMAND: &str = "source-worker";
/// How often the worker's process is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a worker may take to cancel its query and end.
const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// Threads of a driver in Go that run at a time: as few as serve beside it.
const GO_THREADS_MAX: &str = "2";
/// The share of the memory bound from which a driver in Go collects garbage harder, in percent.
const GO_MEMORY_PERCENT: u64 = 75;

/// What errors say of a worker.
pub(super) struct Process {
    pub(super) kind: &'static Kind,
    pub(super) driver: PathBuf,
    /// Texts that no message may show.
    pub(super) secrets: Vec<String>,
}

/// A worker that has a job. Dropped before its end, its query is cancelled, and it is killed when that takes too long.
pub(super) struct Worker {
    process: Process,
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    memory_bytes_max: u64,
}

impl Worker {
    /// Starts a worker and waits until its database is open.
    pub(super) async fn start(
        job: &Job,
        process: Process,
        memory_bytes_max: u64,
        connect_timeout: Duration,
    ) -> Result<Self, Error> {
        let mut worker =
            Self::spawn(process, memory_bytes_max).map_err(|error| fault::not_started(&error))?;
        let mut job = serde_json::to_vec(job).map_err(|error| fault::not_started(&error.into()))?;
        job.push(b'\n');
        if let Some(stdin) = &mut worker.stdin {
            // A worker that ended early says more by its end.
            let _ = stdin.write_all(&job).await;
        }
        let connected = timeout(connect_timeout, worker.next()).await.map_err(|_| {
            let limit = connect_timeout.as_millis();
            Error::new(cause::CONNECT_TIMEOUT, format!("the driver did not connect within {limit} ms"))
                .with_hint(
                    "check the source's address, and firewalls on the way; or raise its connect_timeout",
                )
        })?;
        match connected? {
            Frame::Connected => Ok(worker),
            _ => Err(worker.confused()),
        }
    }

    fn spawn(process: Process, memory_bytes_max: u64) -> io::Result<Self> {
        // What a driver prints may hold a row's value, so it is shown on demand only.
        let prints = tracing::enabled!(Level::DEBUG);
        let mut child = Command::new("/proc/self/exe")
            .arg(COMMAND)
            .env("GOMAXPROCS", GO_THREADS_MAX)
            .env("GOMEMLIMIT", (memory_bytes_max / 100 * GO_MEMORY_PERCENT).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if prints { Stdio::inherit() } else { Stdio::null() })
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { process, child: Some(child), stdin, stdout: BufReader::new(stdout), memory_bytes_max })
    }

    /// The next frame; never [`Frame::Failed`], which is the error.
    pub(super) async fn next(&mut self) -> Result<Frame, Error> {
        let pid = self.child.as_ref().and_then(Child::id);
        let frame = {
            let mut frame = pin!(Frame::read(&mut self.stdout));
            loop {
                tokio::select! {
                    frame = &mut frame => break Ok(frame),
                    () = sleep(LOOK_INTERVAL) => {
                        let looked = pid.and_then(State::of).map_or(Ok(()), |state| {
                            state.check(&self.process, self.memory_bytes_max)
                        });
                        if let Err(error) = looked {
                            break Err(error);
                        }
                    }
                }
            }
        };
        let frame = frame.inspect_err(|_| self.kill())?;
        match frame {
            Ok(Frame::Failed(failure)) => Err(fault::of(&failure, &self.process)),
            Ok(frame) => Ok(frame),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.ended().await),
            Err(_) => Err(self.confused()),
        }
    }

    /// Waits for the frame that says that all went well.
    pub(super) async fn end(&mut self) -> Result<(), Error> {
        match self.next().await? {
            Frame::End => Ok(()),
            _ => Err(self.confused()),
        }
    }

    /// The error of a frame that was not due.
    pub(super) fn confused(&mut self) -> Error {
        self.kill();
        fault::confused(&self.process)
    }

    /// The error of a worker that ended without a last frame.
    async fn ended(&mut self) -> Error {
        let status = match &mut self.child {
            Some(child) => timeout(FAREWELL_MAX, child.wait()).await.ok().and_then(Result::ok),
            None => None,
        };
        fault::crashed(&self.process, &status.map_or_else(|| "its output was closed".to_owned(), describe))
    }

    fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input tells the worker to cancel.
        self.stdin = None;
        let child = self.child.take();
        if let (Some(mut child), Ok(runtime)) = (child, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if timeout(FAREWELL_MAX, child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
            });
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, code) => format!("exit code {}", code.unwrap_or_default()),
    }
}

/// What Linux says of a process: `proc_pid_status(5)`.
#[derive(Debug, PartialEq, Eq)]
struct State {
    /// Whether a signal has stopped it, and nothing has continued it.
    is_stopped: bool,
    resident_bytes: u64,
}

impl State {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let value = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let kibibytes: u64 = value("VmRSS:")?.strip_suffix(" kB")?.trim().parse().ok()?;
        Some(Self { is_stopped: value("State:")?.starts_with('T'), resident_bytes: kibibytes * 1024 })
    }

    /// Whether a worker in this state may go on.
    fn check(&self, process: &Process, memory_bytes_max: u64) -> Result<(), Error> {
        if self.resident_bytes > memory_bytes_max {
            return Err(fault::too_large(process, memory_bytes_max));
        }
        // It would never answer, and nobody would see why.
        if self.is_stopped {
            return Err(fault::crashed(process, "a signal stopped it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_of_a_process_is_known() {
        let state = State::of(std::process::id()).unwrap();
        assert!(state.resident_bytes > 0 && !state.is_stopped);
        for (letter, is_stopped) in
            [("S (sleeping)", false), ("T (stopped)", true), ("t (tracing stop)", false)]
        {
            let status = format!("Name:\tlarder\nState:\t{letter}\nVmRSS:\t    2048 kB\n");
            assert_eq!(State::parse(&status), Some(State { is_stopped, resident_bytes: 2 << 20 }));
        }
        // A process that has ended has no memory.
        assert_eq!(State::parse("State:\tZ (zombie)\n"), None);
    }
}
