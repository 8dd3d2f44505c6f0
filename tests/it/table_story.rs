//! The table of served records that a publisher keeps on its disk: a run uses it in place of the segments, and never
//! when it is not exactly that of the announced manifest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::deployment::NodeDirectory;

const TABLES: &str = "create table people (id integer primary key, name text);
    create table pets (id integer primary key, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
    insert into pets select i, 'pet ' || i from n;";
/// Longest file that a process may write, in blocks of 512 or 1,024 bytes.
const FILE_BLOCKS_MAX: &str = "1500";

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [models.pets]\nsource = \"warehouse\"\ntable = \"pets\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n\
    [syncs.pet]\nmodel = \"pets\"\nindexes = { id = \"id\" }\n";

struct Publisher(NodeDirectory);

impl Publisher {
    /// A node whose runs have left tables of both collections, one of so many people.
    async fn start(people: u32) -> Self {
        let node = Self(NodeDirectory::new(TABLES, SECTIONS).await);
        let rows = format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < {people})
             insert into people select i, 'first ' || i from n"
        );
        node.0.execute(&rows).await;
        for _ in 0..2 {
            for sync in ["person", "pet"] {
                node.0.output(&["sync", sync]).await;
            }
        }
        assert!(node.table("person").exists() && node.table("pet").exists());
        node
    }

    fn table(&self, collection: &str) -> PathBuf {
        self.0.path().join(format!("data/tables/{collection}.table"))
    }

    /// Every segment of the collection, in the store: a store on the same disk has no other copy.
    fn segments(&self, collection: &str) -> Vec<PathBuf> {
        let files = self.0.files(&format!("data/store/collections/{collection}"));
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "arrow");
        files.into_iter().map(|(path, _)| path).filter(is_segment).collect()
    }

    /// The last run after a sync that ends with `code`.
    async fn sync(&self, collection: &str, code: i32) -> Value {
        self.0.spawn(&["sync", collection]).wait().await.expect(code);
        self.0.runs().await.swap_remove(0)
    }

    /// Asserts that a run changes exactly the `changed` records that the warehouse has changed.
    async fn changes(&self, collection: &str, changed: u64) {
        let run = self.sync(collection, 0).await;
        let counts = ["added", "changed", "removed"].map(|count| run["counts"][count].as_u64().unwrap());
        assert_eq!(counts, [0, changed, 0], "{run}");
    }
}

fn damage(path: &Path, how: &str) {
    let mut bytes = fs::read(path).unwrap();
    let (middle, end) = (bytes.len() / 2, bytes.len() - 1);
    match how {
        "a byte of a record" => bytes[middle] ^= 1,
        "a byte of the header" => bytes[40] ^= 1,
        "a byte of the checksum" => bytes[end] ^= 1,
        "one record less" => drop(bytes.drain(middle..middle + 40)),
        "half" => bytes.truncate(middle),
        "zeros" => bytes.fill(0),
        "nothing" => bytes.clear(),
        other => panic!("{other}"),
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_run_reads_no_segment_and_a_damaged_table_is_not_used() {
    let node = Publisher::start(400).await;
    let segments = node.segments("person");
    let whole: Vec<Vec<u8>> = segments.iter().map(|path| fs::read(path).unwrap()).collect();
    let spoil = || segments.iter().for_each(|path| fs::write(path, "spoilt").unwrap());
    let mend = || segments.iter().zip(&whole).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    assert!(!segments.is_empty());

    spoil();
    node.changes("person", 0).await;
    for how in [
        "a byte of a record",
        "a byte of the header",
        "a byte of the checksum",
        "one record less",
        "half",
        "zeros",
        "nothing",
    ] {
        damage(&node.table("person"), how);
        let run = node.sync("person", 1).await;
        assert_eq!(run["error"]["code"], "object_corrupt", "{how}: {run}");
        assert!(!node.table("person").exists(), "{how}");
        // The run that reads the segments again also keeps a table again.
        mend();
        node.changes("person", 0).await;
        spoil();
        node.changes("person", 0).await;
    }
    mend();
}

#[tokio::test(flavor = "multi_thread")]
async fn table_of_another_manifest_is_not_used() {
    let node = Publisher::start(400).await;
    // Of another collection.
    fs::copy(node.table("pet"), node.table("person")).unwrap();
    node.0.execute("update people set name = 'second' where id <= 3").await;
    node.changes("person", 3).await;
    // Of the same collection before its segments were written anew.
    let old = fs::read(node.table("person")).unwrap();
    node.0.configure(
        &SECTIONS.replace("id = \"id\" }\n[syncs.pet]", "id = \"id\", name = \"name\" }\n[syncs.pet]"),
    );
    // The values of an index are a part of a record.
    node.changes("person", 400).await;
    fs::write(node.table("person"), old).unwrap();
    node.0.execute("update people set name = 'third' where id <= 2").await;
    node.changes("person", 2).await;
    // Of the same base: the later changes are read from their segments.
    node.changes("person", 0).await;
    let base_only = fs::read(node.table("person")).unwrap();
    for round in 0..3 {
        node.0.execute(&format!("update people set name = 'round {round}' where id <= 5")).await;
        node.changes("person", 5).await;
        fs::write(node.table("person"), &base_only).unwrap();
    }
    node.0.execute("delete from people where id = 4").await;
    let run = node.sync("person", 0).await;
    assert_eq!(
        (run["counts"]["removed"].as_u64(), run["counts"]["records"].as_u64()),
        (Some(1), Some(399)),
        "{run}"
    );
    node.changes("person", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_is_killed_while_it_writes_the_table_leaves_no_wrong_one() {
    // Their table of 2.4 MB is longer than the file may be.
    let node = Publisher::start(60_000).await;
    for keep_old in [true, false] {
        // The table has to be written again: it is gone, or is of other segments.
        fs::remove_file(node.table("person")).unwrap();
        if keep_old {
            fs::copy(node.table("pet"), node.table("person")).unwrap();
        }
        // The kernel kills a process that writes a longer file: here in the middle of the table.
        let limit = format!(r#"ulimit -f {FILE_BLOCKS_MAX}; exec "$0" "$@""#);
        let killed = node.0.spawn_within(&["sh", "-c", &limit], &["sync", "person"]).wait().await;
        assert_eq!(killed.code, None, "{killed:?}");
        let left = node.0.files("data/tables");
        assert!(
            left.iter().any(|(path, bytes)| path.extension().is_some_and(|it| it == "tmp") && *bytes > 0),
            "{left:?}"
        );
        node.0.execute("update people set name = name || '!' where id <= 7").await;
        node.changes("person", 7).await;
        node.changes("person", 0).await;
        assert!(node.table("person").exists());
    }
}
