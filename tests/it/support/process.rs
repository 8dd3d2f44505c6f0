//! The real binary as processes, which are signalled and killed by their id.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::interval;

use super::{
    admin,
    http::{Answer, Client, soon},
};

/// Time between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The log line of a server that listens.
const SERVES: &str = "larder serves";

/// Checks until `condition` gives something, at most until the deadline.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let mut polls = interval(POLL_INTERVAL);
    soon(what, async {
        loop {
            polls.tick().await;
            if let Some(found) = condition().await {
                return found;
            }
        }
    })
    .await
}

/// Checks until `is_so`; fails after the deadline.
pub(crate) async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    until(what, async || is_so().await.then_some(())).await;
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandOutput {
    /// Fails unless the command ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The JSON value on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Both outputs.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs `larder` to its end in `directory`, whose configuration is `larder.toml`.
pub(crate) fn larder(directory: &Path, arguments: &[&str]) -> CommandOutput {
    run(command(directory, &[], arguments))
}

/// `larder` in `directory`, behind the program and arguments of `wrapper`. Of the environment of the
/// tests it gets `PATH` only.
pub(crate) fn command(directory: &Path, wrapper: &[&str], arguments: &[&str]) -> Command {
    let words: Vec<&str> = [wrapper, &[env!("CARGO_BIN_EXE_larder")], arguments].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(directory).stdin(Stdio::null());
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

pub(super) fn run(mut command: Command) -> CommandOutput {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("commands print UTF-8");
    CommandOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A process that is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    /// Its working directory.
    directory: PathBuf,
    /// An admin key that it takes, once one was found.
    admin_key: Option<String>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` and collects what it prints.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let directory = command.get_current_dir().unwrap().to_owned();
        let mut child = command.spawn().unwrap();
        let (stdout, out) = collect(child.stdout.take().unwrap());
        let (stderr, err) = collect(child.stderr.take().unwrap());
        Self { child, directory, admin_key: None, stdout, stderr, readers: vec![out, err] }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; returns when the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(crate) async fn wait(mut self) -> CommandOutput {
        let child = &mut self.child;
        let status = until("end of a process", async || child.try_wait().unwrap()).await;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        CommandOutput { code: status.code(), stdout: self.stdout(), stderr: self.log() }
    }

    /// The lines that it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// The lines that it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Checks until `condition` gives something; fails when the process ends first.
    pub(crate) async fn until<T>(&mut self, what: &str, condition: impl Fn(&Self) -> Option<T>) -> T {
        until(what, async || {
            let is_running = self.is_running();
            let found = condition(self);
            assert!(found.is_some() || is_running, "the process ended before {what}: {}", self.log());
            found
        })
        .await
    }

    /// Waits for a line of a log of JSON; its fields.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        self.until(message, |process| {
            let log = process.log();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find_map(|line| {
                [&line, &line["fields"]].into_iter().find(|fields| fields["message"] == message).cloned()
            })
        })
        .await
    }

    /// Waits until the process handles the interrupt signal.
    pub(crate) async fn interruptible(&mut self) {
        let interrupt = 1_u64 << (Signal::INT.as_raw() - 1);
        self.until("handler of the interrupt", |process| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            (u64::from_str_radix(caught.trim(), 16).ok()? & interrupt != 0).then_some(())
        })
        .await;
    }

    /// The address of the listener `public` or `admin`, once the server has logged it as text or JSON.
    fn address(&self, listener: &str) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(SERVES))?;
        let (_, after) =
            line.split_once(&format!("{listener}=")).or(line.split_once(&format!("\"{listener}\":\"")))?;
        after.split([' ', '"']).next()?.parse().ok()
    }

    /// Where records are served, when that is known by now.
    pub(crate) fn public(&self) -> Option<SocketAddr> {
        self.address("public")
    }

    /// Where records are served.
    pub(crate) async fn listening(&mut self) -> SocketAddr {
        self.until(SERVES, Self::public).await
    }

    /// Where metrics are served.
    pub(crate) async fn admin(&mut self) -> SocketAddr {
        self.until(SERVES, |process| process.address("admin")).await
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) {
        self.listening().await;
        until("readiness", async || (self.ask("/readyz").await.status == 200).then_some(())).await;
    }

    /// A request on a connection of its own, without a key.
    pub(crate) async fn ask(&self, target: &str) -> Answer {
        Client::connect(self.public().unwrap()).await.ask("GET", target, "").await
    }

    /// Reads a record.
    pub(crate) async fn get(&self, key: &str, collection: &str, value: impl std::fmt::Display) -> Answer {
        let target = format!("/v1/collections/{collection}/records/id/{value}");
        let bearer = format!("Authorization: Bearer {key}\r\n");
        Client::connect(self.public().unwrap()).await.ask("GET", target, &bearer).await
    }

    /// `GET /status`.
    pub(crate) async fn status(&mut self) -> Value {
        self.ask_admin("/status").await.json()
    }

    /// `GET` on the admin listener, with an admin key of the directory.
    pub(crate) async fn ask_admin(&mut self, target: &str) -> Answer {
        let address = self.admin().await;
        let key = match &self.admin_key {
            Some(key) => key.clone(),
            None => self.admin_key.insert(admin::key(address, &self.directory).await).clone(),
        };
        admin::ask(address, &key, "GET", target, None).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads whole lines on a thread of its own: a process must never wait for its pipe.
fn collect(pipe: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::<Mutex<String>>::default();
    let (kept, mut pipe) = (text.clone(), BufReader::new(pipe));
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        while pipe.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            kept.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    (text, reader)
}

/// The version that an answer names.
pub(crate) fn version(answer: &Answer) -> u64 {
    answer.header("x-data-version").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}
