//! The story's part on runs, held runs and rejected rows.

use chrono::TimeDelta;
use larder::{
    domain::{
        Principal,
        digest::Digest,
        error::ErrorKind,
        id::RunId,
        manifest::Version,
        run::{RejectedRow, RunCounts, RunError, RunProgress, RunRecord, RunStatus},
    },
    metadata::{Metadata, RunManifest},
    support::random,
};

use super::{name, noon};

fn run(sync: &str, minute: i64, status: RunStatus) -> RunRecord {
    let started_at = noon() + TimeDelta::minutes(minute);
    RunRecord {
        id: RunId::from_uuid(random::uuid_at(started_at.timestamp_millis().try_into().unwrap())),
        sync: name(sync),
        status,
        trigger: "schedule".to_owned(),
        started_at,
        finished_at: (!status.is_open()).then(|| started_at + TimeDelta::seconds(3)),
        data_as_of: None,
        version: None,
        counts: RunCounts::default(),
        error: None,
    }
}

pub(super) async fn lifecycle(metadata: &Metadata) {
    let customer = name("customer");
    assert_eq!(metadata.last_run(&customer).await.unwrap(), None);
    let mut first = run("customer", 0, RunStatus::Running);
    metadata.insert_run(&first).await.unwrap();
    assert_eq!(metadata.run(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(metadata.open_runs(&customer).await.unwrap(), [first.clone()]);
    let error = metadata.insert_run(&first).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");

    let digest = Digest::of(b"manifest");
    assert!(metadata.set_run_manifest(first.id, "manifests/1.json", digest).await.unwrap());
    assert_eq!(metadata.announced_run(&customer, Version(41)).await.unwrap(), None);

    first.status = RunStatus::Announced;
    first.finished_at = Some(noon() + TimeDelta::milliseconds(1500));
    first.data_as_of = Some(noon() - TimeDelta::microseconds(1));
    first.version = Some(Version(41));
    first.counts =
        RunCounts { rows: 1, added: 2, changed: 3, removed: 4, rejected: 5, ..RunCounts::default() };
    assert!(metadata.update_run(&first).await.unwrap());
    assert_eq!(metadata.run(first.id).await.unwrap(), Some(first.clone()), "all of it is stored");
    assert!(metadata.open_runs(&customer).await.unwrap().is_empty());
    assert!(!metadata.set_run_manifest(first.id, "manifests/2.json", digest).await.unwrap());
    let manifest = metadata.announced_run(&customer, Version(41)).await.unwrap();
    let object = "manifests/1.json".to_owned();
    assert_eq!(manifest, Some((first.clone(), RunManifest { object, sha256: digest })));

    let mut failed = run("customer", 2, RunStatus::Running);
    let elsewhere = run("product", 1, RunStatus::Announcing);
    metadata.insert_run(&failed).await.unwrap();
    metadata.insert_run(&elsewhere).await.unwrap();
    failed.status = RunStatus::Failed;
    failed.error = Some(RunError { code: "source_unavailable".to_owned(), message: "no\0 route".to_owned() });
    assert!(metadata.update_run(&failed).await.unwrap());
    failed.error = failed.error.map(|it| RunError { message: it.message.replace('\0', "\u{fffd}"), ..it });
    assert_eq!(metadata.last_run(&customer).await.unwrap(), Some(failed.clone()));
    assert_eq!(metadata.runs(None, 10).await.unwrap(), [failed.clone(), elsewhere.clone(), first.clone()]);
    assert_eq!(metadata.runs(Some(&customer), 10).await.unwrap(), [failed.clone(), first]);
    assert_eq!(metadata.runs(Some(&customer), 1).await.unwrap(), [failed]);
    assert_eq!(metadata.open_runs(&name("product")).await.unwrap(), [elsewhere]);
}

pub(super) async fn ended_runs_stay_ended(metadata: &Metadata) {
    let sync = "settled";
    for ended in [
        RunStatus::Announced,
        RunStatus::Unchanged,
        RunStatus::Failed,
        RunStatus::Cancelled,
        RunStatus::Superseded,
        RunStatus::Interrupted,
    ] {
        let mut it = run(sync, 0, ended);
        metadata.insert_run(&it).await.unwrap();
        for next in [RunStatus::Running, RunStatus::Announcing, RunStatus::Held, RunStatus::Failed] {
            it.status = next;
            assert_eq!(metadata.update_run(&it).await.unwrap(), next == ended, "{ended} to {next}");
        }
        assert_eq!(metadata.run(it.id).await.unwrap().unwrap().status, ended);
        it.status = ended;
        it.counts.rows = 7;
        assert!(metadata.update_run(&it).await.unwrap(), "its counts may follow");
        assert_eq!(metadata.run(it.id).await.unwrap().unwrap().counts.rows, 7);
    }
    assert!(!metadata.update_run(&run(sync, 0, RunStatus::Running)).await.unwrap(), "no such run");
}

pub(super) async fn of_many_syncs(metadata: &Metadata) {
    let before = metadata.statements();
    let (earlier, earlier_held) = (metadata.last_runs().await.unwrap(), metadata.held_runs().await.unwrap());
    let (mut last, mut held) = (earlier.clone(), earlier_held.clone());
    assert_eq!(metadata.statements() - before, 2);
    for sync in ["many_1", "many_2", "MANY_3", "many-4"] {
        for minute in 0..3 {
            let ended = run(sync, minute, RunStatus::Failed);
            metadata.insert_run(&ended).await.unwrap();
            last.insert(name(sync), ended);
        }
    }
    // Of two at the same time, the one with the higher id is the last.
    let mut same = run("many_1", 2, RunStatus::Cancelled);
    let other = last[&name("many_1")].id;
    metadata.insert_run(&same).await.unwrap();
    if same.id > other {
        last.insert(name("many_1"), same.clone());
    }
    same = run("many-4", 4, RunStatus::Running);
    metadata.insert_run(&same).await.unwrap();
    assert!(metadata.hold_run(&same, "manifests/many", Digest::of(b"many"), None).await.unwrap());
    same = metadata.run(same.id).await.unwrap().unwrap();
    held.insert(name("many-4"), same.id);
    last.insert(name("many-4"), same);
    let before = metadata.statements();
    assert_eq!(metadata.last_runs().await.unwrap(), last);
    assert_eq!(metadata.held_runs().await.unwrap(), held);
    assert_eq!(metadata.statements() - before, 2, "however many there are");
    metadata.supersede_held(&name("many-4")).await.unwrap();

    let sync = name("many_versions");
    let mut announced = Vec::new();
    for (minute, version) in (0_i64..).zip([1, 2, 2, 3, 4]) {
        let mut run = run("many_versions", minute, RunStatus::Announcing);
        metadata.insert_run(&run).await.unwrap();
        let object = format!("manifests/{minute}");
        assert!(metadata.set_run_manifest(run.id, &object, Digest::of(b"many")).await.unwrap());
        run.version = Some(Version(version));
        run.status = RunStatus::Announced;
        assert!(metadata.update_run(&run).await.unwrap());
        announced.push((run, RunManifest { object, sha256: Digest::of(b"many") }));
    }
    let found = metadata.announced_versions(&sync, (Version(2), Version(3))).await.unwrap();
    let newest_of_2 = (Version(2), announced[2].clone());
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [newest_of_2, (Version(3), announced[3].clone())]);
}

pub(super) async fn held_runs(metadata: &Metadata) {
    let sync = name("guarded");
    let (one, two) = (run("guarded", 1, RunStatus::Running), run("guarded", 2, RunStatus::Running));
    metadata.insert_run(&one).await.unwrap();
    metadata.insert_run(&two).await.unwrap();
    assert_eq!(metadata.held_run(&sync).await.unwrap(), None);
    let (manifest, base) = (Digest::of(b"held"), Digest::of(b"base"));
    assert!(metadata.hold_run(&one, "manifests/one", manifest, None).await.unwrap());
    let held = metadata.held_run(&sync).await.unwrap().unwrap();
    assert_eq!((held.record.id, held.record.status, held.from), (one.id, RunStatus::Held, None));

    assert!(metadata.hold_run(&two, "manifests/two", manifest, Some(base)).await.unwrap());
    assert_eq!(metadata.run(one.id).await.unwrap().unwrap().status, RunStatus::Superseded);
    let held = metadata.held_run(&sync).await.unwrap().unwrap();
    assert_eq!((held.record.id, held.manifest.as_str()), (two.id, "manifests/two"));
    assert_eq!((held.manifest_sha256, held.from), (manifest, Some(base)));
    assert_eq!(metadata.held_run_by_id(two.id).await.unwrap().as_ref(), Some(&held));
    assert_eq!(metadata.held_run_by_id(one.id).await.unwrap(), None);
    assert_eq!(metadata.manifests_in_use().await.unwrap(), ["manifests/two"]);

    assert!(!metadata.hold_run(&one, "manifests/one", manifest, None).await.unwrap(), "it has ended");
    assert_eq!(metadata.held_run(&sync).await.unwrap().unwrap().record.id, two.id, "and replaces nothing");

    let mut approved = held.record;
    approved.status = RunStatus::Running;
    assert!(!metadata.update_run(&approved).await.unwrap(), "a held run does not run again");
    approved.status = RunStatus::Announcing;
    approved.version = Some(Version(7));
    assert!(metadata.update_run(&approved).await.unwrap(), "but it may be approved");
    assert_eq!(metadata.manifests_in_use().await.unwrap(), ["manifests/two"], "it may be needed still");
    assert_eq!(metadata.announced_run(&sync, Version(7)).await.unwrap(), None);
    approved.status = RunStatus::Held;
    assert!(metadata.update_run(&approved).await.unwrap(), "held on, when nothing came of it");
    approved.status = RunStatus::Announced;
    assert!(metadata.update_run(&approved).await.unwrap());
    let (last, found) = metadata.announced_run(&sync, Version(7)).await.unwrap().unwrap();
    assert_eq!((last.id, found.object.as_str(), found.sha256), (two.id, "manifests/two", manifest));
    assert_eq!(metadata.announced_run(&name("other"), Version(7)).await.unwrap(), None);
    assert!(metadata.manifests_in_use().await.unwrap().is_empty());
    assert_eq!(metadata.supersede_held(&sync).await.unwrap(), None);

    let three = run("guarded", 3, RunStatus::Running);
    metadata.insert_run(&three).await.unwrap();
    assert!(metadata.hold_run(&three, "manifests/three", manifest, Some(base)).await.unwrap());
    assert_eq!(metadata.supersede_held(&sync).await.unwrap(), Some(three.id));
    assert_eq!(metadata.run(three.id).await.unwrap().unwrap().status, RunStatus::Superseded);
    assert_eq!(metadata.held_run(&sync).await.unwrap(), None);
}

pub(super) async fn rejected_rows(metadata: &Metadata) {
    let it = run("rejecting", 0, RunStatus::Running);
    metadata.insert_run(&it).await.unwrap();
    let row = |reason: &str, key: Option<String>| RejectedRow {
        reason: reason.to_owned(),
        field: Some("profile".to_owned()),
        primary_key: key,
    };
    let first = [row("invalid_json", Some("k\0".to_owned())), row("missing_primary_key", None)];
    metadata.add_rejected(it.id, &first).await.unwrap();
    let many: Vec<_> = (0..150).map(|number| row("invalid_json", Some(number.to_string()))).collect();
    metadata.add_rejected(it.id, &many).await.unwrap();
    metadata.add_rejected(it.id, &[row("primary_key_too_long", Some("é".repeat(1000)))]).await.unwrap();
    metadata.add_rejected(it.id, &[]).await.unwrap();
    let stored = metadata.rejected(it.id).await.unwrap();
    assert_eq!(stored.len(), 102, "100 of one reason, one each of two others");
    assert_eq!(stored[0].primary_key.as_deref(), Some("k\u{fffd}"));
    assert_eq!(stored[1], first[1]);
    assert_eq!(stored[2].primary_key.as_deref(), Some("0"), "in the order of arrival");
    assert_eq!(stored[101].primary_key.as_deref().map(str::len), Some(1024));

    for reason in 0..12 {
        let rows: Vec<_> = (0..100).map(|_| row(&format!("reason {reason}"), None)).collect();
        metadata.add_rejected(it.id, &rows).await.unwrap();
    }
    assert_eq!(metadata.rejected(it.id).await.unwrap().len(), 1000);

    // Only the last runs of a sync keep theirs, and a held one.
    let (held, other) =
        (run("rejecting", 1, RunStatus::Running), run("rejecting-too", 0, RunStatus::Running));
    metadata.insert_run(&held).await.unwrap();
    assert!(metadata.hold_run(&held, "manifest", Digest::of(b"manifest"), None).await.unwrap());
    metadata.insert_run(&other).await.unwrap();
    for one in [&held, &other] {
        metadata.add_rejected(one.id, &first).await.unwrap();
    }
    let mut runs = Vec::new();
    for minute in 2..14 {
        // Runs without rejected rows do not count.
        metadata.insert_run(&run("rejecting", minute, RunStatus::Unchanged)).await.unwrap();
        let one = run("rejecting", minute, RunStatus::Unchanged);
        metadata.insert_run(&one).await.unwrap();
        metadata.add_rejected(one.id, &first).await.unwrap();
        runs.push(one.id);
    }
    let mut kept = Vec::new();
    for id in runs {
        kept.push(metadata.rejected(id).await.unwrap().len());
    }
    assert_eq!(kept, [[0; 2].as_slice(), &[2; 10]].concat());
    assert_eq!(metadata.rejected(it.id).await.unwrap(), []);
    for one in [&held, &other] {
        assert_eq!(metadata.rejected(one.id).await.unwrap().len(), 2, "{}", one.sync);
    }
    let nobody = RunId::from_uuid(random::uuid());
    assert_eq!(metadata.rejected(nobody).await.unwrap(), []);
    let error = metadata.add_rejected(nobody, &first).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "no such run: {error}");
}

pub(super) async fn queries(metadata: &Metadata) {
    let runs: Vec<RunRecord> = (0..3).map(|minute| run("queried", minute, RunStatus::Running)).collect();
    for it in &runs {
        metadata.insert_run(it).await.unwrap();
    }
    assert_eq!(metadata.run_query(runs[0].id).await.unwrap(), None);
    for (it, text, at) in
        [(&runs[0], "select 1", 0), (&runs[1], "select 1", 5), (&runs[2], "select '\u{e5}\0'", 5)]
    {
        metadata.set_run_query(it.id, text, noon() + TimeDelta::minutes(at)).await.unwrap();
    }
    let text = async |it: &RunRecord| metadata.run_query(it.id).await.unwrap();
    assert_eq!(text(&runs[0]).await.as_deref(), Some("select 1"));
    assert_eq!(text(&runs[2]).await.as_deref(), Some("select '\u{e5}\u{fffd}'"));
    let nobody = RunId::from_uuid(random::uuid());
    metadata.set_run_query(nobody, "select 2", noon()).await.unwrap();

    // A text stays while a run refers to it, and while a run that is being recorded may.
    assert_eq!(metadata.prune_queries(noon()).await.unwrap(), 0);
    assert_eq!(metadata.prune_queries(noon() + TimeDelta::minutes(1)).await.unwrap(), 1);
    assert_eq!(metadata.prune_queries(noon() + TimeDelta::hours(1)).await.unwrap(), 0);
    assert_eq!(text(&runs[1]).await.as_deref(), Some("select 1"));

    let of = async |trigger| metadata.runs_started_by(&name("queried"), trigger, 2).await.unwrap().len();
    assert_eq!((of("schedule").await, of("dbt:1").await), (2, 0));
}

pub(super) async fn pruning(metadata: &Metadata) {
    let sync = name("pruned");
    let mut all = Vec::new();
    for minute in 0..10 {
        let status = if minute == 0 { RunStatus::Running } else { RunStatus::Unchanged };
        let it = run("pruned", minute, status);
        metadata.insert_run(&it).await.unwrap();
        let row = RejectedRow { reason: "invalid_json".to_owned(), field: None, primary_key: None };
        metadata.add_rejected(it.id, &[row]).await.unwrap();
        all.push(it);
    }
    let long_ago = noon() - TimeDelta::days(400);
    assert_eq!(metadata.prune_runs(1000, 0, long_ago).await.unwrap(), 0);
    assert_eq!(
        metadata.prune_runs(7, 0, long_ago).await.unwrap(),
        2,
        "one of the three past the seventh is open"
    );
    assert_eq!(metadata.rejected(all[1].id).await.unwrap(), [], "its rejected rows go with it");
    assert_eq!(metadata.rejected(all[3].id).await.unwrap().len(), 1);

    let others = metadata.runs(None, 1000).await.unwrap().len() - 8;
    let horizon = noon() + TimeDelta::days(1);
    assert!(metadata.prune_runs(1000, 0, horizon).await.unwrap() >= 6);
    let left: Vec<_> = metadata.runs(Some(&sync), 100).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(left, [all[9].id, all[0].id], "the newest and the open one stay");
    assert!(metadata.runs(None, 1000).await.unwrap().len() <= others + 2);
    assert!(metadata.last_run(&name("customer")).await.unwrap().is_some());

    // Runs that announced a version are kept, regardless of their age and of later runs without a result.
    let sync = name("announcing");
    for minute in 0..12_i64 {
        let status = if minute < 4 { RunStatus::Announced } else { RunStatus::Unchanged };
        let version = (minute < 4).then(|| Version(minute.unsigned_abs() + 1));
        metadata.insert_run(&RunRecord { version, ..run("announcing", minute, status) }).await.unwrap();
    }
    metadata.prune_runs(2, 3, horizon).await.unwrap();
    let versions = |runs: Vec<RunRecord>| runs.into_iter().map(|it| it.version).collect::<Vec<_>>();
    let announced = [Some(Version(4)), Some(Version(3)), Some(Version(2))];
    let [newest, left @ ..] = &versions(metadata.runs(Some(&sync), 100).await.unwrap())[..] else { panic!() };
    assert_eq!((*newest, left), (None, &announced[..]));
    assert_eq!(versions(metadata.announced_runs(Some(&sync), 100).await.unwrap()), announced);
    assert_eq!(versions(metadata.announced_runs(Some(&sync), 2).await.unwrap()), announced[..2]);
    assert_eq!(versions(metadata.announced_runs(Some(&name("pruned")), 2).await.unwrap()), []);
    assert_eq!(versions(metadata.announced_runs(None, 2).await.unwrap()), announced[..2]);
}

pub(super) async fn pages_progress_and_cancellation(metadata: &Metadata) {
    let sync = name("paged");
    let mut all = Vec::new();
    for minute in 0..7 {
        let status = if minute % 2 == 0 { RunStatus::Announced } else { RunStatus::Failed };
        // Two of one moment: their ids decide.
        let run = run("paged", minute / 2, status);
        metadata.insert_run(&run).await.unwrap();
        all.push(run);
    }
    all.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.id.to_string())));
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = metadata.runs_before(Some(&sync), false, before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.started_at, last.id));
        seen.extend(page);
    }
    assert_eq!(seen, all);
    let announced = metadata.runs_before(Some(&sync), true, None, 100).await.unwrap();
    assert_eq!(announced.len(), 4);
    assert!(announced.iter().all(|run| run.status == RunStatus::Announced));

    let open = run("paged", 60, RunStatus::Running);
    metadata.insert_run(&open).await.unwrap();
    assert_eq!(metadata.run_progress(open.id).await.unwrap(), None);
    let progress = RunProgress { rows: 5, changed: 3, expected: 9 };
    assert!(!metadata.report_progress(open.id, progress).await.unwrap());
    assert_eq!(metadata.run_progress(open.id).await.unwrap(), Some(progress));
    let jane = Principal::command_line("jane");
    assert!(metadata.request_cancel(open.id, &jane, noon()).await.unwrap());
    assert!(metadata.request_cancel(open.id, &jane, noon()).await.unwrap(), "twice");
    assert!(metadata.report_progress(open.id, progress).await.unwrap(), "an operator wants its end");
    assert!(!metadata.request_cancel(all[0].id, &jane, noon()).await.unwrap(), "it has ended");
    let ended = RunRecord { status: RunStatus::Cancelled, ..open };
    assert!(metadata.update_run(&ended).await.unwrap());
    assert!(!metadata.report_progress(ended.id, progress).await.unwrap());
    let log = metadata.audit_log(Some("paged"), 10).await.unwrap();
    assert_eq!((log.len(), log[0].action.as_str()), (2, "run.cancel"));
    let first = metadata.audit_before(Some("paged"), None, 1).await.unwrap();
    let second = metadata.audit_before(Some("paged"), Some((first[0].1.at, first[0].0)), 10).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].0, second[0].0);
}
