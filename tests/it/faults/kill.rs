//! `kill -9` at random moments of syncs, while rows change. Afterwards the node serves one complete state of the
//! warehouse that a run had announced, and never an older one than before.
//!
//! Every state of the warehouse has a generation number. In the table `whole` every row has it. In `part` a tenth of
//! the rows has it, so that changes are small and accumulate, and so has one row's key, the guest's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use larder::support::{random, shutdown::Shutdown};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{task::JoinHandle, time::interval};

use crate::support::http::{Answer, Client};
use crate::support::{
    deployment::{Deployment, NodeDirectory},
    process::{Process, until, version},
};

const COLLECTIONS: [&str; 2] = ["whole", "part"];
/// Rows of each table, without the guest.
const ROWS: i64 = 30;
/// The first key of guests. Only the guest of the newest generation is in `part`.
const GUESTS: i64 = 1_000_000;
/// Time between two generations.
const GENERATION: Duration = Duration::from_millis(20);
/// Kills of each kind of process.
const SERVER_KILLS: u64 = 10;
const COMMAND_KILLS: u64 = 14;

/// The state after nine generations: each row of `part` was updated once.
const TABLES: &str = "
    create table whole (id integer primary key, seen integer, payload text);
    create table part (id integer primary key, seen integer, payload text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 30)
    insert into whole select i, 9, '' from n;
    insert into part select id, id % 10, '' from whole;
    insert into part values (1000009, 9, '');
    update whole set payload = printf('%.*c', 200, 'x') || seen;
    update part set payload = printf('%.*c', 200, 'x') || seen;
";

fn sections(schedule: &str) -> String {
    let of = |name: &str| {
        format!(
            "[models.{name}]\nsource = \"warehouse\"\nsql = \"select * from {name}\"\nprimary_key = \"id\"\n\
             [syncs.{name}]\nmodel = \"{name}\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
        )
    };
    let [whole, part] = COLLECTIONS.map(of);
    format!("[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n{whole}{part}")
}

/// The value of row `id` of `collection` in a generation.
fn expected(collection: &str, id: i64, generation: i64) -> i64 {
    match collection {
        "whole" => generation,
        _ if id >= GUESTS => id - GUESTS,
        _ => generation - (generation - id).rem_euclid(10),
    }
}

/// Random numbers that a seed determines.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("FAULTS_SEED").map_or_else(|_| random::seed(), |seed| seed.parse().unwrap());
        println!("FAULTS_SEED={seed}");
        Self(seed)
    }

    /// A number below `bound`, by splitmix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// When a process is killed.
enum KillMoment {
    After(Duration),
    /// When the store has this many more files and directories.
    Objects(usize),
}

impl KillMoment {
    fn choose(dice: &mut Dice, longest_ms: u64) -> Self {
        match dice.below(2) {
            0 => Self::After(Duration::from_millis(dice.below(longest_ms))),
            // A run with its announcement creates about eight.
            _ => Self::Objects(1 + dice.below(8) as usize),
        }
    }
}

/// Files and directories below `path`, temporary ones included.
fn count(path: &Path) -> usize {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| 1 + if entry.path().is_dir() { count(&entry.path()) } else { 0 }).sum()
}

struct Trial {
    deployment: Deployment,
    node: NodeDirectory,
    key: String,
    dice: Dice,
    /// The newest generation that may be in the warehouse.
    written: Arc<AtomicI64>,
    writing: Option<JoinHandle<()>>,
    stop_writing: Shutdown,
    /// The newest generation that each record has shown.
    shown: BTreeMap<(&'static str, i64), i64>,
    /// The generation of each version.
    versions: BTreeMap<(&'static str, u64), i64>,
}

impl Trial {
    async fn start(schedule: &str) -> Self {
        let deployment = Deployment::new();
        deployment.execute("warehouse.db", TABLES).await;
        let node = deployment.node("data", &sections(schedule));
        let key = node.key().await;
        let (written, stop_writing) = (Arc::new(AtomicI64::new(9)), Shutdown::new());
        let writing = write(deployment.path("warehouse.db"), written.clone(), stop_writing.clone());
        Self {
            deployment,
            node,
            key,
            dice: Dice::new(),
            written,
            writing: Some(tokio::spawn(writing)),
            stop_writing,
            shown: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    async fn stop_writing(&mut self) {
        self.stop_writing.cancel();
        self.writing.take().unwrap().await.unwrap();
    }

    /// Checks that a record is complete, from the warehouse, and not older than before; returns its value.
    fn check_record(&mut self, collection: &'static str, id: i64, answer: &Answer) -> Option<i64> {
        if answer.status == 404 && answer.code() != "record_not_found" {
            let served = self.versions.keys().any(|(known, _)| *known == collection);
            assert!(!served, "{collection} is gone: {answer:?}");
            return None;
        }
        if id >= GUESTS && answer.status == 404 {
            return None;
        }
        assert_eq!(answer.status, 200, "{collection} {id}: {answer:?}");
        let record = answer.json();
        let seen = record["seen"].as_i64().unwrap();
        assert_eq!(record["id"], id);
        assert_eq!(record["payload"], format!("{}{seen}", "x".repeat(200)));
        assert_eq!(seen, expected(collection, id, seen), "{collection} {id}");
        assert!(seen <= self.written.load(Ordering::SeqCst), "{collection} {id}: from the future");
        let before = self.shown.insert((collection, id), seen);
        assert!(before.is_none_or(|before| before <= seen), "{collection} {id}: {before:?}, then {seen}");
        Some(seen)
    }

    /// Reads a random record.
    async fn read_one(&mut self, server: &Process) {
        let collection = COLLECTIONS[self.dice.below(2) as usize];
        let id = 1 + self.dice.below(ROWS as u64).cast_signed();
        let answer = server.get(&self.key, collection, id).await;
        self.check_record(collection, id, &answer);
    }

    /// Reads a whole collection: its version, and its generation when all records are of one.
    async fn read_all(&mut self, server: &Process, collection: &'static str) -> Option<(u64, Option<i64>)> {
        let mut client = Client::connect(server.public().unwrap()).await;
        let bearer = format!("Authorization: Bearer {}\r\n", self.key);
        let mut seen = BTreeMap::new();
        let mut versions = BTreeSet::new();
        for id in 1..=ROWS {
            let target = format!("/v1/collections/{collection}/records/id/{id}");
            let answer = client.ask("GET", target, &bearer).await;
            seen.insert(id, self.check_record(collection, id, &answer)?);
            versions.insert(version(&answer));
        }
        let newest = *seen.values().max().unwrap();
        if collection == "part" {
            for (generation, stands) in [(newest - 1, false), (newest, true), (newest + 1, false)] {
                let id = GUESTS + generation;
                let target = format!("/v1/collections/part/records/id/{id}");
                let answer = client.ask("GET", target, &bearer).await;
                versions.insert(version(&answer));
                if self.check_record(collection, id, &answer).is_some() != stands {
                    return Some((*versions.last().unwrap(), None));
                }
            }
        }
        let is_one = seen.iter().all(|(id, seen)| *seen == expected(collection, *id, newest));
        let generation = (is_one && versions.len() == 1).then_some(newest);
        Some((*versions.last().unwrap(), generation))
    }

    /// Checks that a version always has one generation, and that a later version has no older one.
    fn check_version(&mut self, collection: &'static str, version: u64, generation: i64) {
        let before = self.versions.insert((collection, version), generation);
        assert!(before.is_none_or(|before| before == generation), "{collection} {version}: {before:?}");
        let mut of_one = self.versions.iter().filter(|((name, _), _)| *name == collection);
        assert!(of_one.clone().is_sorted_by_key(|(_, generation)| *generation), "{:?}", self.versions);
        assert_eq!(of_one.next_back().unwrap().0.1, version, "an older version came back");
    }

    /// Kills `process` at its moment, unless it ended before; reads meanwhile.
    async fn kill_at(&mut self, moment: KillMoment, mut process: Process, server: Option<&Process>) {
        let (store, began) = (self.deployment.path("store"), Instant::now());
        let before = count(&store);
        let mut look = interval(Duration::from_millis(1));
        let mut is_ready = server.is_some();
        let is_due = || match moment {
            KillMoment::After(delay) => began.elapsed() >= delay,
            KillMoment::Objects(more) => count(&store) >= before + more,
        };
        let bound = Duration::from_secs(20);
        while process.is_running() && !is_due() {
            look.tick().await;
            assert!(began.elapsed() < bound, "the moment never comes: {}", process.log());
            if is_ready {
                self.read_one(server.unwrap_or(&process)).await;
            } else if process.public().is_some() {
                is_ready = process.ask("/readyz").await.status == 200;
            }
        }
        process.kill();
    }

    /// Checks that runs and catalog agree and that no run is open.
    async fn check_runs_and_catalog(&self) {
        let runs = self.node.runs().await;
        let of = |run: &Value| runs.iter().find(|known| known["id"] == *run);
        // The run that introduced each version; compaction announces a version again.
        let mut first: BTreeMap<(&str, u64), Value> = BTreeMap::new();
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for document in self.deployment.catalog() {
            for name in COLLECTIONS {
                let entry = &document["collections"][name];
                let Some(version) = entry["version"].as_u64() else {
                    assert!(!newest.contains_key(name), "{name} left the catalog");
                    continue;
                };
                let before = newest.insert(name, version).unwrap_or(0);
                assert!(version == before || version == before + 1, "{name}: {version} after {before}");
                first.entry((name, version)).or_insert_with(|| entry["run_id"].clone());
            }
        }
        for ((name, version), run) in &first {
            let run = of(run).unwrap_or_else(|| panic!("{name} {version} was announced by no run"));
            assert_eq!(
                (run["status"].as_str(), run["version"].as_u64()),
                (Some("announced"), Some(*version))
            );
        }
        for run in &runs {
            let announced = first.values().any(|id| *id == run["id"]);
            match run["status"].as_str().unwrap() {
                "announced" => assert!(announced, "{run}"),
                "interrupted" | "unchanged" | "cancelled" => assert!(!announced, "{run}"),
                _ => panic!("{run}"),
            }
        }
        for (name, version) in self.versions.keys() {
            assert!(first.contains_key(&(*name, *version)), "{name} {version} was served, never announced");
        }
    }
}

/// Writes generations until `stop`.
async fn write(path: std::path::PathBuf, written: Arc<AtomicI64>, stop: Shutdown) {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(20));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let mut tick = interval(GENERATION);
    while !stop.is_cancelled() {
        tick.tick().await;
        let g = written.fetch_add(1, Ordering::SeqCst) + 1;
        let sql = format!(
            "begin immediate;
             update whole set seen = {g}, payload = printf('%.*c', 200, 'x') || {g};
             update part set seen = {g}, payload = printf('%.*c', 200, 'x') || {g}
                 where id % 10 = {g} % 10 and id < {GUESTS};
             delete from part where id >= {GUESTS};
             insert into part values ({GUESTS} + {g}, {g}, printf('%.*c', 200, 'x') || {g});
             commit;"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

fn open_runs(runs: &[Value]) -> BTreeSet<String> {
    let is_open = |run: &&Value| matches!(run["status"].as_str().unwrap(), "running" | "announcing");
    runs.iter().filter(is_open).map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_restarts_with_the_announced_version() {
    let mut trial = Trial::start("every 1s").await;
    for round in 0..SERVER_KILLS {
        let server = trial.node.spawn(&["serve"]);
        let moment = KillMoment::choose(&mut trial.dice, 1500);
        trial.kill_at(moment, server, None).await;

        // A node without the publisher role runs no sync.
        let replica = trial.node.serve_with(&[("LARDER_ROLES", "replica")]).await;
        for collection in COLLECTIONS {
            let Some(announced) = trial.deployment.announced(collection) else { continue };
            let (version, generation) = trial.read_all(&replica, collection).await.unwrap();
            assert_eq!(version, announced, "{collection} in round {round}");
            let generation = generation.unwrap_or_else(|| panic!("several generations in round {round}"));
            trial.check_version(collection, version, generation);
        }
        replica.kill();
    }
    let left_open = open_runs(&trial.node.runs().await);
    let mut server = trial.node.serve().await;
    until("reconciled runs", async || {
        assert!(server.is_running());
        left_open.is_disjoint(&open_runs(&trial.node.runs().await)).then_some(())
    })
    .await;
    server.kill();
    trial.stop_writing().await;
    for collection in COLLECTIONS {
        trial.node.output(&["sync", collection]).await;
    }
    trial.check_runs_and_catalog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sync_command_changes_nothing_or_everything() {
    let mut trial = Trial::start("manual").await;
    let server = trial.node.serve().await;
    let began = Instant::now();
    for collection in COLLECTIONS {
        trial.node.output(&["sync", collection]).await;
    }
    let usual_ms = began.elapsed().as_millis() as u64 / 2;
    for round in 0..COMMAND_KILLS {
        let collection = COLLECTIONS[trial.dice.below(2) as usize];
        let command = trial.node.spawn(&["sync", collection]);
        let moment = KillMoment::choose(&mut trial.dice, usual_ms);
        trial.kill_at(moment, command, Some(&server)).await;
        for collection in COLLECTIONS {
            // The server may still be applying the last announcement.
            let (version, generation) = until("one generation", async || {
                let (version, generation) = trial.read_all(&server, collection).await?;
                Some((version, generation?))
            })
            .await;
            assert!(
                version <= trial.deployment.announced(collection).unwrap(),
                "{collection} in round {round}"
            );
            trial.check_version(collection, version, generation);
        }
    }
    trial.stop_writing().await;
    let newest = trial.written.load(Ordering::SeqCst);
    for collection in COLLECTIONS {
        trial.node.output(&["sync", collection]).await;
        let announced = trial.deployment.announced(collection).unwrap();
        let (version, generation) = until("the newest generation", async || {
            let (version, generation) = trial.read_all(&server, collection).await?;
            (version == announced).then_some((version, generation?))
        })
        .await;
        assert_eq!(generation, newest);
        trial.check_version(collection, version, generation);
    }
    trial.check_runs_and_catalog().await;
}
