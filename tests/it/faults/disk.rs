//! Full and unwritable disks: the run fails with a code, and readers are not affected.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::reader::Reader;
use crate::support::{
    deployment::{Deployment, NodeDirectory},
    process::{Process, until, version},
};

/// Twenty megabytes that do not compress.
const BIG: &str = "update people set name = hex(randomblob(100000)) where id <= 100";
const ROWS: &str = "create table people (id integer primary key, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 120)
    insert into people select i, 'first ' || i from n;";

const SECTIONS: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\ncompression = \"none\"\n";

struct Served {
    deployment: Deployment,
    node: NodeDirectory,
    key: String,
    server: Process,
    /// Reads until it has recovered.
    reader: Option<Reader>,
}

impl Served {
    async fn start(deployment: Deployment) -> Self {
        deployment.execute("warehouse.db", ROWS).await;
        let node = deployment.node("data", &format!("{SECTIONS}[engine]\nspool_bytes_max = \"16MB\"\n"));
        let key = node.key().await;
        node.output(&["sync", "person"]).await;
        let server = node.serve().await;
        let reader = Some(Reader::start(&server, &key));
        Self { deployment, node, key, server, reader }
    }

    async fn check(&self) {
        for id in [1, 120] {
            let answer = self.server.get(&self.key, "person", id).await;
            assert_eq!((answer.status, version(&answer)), (200, 1), "{answer:?}");
            assert_eq!(answer.json()["name"], format!("first {id}"));
        }
        assert_eq!(self.server.ask("/readyz").await.status, 200);
        assert_eq!(self.deployment.announced("person"), Some(1));
    }

    /// Asserts that a sync fails with `code` on stderr and in its record, and that readers are not affected.
    async fn fails_with(&self, code: &str) {
        let done = self.node.spawn(&["sync", "person"]).wait().await;
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.stderr.contains(code), "{done:?}");
        let run = self.node.runs().await.swap_remove(0);
        assert_eq!((run["status"].as_str(), run["error"]["code"].as_str()), (Some("failed"), Some(code)));
        self.check().await;
    }

    /// Asserts that a small change is served once the fault is over.
    async fn recovers(&mut self) {
        self.deployment.execute("warehouse.db", "update people set name = 'second ' || id").await;
        self.node.output(&["sync", "person"]).await;
        until("recovery", async || {
            (self.server.get(&self.key, "person", 1).await.json()["name"] == "second 1").then_some(())
        })
        .await;
        // A run that could announce meanwhile changed another person.
        let announced = BTreeMap::from([(1, "first 1"), (2, "first 1"), (3, "second 1")]);
        self.reader.take().unwrap().end(&announced).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_beyond_spool_limit_fails_and_changes_nothing() {
    let mut served = Served::start(Deployment::new()).await;
    served.deployment.execute("warehouse.db", BIG).await;
    served.fails_with("spool_full").await;
    served.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unwritable_directories_fail_only_the_run() {
    // A file in place of a directory also stops root.
    for (directory, code) in [("store/collections", "store_unavailable"), ("data/segments", "local_file")] {
        let mut served = Served::start(Deployment::new()).await;
        let path = served.deployment.path(directory);
        let away = path.with_extension("away");
        fs::rename(&path, &away).unwrap();
        fs::write(&path, "in the way").unwrap();
        served.deployment.execute("warehouse.db", "update people set name = 'late' where id = 5").await;
        let done = served.node.spawn(&["sync", "person"]).wait().await;
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.stderr.contains(code), "{directory}: {done:?}");
        assert!(!done.stderr.contains("internal"), "{done:?}");
        served.check().await;
        fs::remove_file(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        served.recovers().await;
    }
}

/// What the person must decide who runs the tests where mounting is forbidden.
const WITHOUT_MOUNT: &str = "LARDER_TEST_WITHOUT_MOUNT=1 leaves out the tests of a full disk";

/// A file system in memory, unmounted when the test ends.
pub(super) struct Small(PathBuf);

impl Small {
    /// `None` when the person who runs the tests leaves these out.
    pub(super) fn mount(path: &Path, megabytes: u32) -> Option<Self> {
        if std::env::var_os("LARDER_TEST_WITHOUT_MOUNT").is_some() {
            eprintln!("SKIPPED: {WITHOUT_MOUNT}");
            return None;
        }
        fs::create_dir_all(path).unwrap();
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output().unwrap();
        assert!(mounted.status.success(), "no file system can be mounted here: {mounted:?}; {WITHOUT_MOUNT}");
        Some(Self(path.to_owned()))
    }

    /// Leaves no byte free.
    pub(super) fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let error = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    pub(super) fn clear(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: the test's server may still hold files there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_fails_only_the_run() {
    // With a directory store, a full data_dir does not fail the run. The node serves the last version until
    // there is space.
    for (directory, code) in [("store", Some("store_unavailable")), ("data", None)] {
        let deployment = Deployment::new();
        let Some(small) = Small::mount(&deployment.path(directory), 8) else { return };
        let mut served = Served::start(deployment).await;
        small.fill();
        served.deployment.execute("warehouse.db", "update people set name = 'late' where id = 5").await;
        if let Some(code) = code {
            served.fails_with(code).await;
        } else {
            served.node.output(&["sync", "person"]).await;
            assert_eq!(served.server.ask("/readyz").await.status, 200);
        }
        small.clear();
        served.recovers().await;
        // Incomplete files do not affect the next start.
        let Served { deployment, node, key, server, .. } = served;
        small.fill();
        server.kill();
        let server = node.serve().await;
        assert_eq!(server.get(&key, "person", 1).await.json()["name"], "second 1");
        drop((server, deployment));
    }
}
