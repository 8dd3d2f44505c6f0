//! Random changes, increments, whole reads, rollbacks and restarts, against a model in memory.

use std::{collections::BTreeMap, fmt::Write as _};

use larder::domain::run::RunStatus;

use super::{node, sections};
use crate::{
    checker::seeds,
    support::{chance::Chance, node::Node, process::larder},
};

const KEYS: u64 = 12;
const STEPS: usize = 20;
const HISTORIES: u64 = 2;

/// A row, or a record as a reader sees it: the number of its last change, and whether it says that it is deleted.
type Rows = BTreeMap<u64, (u64, bool)>;

/// What the warehouse has, and what should be served.
#[derive(Default)]
struct Model {
    rows: Rows,
    served: Rows,
    seq: u64,
    /// The cursor and the records of each version.
    versions: BTreeMap<u64, (u64, Rows)>,
    cursor: u64,
}

impl Model {
    /// Changes a row, and returns the SQL for it.
    fn change(&mut self, chance: &mut Chance) -> String {
        let id = chance.within(0, KEYS - 1);
        if self.rows.contains_key(&id) && chance.is(25) {
            self.rows.remove(&id);
            return format!("delete from people where id = {id};");
        }
        self.seq += 1;
        let (seq, is_deleted) = (self.seq, chance.is(25));
        self.rows.insert(id, (seq, is_deleted));
        let gone = u64::from(is_deleted);
        format!("insert or replace into people values ({id}, 'name {seq}', 'mail {seq}', {seq}, {gone});")
    }

    /// What a run makes of the served records.
    fn run(&mut self, is_whole: bool) {
        let is_read = |row: &(u64, bool)| is_whole || row.0 >= self.cursor;
        if is_whole {
            self.served.clear();
        }
        for (id, row) in self.rows.iter().filter(|(_, row)| is_read(row)) {
            if row.1 {
                self.served.remove(id);
            } else {
                self.served.insert(*id, *row);
            }
        }
        let highest = self.rows.values().filter(|row| is_read(row)).map(|row| row.0).max();
        self.cursor = if is_whole { highest.unwrap_or(0) } else { highest.unwrap_or(0).max(self.cursor) };
    }
}

async fn check(node: &Node, model: &Model, step: usize, seed: u64) {
    for id in 0..KEYS {
        let record = node.record("person", "id", &id.to_string()).await;
        let expected = model.served.get(&id).map(|(seq, _)| format!("name {seq}"));
        let name = record.map(|record| record["name"].as_str().unwrap().to_owned());
        assert_eq!(name, expected, "record {id} after step {step} of seed {seed}");
    }
}

async fn check_history(seed: u64) {
    let mut chance = Chance::at(seed, 0);
    let incremental = "column = \"seq\", overlap = 0, deleted = \"gone\"";
    let mut node = node(1, &sections(incremental, "max_removed = \"100%\"\nallow_empty = true")).await;
    let mut model = Model { seq: 1, ..Model::default() };
    model.rows.insert(1, (1, false));
    for step in 0..STEPS {
        let mut sql = String::from("begin;");
        for _ in 0..chance.within(0, 4) {
            write!(sql, "{}", model.change(&mut chance)).unwrap();
        }
        node.warehouse.execute(&format!("{sql}commit;")).await;
        match chance.within(0, 7) {
            0 if model.versions.len() > 1 => {
                let (&version, (cursor, served)) = model
                    .versions
                    .iter()
                    .nth_back(1 + chance.within(0, 1).min(model.versions.len() as u64 - 2) as usize)
                    .unwrap();
                let (cursor, served) = (*cursor, served.clone());
                let newest = *model.versions.keys().next_back().unwrap();
                larder(node.directory.path(), &["rollback", "person", "--to", &version.to_string()])
                    .expect(0);
                node.await_version("person", newest + 1).await;
                model.versions.insert(newest + 1, (cursor, served.clone()));
                (model.cursor, model.served) = (cursor, served);
            }
            1 => {
                node.stop().await;
                node.resume().await;
            }
            kind => {
                let is_whole = kind == 2 || model.versions.is_empty();
                let before = model.served.clone();
                let record = node.sync_with("person", false, is_whole).await.record;
                model.run(is_whole);
                assert!(matches!(record.status, RunStatus::Announced | RunStatus::Unchanged), "{record:?}");
                let version = record.version.unwrap().0;
                if model.served == before && !is_whole {
                    assert_eq!(record.status, RunStatus::Unchanged, "step {step} of seed {seed}");
                    // The cursor of an increment that changed nothing is not announced.
                    model.cursor = model.versions[&version].0;
                }
                model.versions.insert(version, (model.cursor, model.served.clone()));
            }
        }
        check(&node, &model, step, seed).await;
    }
}

/// `LARDER_CHECK_SEED` and `LARDER_CHECK_SEEDS` choose the histories, as for the checker of whole reads.
#[tokio::test(flavor = "multi_thread")]
async fn random_changes_are_served_as_a_model_in_memory_says() {
    for seed in seeds(HISTORIES) {
        check_history(seed).await;
    }
}
