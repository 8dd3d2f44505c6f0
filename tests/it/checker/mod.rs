//! Random changes of rows, settings and versions against an independent model in memory.
//!
//! Each history runs the real binary over SQLite: rows change, keys repeat, JSON breaks, indexes and `on_delete`
//! change, commands and servers are killed, versions are rolled back, held runs are approved. After each step every
//! record is looked up by every index and compared with [`model`], and so are the counts of runs.
//!
//! One number, the seed, determines a history, except for the moments of kills.
//! `LARDER_CHECK_SEEDS=100` checks more histories. `LARDER_CHECK_SEED=123` checks one and prints its steps:
//!
//! ```sh
//! LARDER_CHECK_SEED=123 cargo test --locked --test it checker:: -- --nocapture
//! ```

mod fixture;
mod model;

use std::{collections::BTreeMap, env, time::Duration};

use larder::domain::run::RunCounts;
use serde_json::Value;

use self::{
    fixture::{Fixture, universe},
    model::{Content, INDEXES, OnDelete, Row, Settings},
};
use crate::support::chance::Chance;

/// Histories by default; each takes some seconds.
const HISTORIES: u64 = 6;
const STEPS: usize = 30;
/// Keys that rows may have. More than the ten records that guards ignore.
const KEYS: u64 = 24;
/// The versions that a rollback chooses from, of the ten that a store keeps by default.
const ROLLBACK_AMONG: usize = 5;
/// Longest time before a kill: about the duration of a run.
const KILL_DELAY_MS: u64 = 400;

struct History {
    seed: u64,
    chance: Chance,
    fixture: Fixture,
    rows: Vec<Row>,
    settings: Settings,
    /// The content of each announced version.
    versions: BTreeMap<u64, Content>,
}

fn settings(chance: &mut Chance) -> Settings {
    let on_delete = [OnDelete::Delete, OnDelete::Keep, OnDelete::Clear][chance.within(0, 2) as usize];
    let indexes = INDEXES.into_iter().filter(|_| chance.is(60)).collect();
    Settings { on_delete, indexes, has_note: chance.is(80) }
}

fn one_of<T: Clone>(chance: &mut Chance, all: &[T]) -> T {
    all[chance.within(0, all.len() as u64 - 1) as usize].clone()
}

fn row(chance: &mut Chance) -> Row {
    let email =
        one_of(chance, &[None, Some(""), Some("a@x"), Some(" A@X "), Some("b@x"), Some("C@x"), Some("d@x")]);
    let tags = one_of(
        chance,
        &[
            None,
            Some("[]"),
            Some("[\"red\"]"),
            Some("[\"red\", \"blue\"]"),
            Some("[\"green\",\"red\"]"),
            Some("{}"),
        ],
    );
    let id = match chance.weighed(&[1, 40]) {
        0 => None,
        _ => Some(chance.within(1, KEYS).to_string()),
    };
    Row {
        id,
        email: email.map(str::to_owned),
        team: one_of(chance, &[None, Some(1), Some(2), Some(3)]),
        tags: if chance.is(3) { Some("[".to_owned()) } else { tags.map(str::to_owned) },
        note: chance.within(0, 3),
    }
}

impl History {
    async fn start(seed: u64) -> Self {
        let mut chance = Chance::at(seed, 0);
        let settings = settings(&mut chance);
        let fixture = Fixture::start(&settings).await;
        Self { seed, chance, fixture, rows: Vec::new(), settings, versions: BTreeMap::new() }
    }

    fn newest(&self) -> Option<&Content> {
        self.versions.last_key_value().map(|(_, content)| content)
    }

    fn trace(&self, text: impl std::fmt::Display) {
        println!("history {}: {text}", self.seed);
    }

    /// Changes some rows, or all of them.
    async fn change_rows(&mut self) {
        let chance = &mut self.chance;
        match chance.weighed(&[1, 1, 8]) {
            0 => self.rows.clear(),
            1 => self.rows = (0..chance.within(1, KEYS)).map(|_| row(chance)).collect(),
            _ => {
                for _ in 0..chance.within(1, 4) {
                    let at = chance.within(0, self.rows.len() as u64) as usize;
                    if at < self.rows.len() && chance.is(50) {
                        self.rows.remove(at);
                    } else if at < self.rows.len() && chance.is(60) {
                        self.rows[at] = Row { id: self.rows[at].id.clone(), ..row(chance) };
                    } else {
                        self.rows.push(row(chance));
                    }
                }
            }
        }
        self.trace(format_args!("{} rows", self.rows.len()));
        self.fixture.write(&self.rows).await;
    }

    /// Runs the sync and checks its outcome.
    async fn sync(&mut self, is_accepted: bool) {
        let (content, counts) = model::run(self.newest(), &self.settings, &self.rows);
        let mut arguments = vec!["sync", "person", "--json"];
        arguments.extend(is_accepted.then_some("--accept"));
        let ended = self.fixture.run(&arguments).await;
        let run: Value = ended.json();
        let status = run["status"].as_str().unwrap().to_owned();
        self.trace(format_args!("sync: {status}"));
        match status.as_str() {
            "announced" | "unchanged" => {
                self.check_counts(&run, counts);
                let is_changed = self
                    .newest()
                    .is_none_or(|base| base.records != content.records || base.is_rebuilt_by(&self.settings));
                assert_eq!(status == "announced", is_changed, "{run}");
                self.adopt(run["version"].as_u64().unwrap(), content).await;
            }
            "held" if !is_accepted => {
                if self.chance.is(50) {
                    let id = run["id"].as_str().unwrap();
                    let approved = self.fixture.run(&["approve", id, "--json"]).await.expect(0).json();
                    self.trace("approved");
                    self.adopt(approved["version"].as_u64().unwrap(), content).await;
                }
            }
            _ => panic!("{ended:?}"),
        }
    }

    fn check_counts(&self, run: &Value, mut expected: RunCounts) {
        let counts: RunCounts = serde_json::from_value(run["counts"].clone()).unwrap();
        if self.newest().is_some_and(|base| base.is_rebuilt_by(&self.settings)) {
            // Other indexes or fields change every record.
            expected.changed = counts.changed;
        }
        assert_eq!(counts, expected, "{run}");
    }

    /// `version` is announced, with this content.
    async fn adopt(&mut self, version: u64, content: Content) {
        assert_eq!(self.fixture.announced(), Some(version));
        let newest = self.versions.last_key_value().map_or(0, |(version, _)| *version);
        assert!(version == newest || version == newest + 1, "{version} after {newest}");
        self.versions.insert(version, content);
        self.check().await;
    }

    /// Kills a sync: nothing or everything of it takes effect.
    async fn kill_sync(&mut self) {
        let (content, _) = model::run(self.newest(), &self.settings, &self.rows);
        let delay_ms = self.chance.within(0, KILL_DELAY_MS);
        self.fixture.sync_killed_after(Duration::from_millis(delay_ms)).await;
        let announced = self.fixture.announced();
        let is_new = announced != self.versions.last_key_value().map(|(version, _)| *version);
        self.trace(format_args!(
            "sync killed after {delay_ms} ms: {}",
            if is_new { "announced" } else { "nothing" }
        ));
        if let Some(version) = announced.filter(|_| is_new) {
            self.adopt(version, content).await;
        }
    }

    async fn roll_back(&mut self) {
        let (from, _) = self.versions.last_key_value().unwrap();
        let earlier: Vec<u64> = self.versions.keys().rev().take(ROLLBACK_AMONG).copied().collect();
        let to = one_of(&mut self.chance, &earlier);
        if to == *from {
            return;
        }
        let done =
            self.fixture.run(&["rollback", "person", "--to", &to.to_string(), "--json"]).await.expect(0);
        self.trace(format_args!("rolled back to {to}"));
        self.adopt(done.json()["version"].as_u64().unwrap(), self.versions[&to].clone()).await;
        self.fixture.run(&["resume", "person"]).await.expect(0);
    }

    /// Compares all that is served with the newest version.
    async fn check(&self) {
        let Some((version, content)) = self.versions.last_key_value() else { return };
        self.fixture.await_version(*version).await;
        let keys: Vec<String> = (0..=KEYS).map(|key| key.to_string()).collect();
        if let Err(difference) = self.fixture.compare(content, &universe(&keys)).await {
            panic!("version {version}: {difference}");
        }
    }

    async fn step(&mut self) {
        match self.chance.weighed(&[10, 4, 2, 2, 1, 1]) {
            0 | 1 if self.versions.is_empty() => self.sync(true).await,
            0 => {
                self.change_rows().await;
                let is_accepted = self.chance.is(70);
                self.sync(is_accepted).await;
            }
            1 => {
                self.settings = settings(&mut self.chance);
                self.trace(format_args!("{:?}", self.settings));
                self.fixture.configure(&self.settings);
                self.sync(true).await;
            }
            2 if self.versions.len() > 1 => self.roll_back().await,
            3 => self.sync(false).await,
            4 => {
                self.change_rows().await;
                self.kill_sync().await;
            }
            _ => {
                self.trace("server killed");
                self.fixture.restart().await;
                self.check().await;
            }
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// The seeds of the histories to check: one when it is set, else `LARDER_CHECK_SEEDS` or `default`.
pub(crate) fn seeds(default: u64) -> std::ops::Range<u64> {
    let first = number("LARDER_CHECK_SEED");
    first.map_or(0..number("LARDER_CHECK_SEEDS").unwrap_or(default), |seed| seed..seed + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn served_records_equal_the_reference_model_after_every_step() {
    for seed in seeds(HISTORIES) {
        println!(
            "see it with: LARDER_CHECK_SEED={seed} cargo test --locked --test it checker:: -- --nocapture"
        );
        let mut history = History::start(seed).await;
        for _ in 0..STEPS {
            history.step().await;
        }
    }
}
