//! The real binary, in a directory of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::node::Warehouse;

/// Nothing in a test waits longer than this.
const DEADLINE: Duration = Duration::from_secs(30);

/// A directory with a SQLite warehouse and `larder.toml`.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Place {
    /// A warehouse of `sql`, and a configuration of listeners, source and `sections`.
    pub(crate) async fn new(sql: &str, sections: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let warehouse = Warehouse::sqlite(directory.path());
        warehouse.execute(sql).await;
        let place = Self { directory };
        let frame = super::node::frame(&warehouse);
        place.write("larder.toml", &format!("{frame}{sections}"));
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) async fn execute(&self, sql: &str) {
        Warehouse::sqlite(self.path()).execute(sql).await;
    }

    /// The binary in this directory, with no variable of ours set.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    /// Runs the binary to its end, with variables set.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Starts the binary; what it writes goes to files.
    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        self.spawn(command)
    }

    /// Starts the binary through a shell that runs `before` first.
    pub(crate) fn start_after(&self, before: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Running {
        let unused = |name: &str| {
            (0..1000)
                .map(|number| self.path().join(format!("{name}.{number}")))
                .find(|path| !path.exists())
                .unwrap()
        };
        let (stdout, stderr) = (unused("stdout"), unused("stderr"));
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Running { child: command.spawn().unwrap(), stdout, stderr }
    }

    /// Every file below `name`, with its length.
    pub(crate) fn files(&self, name: &str) -> Vec<(PathBuf, u64)> {
        fn walk(directory: &Path, found: &mut Vec<(PathBuf, u64)>) {
            let Ok(entries) = fs::read_dir(directory) else { return };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    let length = path.metadata().unwrap().len();
                    found.push((path, length));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path().join(name), &mut found);
        found.sort();
        found
    }
}

impl Ran {
    /// Fails unless the command ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// What stands on stdout, which must be one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has written so far.
    pub(crate) fn written(&self) -> (String, String) {
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        (read(&self.stdout), read(&self.stderr))
    }

    /// Waits until `seen` finds something; fails when the process ends first.
    pub(crate) fn await_that<T>(&mut self, what: &str, mut seen: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let ended = self.child.try_wait().unwrap();
            if let Some(found) = seen(self) {
                return found;
            }
            assert!(ended.is_none(), "ended before {what}: {ended:?} {:?}", self.written());
            assert!(Instant::now() < deadline, "no {what} within {DEADLINE:?}: {:?}", self.written());
            pause();
        }
    }

    /// Waits until the process catches the interrupt signal instead of dying of it.
    pub(crate) fn await_interruptible(&mut self) {
        let interrupt = 1_u64 << (Signal::INT.as_raw() - 1);
        self.await_that("handler of the interrupt", |running| {
            let status = fs::read_to_string(format!("/proc/{}/status", running.id())).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            (u64::from_str_radix(caught.trim(), 16).ok()? & interrupt != 0).then_some(())
        });
    }

    /// The address of a listener (`public` or `admin`), from the log line of the start.
    pub(crate) fn address(&mut self, listener: &str) -> std::net::SocketAddr {
        let listener = listener.to_owned();
        self.await_that("log line of the start", |running| {
            let (_, log) = running.written();
            let line = log.lines().find(|line| line.contains("larder serves"))?;
            let after =
                &line[line.find(&format!("{listener}=")).or(line.find(&format!("\"{listener}\":")))?..];
            let from = &after[after.find(|character: char| character.is_ascii_digit())?..];
            let end = from
                .find(|character: char| !matches!(character, '0'..='9' | '.' | ':'))
                .unwrap_or(from.len());
            from[..end].parse().ok()
        })
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let mut status = None;
        let deadline = Instant::now() + DEADLINE;
        while status.is_none() {
            assert!(Instant::now() < deadline, "no end within {DEADLINE:?}: {:?}", self.written());
            pause();
            status = self.child.try_wait().unwrap();
        }
        let (stdout, stderr) = self.written();
        Ran { code: status.and_then(|status| status.code()), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Between two looks at a condition that has a deadline.
#[expect(clippy::disallowed_methods, reason = "a process of its own gives no event to wait for")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
