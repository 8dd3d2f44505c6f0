//! Liquid engines as child processes: templates in, rendered messages out.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::soon;

const NO_RUBY: &str = "`ruby` cannot be run. These tests need Ruby with Shopify's Liquid: \
                       run scripts/test.sh as root, or apt-get install ruby ruby-liquid";
const NO_NODE: &str = "`node` cannot be run. These tests need Node.js with npm: \
                       run scripts/test.sh as root, or apt-get install nodejs npm";
const NO_BRAZEJS: &str = "brazejs is not installed in target/clients, or not as it is pinned: run scripts/test.sh, or: \
                          mkdir -p target/clients && cp tests/it/clients/package*.json target/clients \
                          && npm --prefix target/clients ci --ignore-scripts";

/// A program that renders Liquid and has a `connected_content` tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// Debian's `ruby-liquid`, Shopify's own, with the tag of `connected_content.rb`.
    Ruby,
    /// `brazejs` of npm, with its own tag.
    Brazejs,
}

/// The outcome of one template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rendered {
    /// The message; none when it was aborted.
    pub(super) output: Option<String>,
    /// Why the message is not sent.
    pub(super) aborted: Option<String>,
    /// The HTTP calls, in their order.
    pub(super) calls: Vec<Call>,
}

/// An HTTP call of a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) method: String,
    /// None when there was no answer in time.
    pub(super) status: Option<u16>,
    /// The answer's `Content-Encoding`.
    pub(super) encoding: Option<String>,
    /// Why there is no answer.
    #[serde(default)]
    pub(super) failure: Option<String>,
}

impl Engine {
    /// Renders each job (`template`, `variables`, `secrets`) in one process, in their order.
    pub(super) async fn render(self, jobs: &[Value]) -> Vec<Rendered> {
        let directory = TempDir::new().unwrap();
        let input = directory.path().join("jobs");
        let lines: Vec<_> = jobs.iter().map(|job| format!("{job}\n")).collect();
        fs::write(&input, lines.concat()).unwrap();
        let mut command = self.command();
        command.stdin(File::open(&input).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let missing = if self == Self::Ruby { NO_RUBY } else { NO_NODE };
        let child = command.spawn().unwrap_or_else(|error| panic!("{missing} ({error})"));
        let kill = KillOnDrop(Some(Pid::from_child(&child)));
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = soon("end of the engine", ended).await.unwrap().unwrap();
        kill.disarm();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} ended with {}: {stderr}", output.status);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let rendered: Vec<_> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rendered.len(), jobs.len(), "{self:?} skipped templates: {stderr}");
        rendered
    }

    fn command(self) -> Command {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients");
        let mut command = match self {
            Self::Ruby => Command::new("ruby"),
            Self::Brazejs => Command::new("node"),
        };
        // Not the proxies, options and time zone of the environment.
        command.env_clear().env("TZ", "UTC").env("LANG", "C.UTF-8");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        match self {
            Self::Ruby => command.arg(scripts.join("render.rb")),
            Self::Brazejs => command.arg(scripts.join("render.mjs")).arg(installed(&scripts)),
        };
        command
    }
}

/// Where brazejs is installed, exactly as it is pinned.
fn installed(scripts: &Path) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    let lock = |directory: &Path| fs::read(directory.join("package-lock.json")).ok();
    // npm writes this one when it has finished.
    let complete = directory.join("node_modules/.package-lock.json").exists();
    assert!(complete && lock(&directory) == lock(scripts), "{NO_BRAZEJS}");
    directory
}

/// A process that does not outlive a test that gave up on it.
struct KillOnDrop(Option<Pid>);

impl KillOnDrop {
    /// The process has ended: its id may be another's now.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
