//! Announcements: every one is either visible exactly once or known not to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use larder::{
    catalog::{
        AnnounceError, Announced, AnnouncerHandle, AnnouncerPace, Catalog, Change, Error, RunAnnouncement,
    },
    domain::{
        catalog::{CatalogDocument, CollectionEntry, KeySetReference},
        digest::Digest,
        keyset::KeySetDocument,
        limits::FORMAT,
        manifest::Version,
        name::CollectionName,
    },
    store::{self, Location},
};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use tokio::time::timeout;

use crate::support::{
    catalog::{DEADLINE, announcer, at, catalog_over, change, deployment, entry, name, open_catalog, quick},
    faulty_store::{Fault, FaultyStore, Request},
};

pub(super) fn faulty() -> (Arc<FaultyStore>, Catalog) {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    (Arc::clone(&faulty), catalog_over(faulty))
}

pub(super) fn document_path(n: u64) -> Path {
    Path::from(format!("catalog/{n:020}.json"))
}

#[tokio::test]
async fn document_of_many_collections_is_stored_compressed() {
    let objects = Arc::new(InMemory::new());
    let catalog = catalog_over(Arc::clone(&objects) as Arc<dyn ObjectStore>);
    let running = announcer(&catalog, None, quick());
    let names: Vec<CollectionName> = (0..1000).map(|number| name(&format!("collection_{number}"))).collect();
    let first = entry(1);
    join_all(names.iter().map(|name| running.handle.announce(change(name, None, &first))))
        .await
        .into_iter()
        .for_each(|announced| assert!(announced.is_ok()));
    let document = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(document.collections.len(), names.len());
    running.end().await;
    let head = catalog.head().await.unwrap().unwrap();
    assert_eq!((head.n, head.data_as_of.len()), (document.n, names.len()));
    for (path, json) in [
        (document_path(document.n), serde_json::to_vec(&document).unwrap()),
        (Path::from("catalog/head"), serde_json::to_vec(&head).unwrap()),
    ] {
        let stored = objects.get(&path).await.unwrap().bytes().await.unwrap();
        assert!(json.len() >= 64 * 1024 && stored.len() < json.len() / 2, "{path}: {} bytes", stored.len());
        assert_eq!(zstd::bulk::decompress(&stored, json.len()).unwrap(), json, "{path}");
    }
}

#[tokio::test]
async fn the_first_document_fixes_the_deployment() {
    let (_, catalog) = faulty();
    assert_eq!(catalog.newest(None).await.unwrap(), None);
    let ours = deployment();
    let running = announcer(&catalog, Some(ours), quick());
    let first = entry(1);
    let announced = running.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    assert_eq!(announced, Announced { n: 1, deployment: ours });
    running.end().await;

    let head = catalog.head().await.unwrap().unwrap();
    assert_eq!((head.n, head.deployment), (1, ours));
    assert_eq!(head.data_as_of[&name("a")].data_as_of, at(1));

    // One without an id takes the catalog's; one with another id is refused, by document and head.
    let running = announcer(&catalog, None, quick());
    let announced = running.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap();
    assert_eq!(announced, Announced { n: 2, deployment: ours });
    let stranger = announcer(&catalog, Some(deployment()), quick());
    let refused = stranger.handle.announce(change(&name("c"), None, &entry(1))).await.unwrap_err();
    assert_eq!(refused.code(), "foreign_catalog");
    let fresh = Change::Freshness { name: name("a"), version: Version(1), data_as_of: at(99) };
    assert_eq!(stranger.handle.announce(fresh).await.unwrap_err().code(), "foreign_catalog");
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 2);
}

/// What an announcer remembers of the catalog may be old: another process has announced since.
#[tokio::test]
async fn change_is_checked_against_the_newest_document() {
    let (_, catalog) = faulty();
    let ours = deployment();
    let [one, other] = [(); 2].map(|()| announcer(&catalog, Some(ours), quick()));
    let keys = |revision| KeySetReference { object: "keys/x".into(), sha256: Digest::of(b""), revision };
    let mut last = None;
    for version in 1..=6 {
        let next = entry(version);
        // In turns; each remembers what it announced itself.
        let announcer = if version % 2 == 0 { &one } else { &other };
        announcer.handle.announce(change(&name("a"), last.as_ref(), &next)).await.unwrap();
        let change = Change::Keys { from_revision: version - 1, reference: keys(version) };
        announcer.handle.announce(change).await.unwrap();
        last = Some(next);
    }
    one.end().await;
    other.end().await;
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 12);
}

/// The same, before head has shown that process's document.
#[tokio::test]
async fn change_that_only_an_old_reading_refuses_is_announced() {
    let (_, catalog) = faulty();
    let ours = deployment();
    // Nothing reads the catalog between the two changes of `one`, which come within the interval.
    let pace = AnnouncerPace { interval: Duration::from_secs(2), ..quick() };
    let [one, other] = [pace, quick()].map(|pace| announcer(&catalog, Some(ours), pace));
    let (first, second) = (entry(1), entry(2));
    one.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap();
    other.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    let announced = one.handle.announce(change(&name("a"), Some(&first), &second)).await;
    assert_eq!(announced.unwrap().n, 3);
    one.end().await;
    other.end().await;
}

#[tokio::test]
async fn waiting_changes_share_one_document_and_are_checked_one_by_one() {
    let (faulty, catalog) = faulty();
    let pace = AnnouncerPace { interval: Duration::from_millis(300), ..quick() };
    let running = announcer(&catalog, None, pace);
    let a = entry(1);
    running.handle.announce(change(&name("a"), None, &a)).await.unwrap();

    // The next document may come only after the interval: all of these wait for it together.
    let second = entry(2);
    let keys = KeySetReference { object: "keys/x".into(), sha256: Digest::of(b""), revision: 1 };
    let changes = [
        change(&name("a"), Some(&a), &second),
        change(&name("a"), Some(&a), &entry(2)), // the one before took its place
        change(&name("b"), None, &entry(1)),
        change(&name("c"), Some(&a), &entry(1)), // there is no c
        Change::Keys { from_revision: 0, reference: keys.clone() },
        Change::Keys { from_revision: 0, reference: keys },
        Change::Remove { name: name("a"), from: second.sha256 },
    ];
    let outcomes = join_all(changes.map(|change| running.handle.announce(change))).await;
    let codes: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().map(|announced| announced.n)).collect();
    for (index, n) in codes.iter().enumerate() {
        match (index, n) {
            (1 | 3 | 5, Err(AnnounceError::Superseded)) | (0 | 2 | 4 | 6, Ok(2)) => {}
            other => panic!("{other:?}"),
        }
    }
    running.end().await;
    assert_eq!(faulty.count(Request::Put, "catalog/0"), 2, "seven changes, one document");
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(newest.collections.into_keys().collect::<Vec<_>>(), [name("b")]);
    assert_eq!(newest.keys.unwrap().revision, 1);
}

#[tokio::test]
async fn outcome_is_that_of_the_catalog_whatever_the_store_answers() {
    for fault in [Fault::Fail, Fault::LoseAnswer, Fault::Duplicate, Fault::Late] {
        for times in [1, 3] {
            let (faulty, catalog) = faulty();
            let running = announcer(&catalog, None, quick());
            let first = entry(1);
            running.handle.announce(change(&name("a"), None, &first)).await.unwrap();

            faulty.next(Request::Put, "catalog/0", fault, times);
            let second = entry(2);
            let announced = running.handle.announce(change(&name("a"), Some(&first), &second)).await.unwrap();
            assert_eq!(announced.n, 2, "{fault:?}");
            faulty.heal();
            faulty.release().await;
            let newest = catalog.newest(None).await.unwrap().unwrap();
            assert_eq!((newest.n, &newest.collections[&name("a")]), (2, &second), "{fault:?}");

            // The next one builds on it as if nothing had happened.
            running.handle.announce(change(&name("a"), Some(&second), &entry(3))).await.unwrap();
            running.end().await;
        }
    }
}

#[tokio::test]
async fn reads_that_fail_while_the_outcome_is_unknown_are_retried() {
    for fault in [Fault::Fail, Fault::Corrupt, Fault::Truncate] {
        let (faulty, catalog) = faulty();
        let running = announcer(&catalog, None, quick());
        running.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
        let (mut puts, mut gets) = (1, 4);
        faulty.decide(move |request, path| match request {
            Request::Put if path.as_ref().ends_with("2.json") && puts > 0 => {
                puts -= 1;
                Fault::LoseAnswer
            }
            Request::Get if path.as_ref().ends_with("2.json") && gets > 0 => {
                gets -= 1;
                fault
            }
            _ => Fault::None,
        });
        let announced = running.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap();
        assert_eq!(announced.n, 2, "{fault:?}");
        assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 2);
    }
}

/// Announcements of each of two that race.
const EACH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_announcers_lose_no_change_and_never_fork() {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Directory(directory.path().join("store"));
    let ours = deployment();

    // Two processes on one catalog: in memory with random faults, and a real directory.
    let dice = Arc::new(AtomicU64::new(1));
    let with_faults = || {
        let faulty = FaultyStore::new(Arc::clone(&memory));
        let dice = Arc::clone(&dice);
        faulty.decide(move |request, path| {
            let roll = dice.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
            match (request, roll) {
                (Request::Put, 0) => Fault::LoseAnswer,
                (Request::Put, 1) => Fault::Duplicate,
                (Request::Put, 2) | (_, 3) => Fault::Fail,
                (Request::Get, 4) if path.as_ref().contains("/0") => Fault::Truncate,
                _ => Fault::None,
            }
        });
        catalog_over(faulty)
    };
    let real = open_catalog(&location);
    for (one, two, plain) in [
        (with_faults(), with_faults(), catalog_over(Arc::clone(&memory))),
        (real.clone(), open_catalog(&location), real),
    ] {
        let pair = [announcer(&one, Some(ours), quick()), announcer(&two, Some(ours), quick())];
        // Each announces collections of its own, and both fight over a shared one.
        let own = pair.iter().enumerate().map(|(who, running)| announce_own(&running.handle, who));
        let fight = pair.iter().map(|running| {
            let plain = plain.clone();
            async move {
                let shared = name("shared");
                let mut won = Vec::new();
                for _ in 0..40 {
                    let newest = plain.newest(None).await.unwrap();
                    let present = newest.and_then(|mut newest| newest.collections.remove(&shared));
                    let next = entry(present.as_ref().map_or(1, |present| present.version.0 + 1));
                    match running.handle.announce(change(&shared, present.as_ref(), &next)).await {
                        Ok(announced) => won.push((next.version, next.run_id, announced.n)),
                        Err(AnnounceError::Superseded) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                won
            }
        });
        let (own, fights) = timeout(DEADLINE * 4, async { tokio::join!(join_all(own), join_all(fight)) })
            .await
            .expect("both make progress");

        let newest = plain.newest(Some(ours)).await.unwrap().unwrap();
        assert_eq!(newest.collections.len(), 2 * EACH + 1);
        let documents = unbroken(&plain).await;
        for (name, entry, n) in own.into_iter().flatten() {
            assert_eq!(newest.collections[&name], entry);
            assert_eq!(documents[&n].collections[&name], entry, "the answer names the document");
            assert!(n == 1 || !documents[&(n - 1)].collections.contains_key(&name), "announced once");
        }
        let mut won: Vec<_> = fights.into_iter().flatten().collect();
        won.sort_unstable();
        assert!(won.windows(2).all(|pair| pair[0].0 < pair[1].0), "no version was won twice");
        let last = newest.collections[&name("shared")].clone();
        assert_eq!(won.last().map(|won| (won.0, won.1)), Some((last.version, last.run_id)));
        assert_eq!(won.len() as u64, last.version.0, "every win is a version, none was lost");
        for running in pair {
            running.end().await;
        }
        // Whoever wrote head last, it belongs to the same catalog and names a document that exists.
        let head = plain.head().await.unwrap().unwrap();
        assert!(documents.contains_key(&head.n));
    }
}

/// Announces one collection after the other: none shares a document with another one of these. What was
/// announced, and in which document.
async fn announce_own(handle: &AnnouncerHandle, who: usize) -> Vec<(CollectionName, CollectionEntry, u64)> {
    let mut own = Vec::new();
    for number in 0..EACH {
        let (name, entry) = (name(&format!("c-{who}-{number}")), entry(1));
        let announced = handle.announce(change(&name, None, &entry)).await.unwrap();
        own.push((name, entry, announced.n));
    }
    own
}

/// All documents of a race: there are as many as announcements, and none lost what an earlier one had.
async fn unbroken(catalog: &Catalog) -> BTreeMap<u64, CatalogDocument> {
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert!(newest.n >= 2 * EACH as u64, "{} documents", newest.n);
    let mut documents = BTreeMap::new();
    let mut names: BTreeSet<_> = BTreeSet::new();
    for n in 1..=newest.n {
        let document = catalog.document(n).await.unwrap().expect("no number is missing");
        let now: BTreeSet<_> = document.collections.keys().cloned().collect();
        assert!(names.is_subset(&now), "document {n} lost a collection");
        names = now;
        documents.insert(n, document);
    }
    documents
}

/// The directory in which another process announces, and whose collections.
const RACE_IN: &str = "LARDER_TEST_RACE_IN";
const RACE_AS: &str = "LARDER_TEST_RACE_AS";

/// What one of two processes does; a test only when another test starts it.
#[tokio::test]
async fn race_for_another_test() {
    let (Ok(root), Ok(who)) = (env::var(RACE_IN), env::var(RACE_AS)) else { return };
    let catalog = open_catalog(&Location::Directory(root.into()));
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&name(&format!("ready-{who}")), None, &entry(1))).await.unwrap();
    let both = ["ready-0", "ready-1"].map(name);
    let all_ready = async {
        loop {
            let there = catalog.newest(None).await.unwrap().unwrap().collections;
            if both.iter().all(|one| there.contains_key(one)) {
                return;
            }
        }
    };
    timeout(DEADLINE, all_ready).await.expect("the other process comes");
    let own = announce_own(&running.handle, who.parse().unwrap()).await;
    running.end().await;
    for (name, entry, n) in own {
        let before = if n == 1 { None } else { catalog.document(n - 1).await.unwrap() };
        let document = catalog.document(n).await.unwrap().unwrap();
        assert_eq!(document.collections[&name], entry);
        assert!(before.is_none_or(|before| !before.collections.contains_key(&name)), "announced once");
    }
}

#[tokio::test]
async fn two_processes_lose_no_change_and_never_fork() {
    let root = tempfile::tempdir().unwrap();
    let catalog = open_catalog(&Location::Directory(root.path().to_owned()));
    // Which deployment it is was resolved before: publishers have that from their metadata.
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&name("first"), None, &entry(1))).await.unwrap();
    running.end().await;
    let race = |who: &str| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "catalog::announcing::race_for_another_test"]);
        command.env(RACE_IN, root.path()).env(RACE_AS, who).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for process in ["0", "1"].map(race) {
        let done = process.wait_with_output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    let documents = unbroken(&catalog).await;
    assert_eq!(documents.values().next_back().unwrap().collections.len(), 2 * EACH + 3);
}

#[tokio::test]
async fn freshness_is_gathered_into_one_head_and_only_rises() {
    let (faulty, catalog) = faulty();
    let pace = AnnouncerPace { interval: Duration::from_millis(200), ..quick() };
    let running = announcer(&catalog, None, pace);
    let handle = &running.handle;
    let (_, _) = tokio::join!(
        handle.announce(change(&name("a"), None, &entry(1))),
        handle.announce(change(&name("b"), None, &entry(1)))
    );
    let before = faulty.count(Request::Put, "catalog/head");
    let fresh = |text: &str, version, seconds| {
        handle.announce(Change::Freshness {
            name: name(text),
            version: Version(version),
            data_as_of: at(seconds),
        })
    };
    let (a, late, b, wrong) =
        tokio::join!(fresh("a", 1, 100), fresh("a", 1, 50), fresh("b", 1, 70), fresh("b", 9, 999));
    assert!(a.is_ok() && late.is_ok() && b.is_ok());
    assert!(matches!(wrong, Err(AnnounceError::Superseded)), "{wrong:?}");
    let head = catalog.head().await.unwrap().unwrap();
    assert_eq!(head.data_as_of[&name("a")].data_as_of, at(100));
    assert_eq!(faulty.count(Request::Put, "catalog/head") - before, 1);
    running.end().await;

    // Another process knows less, and takes nothing back.
    let running = announcer(&catalog, None, quick());
    running
        .handle
        .announce(Change::Freshness { name: name("b"), version: Version(1), data_as_of: at(60) })
        .await
        .unwrap();
    running.handle.announce(change(&name("c"), None, &entry(1))).await.unwrap();
    running.end().await;
    let head = catalog.head().await.unwrap().unwrap();
    let times: Vec<_> = head.data_as_of.values().map(|fresh| fresh.data_as_of).collect();
    assert_eq!(times, [at(100), at(70), at(1)]);
}

#[tokio::test]
async fn announcement_succeeds_when_head_cannot_be_written() {
    let (faulty, catalog) = faulty();
    faulty.decide(|request, path| match request {
        Request::Put if path.as_ref() == "catalog/head" => Fault::Fail,
        _ => Fault::None,
    });
    let running = announcer(&catalog, None, quick());
    let mut present = None;
    for version in 1..=20 {
        let next = entry(version);
        running.handle.announce(change(&name("a"), present.as_ref(), &next)).await.unwrap();
        present = Some(next);
    }
    // Without head the newest document is found all the same.
    assert_eq!(catalog.head().await.unwrap(), None);
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 20);
    faulty.heal();
    running.end().await;
    assert_eq!(catalog.head().await.unwrap().unwrap().n, 20, "written at the latest when the process ends");
}

#[tokio::test]
async fn the_newest_document_is_found_behind_a_stale_or_broken_head() {
    let memory = Arc::new(InMemory::new());
    let faulty = FaultyStore::new(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let catalog = catalog_over(Arc::clone(&faulty) as Arc<dyn ObjectStore>);
    let running = announcer(&catalog, None, quick());
    let first = entry(1);
    running.handle.announce(change(&name("a"), None, &first)).await.unwrap();
    let stale = memory.get(&Path::from("catalog/head")).await.unwrap().bytes().await.unwrap();
    let mut present = first;
    for version in 2..=40 {
        let next = entry(version);
        running.handle.announce(change(&name("a"), Some(&present), &next)).await.unwrap();
        present = next;
    }
    running.end().await;

    memory.put(&Path::from("catalog/head"), stale.into()).await.unwrap();
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 40);
    memory.put(&Path::from("catalog/head"), "{\"torn".into()).await.unwrap();
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 40);
    memory.delete(&Path::from("catalog/head")).await.unwrap();
    assert_eq!(catalog.newest(None).await.unwrap().unwrap().n, 40);

    // An announcer on a broken head builds on the newest, and repairs it.
    memory.put(&Path::from("catalog/head"), "{\"torn".into()).await.unwrap();
    let running = announcer(&catalog, None, quick());
    let announced = running.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap();
    assert_eq!(announced.n, 41);
    running.end().await;
    assert_eq!(catalog.head().await.unwrap().unwrap().n, 41);

    // Head names what is not there: nothing is built on an older document.
    faulty.next(Request::Get, "41.json", Fault::Hide, usize::MAX);
    assert!(matches!(catalog.newest(None).await, Err(Error::Store(store::Error::Missing(_)))));
}

#[tokio::test]
async fn newer_format_is_refused_with_its_code() {
    let memory = Arc::new(InMemory::new());
    let catalog = catalog_over(Arc::clone(&memory) as Arc<dyn ObjectStore>);
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
    let newer = format!("{{\"format\":{}}}", FORMAT + 1);
    memory.put(&document_path(2), newer.into()).await.unwrap();
    let refused = running.handle.announce(change(&name("b"), None, &entry(1))).await.unwrap_err();
    assert_eq!(refused.code(), "newer_format");
    assert_eq!(catalog.newest(None).await.unwrap_err().code(), "newer_format");
}

#[tokio::test]
async fn unknown_outcome_lasts_until_shutdown_and_is_reconciled_from_the_catalog() {
    let (faulty, catalog) = faulty();
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&name("a"), None, &entry(1))).await.unwrap();
    // The document arrives, and from then on the store is gone.
    let mut is_gone = false;
    faulty.decide(move |request, path| {
        let was_gone = is_gone;
        is_gone |= request == Request::Put && path.as_ref().ends_with("2.json");
        if was_gone {
            Fault::Fail
        } else if is_gone {
            Fault::LoseAnswer
        } else {
            Fault::None
        }
    });
    let open = entry(1);
    let waiting = running.handle.announce(change(&name("b"), None, &open));
    let shutdown = running.shutdown.clone();
    let (outcome, ()) = tokio::join!(timeout(DEADLINE, waiting), async {
        // Two looks after the put say that it keeps asking.
        while faulty.count(Request::Get, "2.json") < 3 {
            tokio::task::yield_now().await;
        }
        shutdown.cancel();
    });
    assert!(matches!(outcome, Ok(Err(AnnounceError::Unknown))), "{outcome:?}");
    faulty.heal();
    let resolved = catalog.find_announced(&name("b"), open.run_id, None).await.unwrap();
    assert_eq!(resolved, RunAnnouncement::Found { n: 2, entry: open.clone() });

    // Also when others have announced since; and a run that never was is not found.
    let running = announcer(&catalog, None, quick());
    running.handle.announce(change(&name("b"), Some(&open), &entry(2))).await.unwrap();
    running.handle.announce(change(&name("c"), None, &entry(1))).await.unwrap();
    let resolved = catalog.find_announced(&name("b"), open.run_id, None).await.unwrap();
    assert_eq!(resolved, RunAnnouncement::Found { n: 2, entry: open });
    let never = catalog.find_announced(&name("b"), entry(1).run_id, None).await.unwrap();
    assert_eq!(never, RunAnnouncement::NotFound { complete: true });
}

#[tokio::test]
async fn change_is_withdrawn_when_its_caller_is_dropped() {
    let (faulty, catalog) = faulty();
    faulty.decide(|_, _| Fault::Fail);
    let running = announcer(&catalog, None, quick());
    let mut gone = Box::pin(running.handle.announce(change(&name("gone"), None, &entry(1))));
    while faulty.count(Request::Get, "head") == 0 {
        assert!(futures::poll!(gone.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(gone);
    faulty.heal();
    running.handle.announce(change(&name("stays"), None, &entry(1))).await.unwrap();
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(newest.collections.into_keys().collect::<Vec<_>>(), [name("stays")]);
    assert_eq!(newest.n, 1);
}

#[tokio::test]
async fn nothing_is_announced_while_the_catalog_cannot_be_read() {
    let (faulty, catalog) = faulty();
    faulty.decide(|_, _| Fault::Fail);
    let pace = AnnouncerPace { patience: Duration::from_millis(20), ..quick() };
    let running = announcer(&catalog, None, pace);
    let outcome = running.handle.announce(change(&name("a"), None, &entry(1))).await;
    assert!(matches!(outcome, Err(AnnounceError::Unreachable(_))), "{outcome:?}");
    assert_eq!(faulty.count(Request::Put, ""), 0);
}

#[tokio::test]
async fn key_sets_are_announced_by_revision() {
    let (_, catalog) = faulty();
    let running = announcer(&catalog, None, quick());
    let set = |revision| {
        let catalog = catalog.clone();
        async move { catalog.publish_key_set(&KeySetDocument::new(revision, &[])).await.unwrap() }
    };
    let five = set(5).await;
    running.handle.announce(Change::Keys { from_revision: 0, reference: five.clone() }).await.unwrap();
    // A restored backup knows revision 3 and makes a 4.
    let four = Change::Keys { from_revision: 3, reference: set(4).await };
    assert!(matches!(running.handle.announce(four).await, Err(AnnounceError::Superseded)));
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(newest.keys, Some(five.clone()));
    assert_eq!(catalog.key_set(&five).await.unwrap().revision, 5);
}
