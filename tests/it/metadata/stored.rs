//! The story's part on stored configuration.

use larder::{
    domain::{StoredName, StoredSection},
    metadata::{Metadata, STORED_VERSIONS_MAX, StoredChange, StoredChanges},
};
use serde_json::{Value, json};

use super::noon;
use crate::support::node::tester;

fn entry(name: &str) -> StoredName {
    StoredName { section: StoredSection::Sources, name: name.to_owned() }
}

async fn change(metadata: &Metadata, name: &str, document: Option<&Value>, newest: u64) -> Option<u64> {
    change_together(metadata, &[(name, document)], &[], newest).await
}

async fn change_together(
    metadata: &Metadata,
    documents: &[(&str, Option<&Value>)],
    reencrypted: &[(u64, Value)],
    newest: u64,
) -> Option<u64> {
    let names: Vec<StoredName> = documents.iter().map(|(name, _)| entry(name)).collect();
    let changes = names.iter().zip(documents).map(|(entry, (_, document))| StoredChange {
        entry,
        document: *document,
        action: "source.save".to_owned(),
        detail: "x".to_owned(),
    });
    let changes: Vec<_> = changes.collect();
    let changes = StoredChanges { newest, changes: &changes, reencrypted };
    metadata.change_stored(changes, &tester()).await.unwrap()
}

pub(super) async fn configuration(metadata: &Metadata, other: &Metadata) {
    assert_eq!(metadata.stored_newest().await.unwrap(), 0);
    let first = json!({ "type": "sqlite", "odd": "\u{0}" });
    assert_eq!(change(metadata, "a", Some(&first), 0).await, Some(1));
    assert_eq!(change(other, "b", Some(&first), 0).await, None, "it was checked without the first");
    assert_eq!(other.stored_newest().await.unwrap(), 1);
    assert_eq!(change(other, "b", Some(&json!({})), 1).await, Some(2));
    assert_eq!(change(metadata, "b", None, 2).await, Some(3));
    let entries = other.stored_entries().await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0].entry, entries[0].version, &entries[0].document), (&entry("a"), 1, &Some(first)));
    assert_eq!((entries[0].author.as_str(), entries[0].created_at), ("test", noon()));
    let of_b = metadata.stored_versions(&entry("b")).await.unwrap();
    let of_b: Vec<_> = of_b.iter().map(|stored| (stored.version, stored.document.is_some())).collect();
    assert_eq!(of_b, [(3, false), (2, true)]);
    let log = metadata.audit_log(Some("sources.b"), 10).await.unwrap();
    assert_eq!(log.len(), 2, "refused changes leave no entry");

    // Writers at the same time: one comes first.
    let changes = (0..8).map(|at| {
        let metadata = if at % 2 == 0 { metadata.clone() } else { other.clone() };
        tokio::spawn(async move { change(&metadata, "c", Some(&json!({ "at": at })), 3).await })
    });
    let won = futures::future::join_all(changes).await.into_iter().filter_map(Result::unwrap).count();
    assert_eq!((won, metadata.stored_newest().await.unwrap()), (1, 4));

    // Only the newest versions are kept.
    for at in 4..4 + STORED_VERSIONS_MAX as u64 {
        assert_eq!(change(metadata, "c", Some(&json!({ "at": at })), at).await, Some(at + 1));
    }
    let kept = metadata.stored_versions(&entry("c")).await.unwrap();
    assert_eq!((kept.len(), kept.last().unwrap().version), (STORED_VERSIONS_MAX, 5));
    assert_eq!(metadata.stored_entries().await.unwrap().len(), 2);

    // Several changes take place together, with other ciphertexts of an earlier version, or not at all.
    let newest = metadata.stored_newest().await.unwrap();
    let (together, reencrypted) = ([("d", Some(&json!({}))), ("a", None)], [(1, json!({ "type": "other" }))]);
    assert_eq!(change_together(metadata, &together, &reencrypted, newest - 1).await, None);
    assert_eq!(metadata.stored_newest().await.unwrap(), newest);
    assert_eq!(change_together(other, &together, &reencrypted, newest).await, Some(newest + 2));
    let of_a = metadata.stored_versions(&entry("a")).await.unwrap();
    let of_a: Vec<_> = of_a.into_iter().map(|stored| (stored.version, stored.document)).collect();
    assert_eq!(of_a, [(newest + 2, None), (1, Some(json!({ "type": "other" })))]);
    let names: Vec<String> =
        other.stored_names().await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}
