//! The real binary: sites with a store and a warehouse, seats with a configuration, processes that
//! are signalled and killed by their id.

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
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::time::interval;

use super::http::{Answer, Client, soon};

/// Time between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);

/// Looks until `condition` gives something, at most until the deadline.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let mut look = interval(LOOK);
    soon(what, async {
        loop {
            look.tick().await;
            if let Some(found) = condition().await {
                return found;
            }
        }
    })
    .await
}

/// A directory with a store, a metadata file and warehouses, shared by its seats.
pub(crate) struct Site {
    root: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { root: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs SQL on the SQLite file `name`.
    pub(crate) async fn execute(&self, name: &str, sql: &str) {
        let mut connection = self.connect(name).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The first column of the first row that `sql` finds in the SQLite file `name`.
    pub(crate) async fn text(&self, name: &str, sql: &'static str) -> Option<String> {
        let mut connection = self.connect(name).await;
        let row = sqlx::query(sql).fetch_optional(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.map(|row| row.get(0))
    }

    async fn connect(&self, name: &str) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path(name)).create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// A seat with `data_dir` `name`, beside others on the same store and metadata file.
    pub(crate) fn seat(&self, name: &str, sections: &str) -> Seat {
        self.seat_with_metadata(name, "sqlite:./metadata.db", sections)
    }

    pub(crate) fn seat_with_metadata(&self, name: &str, metadata: &str, sections: &str) -> Seat {
        let frame = format!(
            "[node]\ndata_dir = \"{name}\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
             admin_listen = \"127.0.0.1:0\"\n[storage]\nurl = \"file:./store\"\npoll_interval = \"50ms\"\n\
             [metadata]\nurl = \"{metadata}\"\n[log]\nformat = \"json\"\n"
        );
        self.seat_from(name, frame, sections)
    }

    /// A seat whose configuration is `frame` and `sections`.
    pub(crate) fn seat_from(&self, name: &str, frame: String, sections: &str) -> Seat {
        let (root, config) = (self.root.path().to_owned(), self.path(&format!("{name}.toml")));
        let seat = Seat { root, config, frame };
        seat.configure(sections);
        seat
    }

    /// Catalog documents in the order of their numbers.
    pub(crate) fn catalog(&self) -> Vec<Value> {
        let mut names: Vec<_> =
            files(&self.path("store/catalog")).into_iter().filter(|path| ends_with(path, ".json")).collect();
        names.sort();
        names.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }

    /// Manifest, as the newest document names it.
    pub(crate) fn manifest(&self, collection: &str) -> Value {
        let document = self.catalog().pop().unwrap();
        let object = document["collections"][collection]["manifest"].as_str().unwrap();
        serde_json::from_slice(&std::fs::read(self.path("store").join(object)).unwrap()).unwrap()
    }

    /// The version that the newest document names.
    pub(crate) fn announced(&self, collection: &str) -> Option<u64> {
        self.catalog().pop()?["collections"][collection]["version"].as_u64()
    }
}

/// Files directly in a directory; none when there is no directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

pub(crate) fn ends_with(path: &Path, end: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(end))
}

/// A configuration file, from which processes start.
pub(crate) struct Seat {
    root: PathBuf,
    config: PathBuf,
    frame: String,
}

impl Seat {
    /// Writes the configuration anew.
    pub(crate) fn configure(&self, sections: &str) {
        std::fs::write(&self.config, format!("{}{sections}", self.frame)).unwrap();
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Process {
        self.spawn_with(arguments, &[])
    }

    pub(crate) fn spawn_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).arg("--config").arg(&self.config).current_dir(&self.root);
        command.envs(variables.iter().copied());
        Process::spawn(command)
    }

    /// Spawns by way of `wrapper`, a program and arguments that put another program in its own place.
    pub(crate) fn spawn_within(&self, wrapper: &[&str], arguments: &[&str]) -> Process {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).arg("--config").arg(&self.config).current_dir(&self.root);
        Process::spawn(command)
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Done {
        self.spawn(arguments).ended().await
    }

    /// Runs a command that must succeed; its stdout.
    pub(crate) async fn output(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments).await;
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
        done.stdout
    }

    /// A server that is ready.
    pub(crate) async fn serve(&self) -> Process {
        self.serve_with(&[]).await
    }

    pub(crate) async fn serve_with(&self, variables: &[(&str, &str)]) -> Process {
        let mut server = self.spawn_with(&["serve"], variables);
        server.ready().await;
        server
    }

    /// A new key for every collection.
    pub(crate) async fn key(&self) -> String {
        self.output(&["keys", "create", "--name", "test", "--all-collections"]).await.trim().to_owned()
    }

    /// Runs, newest first, all of them.
    pub(crate) async fn runs(&self) -> Vec<Value> {
        let text = self.output(&["runs", "--json", "--limit", "1000"]).await;
        serde_json::from_str(&text).unwrap()
    }
}

/// A process that is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    stdout: Arc<Mutex<String>>,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (stdout, lines) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (text, kept) = (stdout.clone(), lines.clone());
        let readers = vec![
            std::thread::spawn(move || {
                let mut all = String::new();
                let _ = out.read_to_string(&mut all);
                *text.lock().unwrap() = all;
            }),
            std::thread::spawn(move || {
                for line in BufReader::new(err).lines().map_while(Result::ok) {
                    kept.lock().unwrap().push(line);
                }
            }),
        ];
        Self { child, stdout, lines, readers }
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
    pub(crate) async fn ended(mut self) -> Done {
        let child = &mut self.child;
        let status = until("end of a process", async || child.try_wait().unwrap()).await;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let stdout = self.stdout.lock().unwrap().clone();
        Done { code: status.code(), stdout, stderr: self.lines.lock().unwrap().join("\n") }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The fields of the first log line with this message that has come by now.
    fn line(&self, message: &str) -> Option<Value> {
        let lines = self.lines.lock().unwrap();
        let mut parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.find_map(|line| {
            [&line, &line["fields"]].into_iter().find(|fields| fields["message"] == message).cloned()
        })
    }

    /// Waits for a log line; its fields.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        until(message, async || {
            let found = self.line(message);
            assert!(found.is_some() || self.is_running(), "the process ended: {}", self.log());
            found
        })
        .await
    }

    /// Where records are served, when that is known by now.
    pub(crate) fn public(&self) -> Option<SocketAddr> {
        Some(self.line("larder serves")?["public"].as_str().unwrap().parse().unwrap())
    }

    /// Where metrics are served.
    pub(crate) async fn admin(&mut self) -> SocketAddr {
        self.logged("larder serves").await["admin"].as_str().unwrap().parse().unwrap()
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) {
        self.logged("larder serves").await;
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
        let admin = self.admin().await;
        Client::connect(admin).await.ask("GET", "/status", "").await.json()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The version that an answer names.
pub(crate) fn version(answer: &Answer) -> u64 {
    answer.header("x-data-version").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}
