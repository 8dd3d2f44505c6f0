//! The story's part on deployment, keys and audit log.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use larder::{
    domain::{
        AdminKeyEntry, AdminRole, Principal,
        digest::Digest,
        error::ErrorKind,
        id::DeploymentId,
        keyset::{KeyEntry, KeyLimits, KeySet, Scope},
    },
    metadata::{AuditEntry, Claim, Metadata},
    support::random,
};

use super::{name, noon};
use crate::support::node::tester;

fn jane() -> Principal {
    Principal::command_line("jane")
}

pub(super) fn key(id: &str, grant: Scope) -> KeyEntry {
    KeyEntry {
        id: id.to_owned(),
        sha256: Digest::of(id.as_bytes()),
        name: format!("key {id}"),
        grant,
        created_at: noon(),
        expires_at: Some(noon() + TimeDelta::days(90)),
        limits: KeyLimits::default(),
        previous: None,
    }
}

pub(super) async fn deployment(metadata: &Metadata, other: &Metadata) {
    let (first, second) = (DeploymentId::from_uuid(random::uuid()), DeploymentId::from_uuid(random::uuid()));
    assert_eq!(metadata.deployment().await.unwrap(), None);
    assert_eq!(metadata.fix_deployment(first).await.unwrap(), first);
    assert_eq!(other.fix_deployment(second).await.unwrap(), first, "the first writer wins");
    assert_eq!(other.deployment().await.unwrap(), Some(first));
}

pub(super) async fn lifecycle(metadata: &Metadata, other: &Metadata) {
    assert_eq!(metadata.active_keys().await.unwrap(), (0, vec![]));
    let all = key("aaaaaaaaaaaa", Scope::AllCollections);
    let some = key("bbbbbbbbbbbb", Scope::Collections(vec![name("customer"), name("product")]));
    assert_eq!(metadata.create_key(&all, &jane()).await.unwrap(), 1);
    assert_eq!(metadata.create_key(&some, &jane()).await.unwrap(), 2);
    assert_eq!(other.active_keys().await.unwrap(), (2, vec![all.clone(), some.clone()]));

    let error = metadata.create_key(&all, &jane()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "metadata_conflict"), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("api_keys"), "the constraint is named: {shown}");
    assert!(!shown.contains(&all.id) && !shown.contains(&all.name), "no value is shown: {shown}");
    assert_eq!(metadata.active_keys().await.unwrap().0, 2, "a refused key changes nothing");

    let later = noon() + TimeDelta::minutes(1);
    assert_eq!(metadata.revoke_key("unknown", &jane(), later).await.unwrap(), None);
    assert_eq!(metadata.revoke_key(&all.id, &jane(), later).await.unwrap(), Some(3));
    assert_eq!(
        other.revoke_key(&all.id, &Principal::command_line("joe"), later).await.unwrap(),
        Some(3),
        "revoked already"
    );
    assert_eq!(other.active_keys().await.unwrap(), (3, vec![some.clone()]));
    let list = other.keys().await.unwrap();
    assert_eq!(list.revision, 3);
    let listed: Vec<_> = list.keys.iter().map(|key| (&key.entry, key.revoked_at)).collect();
    assert_eq!(listed, [(&all, Some(later)), (&some, None)]);

    let log = metadata.audit_log(None, 10).await.unwrap();
    let actions: Vec<_> = log.iter().map(|it| (it.action.as_str(), it.subject.as_str(), it.at)).collect();
    assert_eq!(
        actions,
        [
            ("key.revoke", "aaaaaaaaaaaa", later),
            ("key.create", "bbbbbbbbbbbb", noon()),
            ("key.create", "aaaaaaaaaaaa", noon()),
        ],
        "one entry per change, none for what changed nothing"
    );
    assert_eq!(log[1].detail.as_deref(), Some("key bbbbbbbbbbbb: opens customer, product"));
}

pub(super) async fn concurrent_keys(metadata: &Metadata) {
    let before = metadata.active_keys().await.unwrap().0;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let metadata = metadata.clone();
            // Spawned: the futures must be Send.
            tokio::spawn(async move {
                let key = key(&format!("concurrent{number:02}"), Scope::AllCollections);
                let revision = metadata.create_key(&key, &tester()).await.unwrap();
                let (seen, keys) = metadata.active_keys().await.unwrap();
                assert!(seen >= revision && keys.contains(&key), "a key is there at its revision");
                revision
            })
        })
        .collect();
    let mut revisions = BTreeSet::new();
    for task in tasks {
        revisions.insert(task.await.unwrap());
    }
    assert_eq!(revisions.into_iter().collect::<Vec<_>>(), (before + 1..=before + 8).collect::<Vec<_>>());
}

pub(super) async fn restored_backup(metadata: &Metadata) {
    let (revision, active) = metadata.active_keys().await.unwrap();

    // The announced set is ahead: it lacks the first key and has an unknown one.
    let unknown = key("newnewnewnew", Scope::AllCollections);
    let mut announced = active.clone();
    let lost = announced.remove(0);
    announced.push(unknown.clone());
    let set = |revision, keys: &[KeyEntry], refused| KeySet { revision, keys: keys.to_vec(), refused };
    metadata.keys_announced(revision).await.unwrap();
    metadata.keys_announced(revision - 1).await.unwrap();
    assert_eq!(metadata.announced_keys_revision().await.unwrap(), revision, "it only rises");
    metadata.adopt_key_set(&set(revision, &announced, 0), &tester()).await.unwrap();
    assert_eq!(metadata.active_keys().await.unwrap().1, active, "a set that is known changes nothing");
    metadata.adopt_key_set(&set(revision + 9, &announced, 1), &tester()).await.unwrap_err();
    metadata.adopt_key_set(&set(revision + 9, &announced, 0), &tester()).await.unwrap();
    assert_eq!(metadata.announced_keys_revision().await.unwrap(), revision + 9);
    let (adopted, mut keys) = metadata.active_keys().await.unwrap();
    assert_eq!(adopted, revision + 9);
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    announced.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(keys, announced);
    assert!(
        metadata.revoke_key(&lost.id, &tester(), noon()).await.unwrap() == Some(revision + 9),
        "revoked already"
    );
    assert_eq!(metadata.revoke_key(&unknown.id, &tester(), noon()).await.unwrap(), Some(revision + 10));

    // A key revoked here that the announced set still opens is never revived: the revision moves on.
    let revived = KeySet { revision: revision + 20, keys: vec![unknown, announced.remove(0)], refused: 0 };
    metadata.adopt_key_set(&revived, &tester()).await.unwrap();
    assert_eq!(metadata.active_keys().await.unwrap(), (revision + 21, vec![revived.keys[1].clone()]));

    // Changes that are still to be announced stay, although the announced set has a higher revision.
    let pending = key("pendingpendi", Scope::AllCollections);
    assert_eq!(metadata.create_key(&pending, &tester()).await.unwrap(), revision + 22);
    metadata.adopt_key_set(&set(revision + 30, &[], 0), &tester()).await.unwrap();
    assert_eq!(metadata.active_keys().await.unwrap(), (revision + 31, vec![pending.clone()]));

    // A new secret of a key is taken over, unless the key has one here that is still to be announced.
    metadata.keys_announced(revision + 31).await.unwrap();
    let elsewhere = KeyEntry { sha256: Digest::of(b"elsewhere"), ..pending };
    metadata
        .adopt_key_set(&set(revision + 40, std::slice::from_ref(&elsewhere), 0), &tester())
        .await
        .unwrap();
    assert_eq!(metadata.active_keys().await.unwrap(), (revision + 40, vec![elsewhere.clone()]));
    let rotate = |entry: &mut KeyEntry| {
        entry.sha256 = Digest::of(b"here");
        "rotated".to_owned()
    };
    let here = metadata.change_key(&elsewhere.id, &tester(), "key.rotate", rotate).await.unwrap().unwrap();
    metadata.adopt_key_set(&set(revision + 50, &[elsewhere], 0), &tester()).await.unwrap();
    assert_eq!(metadata.active_keys().await.unwrap(), (revision + 51, vec![here]));
    assert!(
        metadata.change_key("nosuch", &tester(), "key.rotate", |_| String::new()).await.unwrap().is_none()
    );
    assert_eq!(metadata.active_keys().await.unwrap().0, revision + 51, "a change of no key raises nothing");
}

pub(super) async fn audit_log(metadata: &Metadata) {
    let scheduler = Principal::admin_key("scheduler", "4f9k2Lq0XyZ1", "10.0.0.7");
    let detail = Some("x".repeat(5000));
    let entry = AuditEntry::new(noon() + TimeDelta::hours(1), &scheduler, "sync.run", "customer", detail);
    let id = metadata.audit(&entry).await.unwrap();
    let log = metadata.audit_log(None, 1).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].detail.as_deref().map(str::len), Some(4096), "bounded");
    assert_eq!(log[0].address.as_deref(), Some("10.0.0.7"));
    assert_eq!((log[0].at, &log[0].actor, &log[0].action), (entry.at, &entry.actor, &entry.action));
    assert!(metadata.audit_log(None, 1000).await.unwrap().len() > 10);
    // The outcome replaces the detail of its entry; other entries stay as they are.
    metadata.audit_ended(id, "unchanged\0").await.unwrap();
    let expected = AuditEntry { detail: Some("unchanged\u{fffd}".to_owned()), ..entry };
    assert_eq!(metadata.audit_log(Some("customer"), 1000).await.unwrap(), [expected]);
    assert_eq!(metadata.audit_log(Some("nothing"), 1000).await.unwrap(), []);
    assert!(metadata.prune_audit_log(noon() + TimeDelta::minutes(30)).await.unwrap() > 10);
    assert_eq!(metadata.audit_log(None, 1000).await.unwrap().len(), 1);
}

pub(super) async fn admin_keys(metadata: &Metadata, other: &Metadata) {
    let key = |id: &str, role| AdminKeyEntry {
        id: id.to_owned(),
        sha256: Digest::of(id.as_bytes()),
        name: format!("key {id}"),
        role,
        created_at: noon(),
        created_by: "cli:jane".to_owned(),
        expires_at: Some(noon() + TimeDelta::days(90)),
        revoked_at: None,
        last_used_at: None,
    };
    let (first, second) = (key("aaaaaaaaaaaa", AdminRole::Admin), key("bbbbbbbbbbbb", AdminRole::Viewer));
    let jane = jane();
    let both = tokio::join!(
        metadata.create_admin_key(&first, &jane, true),
        other.create_admin_key(&second, &jane, true)
    );
    let only = match (both.0.unwrap(), both.1.unwrap()) {
        (true, false) => first.clone(),
        (false, true) => second.clone(),
        stored => panic!("{stored:?}: one of two is the first"),
    };
    assert_eq!(metadata.admin_keys().await.unwrap(), std::slice::from_ref(&only));
    let third = key("cccccccccccc", AdminRole::Operator);
    assert!(metadata.create_admin_key(&third, &jane, false).await.unwrap());
    let conflict = metadata.create_admin_key(&third, &jane, false).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict, "{conflict}");
    assert_eq!(other.admin_keys().await.unwrap(), [only.clone(), third.clone()]);
    let later = noon() + TimeDelta::minutes(1);
    assert!(other.revoke_admin_key(&only.id, &jane, later).await.unwrap());
    assert!(metadata.revoke_admin_key(&only.id, &jane, later + TimeDelta::minutes(1)).await.unwrap());
    assert!(!metadata.revoke_admin_key("unknown", &jane, later).await.unwrap());
    metadata.touch_admin_key(&third.id, later).await.unwrap();
    other.touch_admin_key(&third.id, noon()).await.unwrap();
    let third = AdminKeyEntry { last_used_at: Some(later), ..third };
    let revoked = AdminKeyEntry { revoked_at: Some(later), ..only };
    assert_eq!(metadata.admin_keys().await.unwrap(), [revoked, third], "the first revocation counts");
}

pub(super) async fn repeated_requests(metadata: &Metadata, other: &Metadata) {
    let (request, changed, now) = (Digest::of(b"request"), Digest::of(b"changed"), noon());
    let claim =
        async |from: &Metadata, request, at| from.claim_request("key", "name", request, at).await.unwrap();
    let both = tokio::join!(claim(metadata, request, now), claim(other, request, now));
    let is_one = matches!(both, (Claim::New, Claim::UnderWay) | (Claim::UnderWay, Claim::New));
    assert!(is_one, "{both:?}");
    metadata.answer_request("key", "name", r#"{"id":1}"#).await.unwrap();
    let answered = Claim::Answered(r#"{"id":1}"#.to_owned());
    assert_eq!(claim(other, request, now).await, answered);
    assert_eq!(claim(other, changed, now).await, Claim::OtherRequest);
    assert_eq!(
        metadata.claim_request("other", "name", changed, now).await.unwrap(),
        Claim::New,
        "its own keys"
    );
    metadata.release_request("other", "name").await.unwrap();
    assert_eq!(
        metadata.claim_request("other", "name", request, now).await.unwrap(),
        Claim::New,
        "it failed before"
    );
    let later = now + TimeDelta::minutes(11);
    assert_eq!(
        metadata.claim_request("other", "name", request, later).await.unwrap(),
        Claim::New,
        "abandoned"
    );
    assert_eq!(claim(other, request, later).await, answered);
    assert_eq!(metadata.prune_requests(now + TimeDelta::hours(25)).await.unwrap(), 2);
    assert_eq!(claim(other, changed, now).await, Claim::New);
}
