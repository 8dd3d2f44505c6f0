//! The next document: changes put on the newest one. Pure.

use super::{AnnounceError, Change};
use crate::domain::{
    catalog::CatalogDocument,
    id::{AnnouncementId, DeploymentId},
    limits::{COLLECTIONS_MAX, FORMAT},
};

/// The document that follows `base` (or the first), without any change yet.
pub(super) fn follow(
    base: Option<&CatalogDocument>,
    deployment: DeploymentId,
    announced_by: AnnouncementId,
) -> CatalogDocument {
    match base {
        Some(base) => CatalogDocument { format: FORMAT, n: base.n + 1, announced_by, ..base.clone() },
        None => CatalogDocument {
            format: FORMAT,
            deployment,
            n: 1,
            announced_by,
            keys: None,
            collections: std::collections::BTreeMap::new(),
        },
    }
}

/// Puts `change` on the document, when that is still what the change was made from.
pub(super) fn put(document: &mut CatalogDocument, change: &Change) -> Result<(), AnnounceError> {
    let collections = &mut document.collections;
    match change {
        Change::Collection { name, from, entry, .. } => {
            let present = collections.get(name);
            let is_next = present.map(|present| present.sha256) == *from
                && present.is_none_or(|present| entry.version >= present.version);
            if !is_next {
                return Err(AnnounceError::Superseded);
            }
            if present.is_none() && collections.len() >= COLLECTIONS_MAX {
                return Err(AnnounceError::Full);
            }
            collections.insert(name.clone(), entry.clone());
        }
        Change::Remove { name, from } => {
            if collections.get(name).map(|present| present.sha256) != Some(*from) {
                return Err(AnnounceError::Superseded);
            }
            collections.remove(name);
        }
        Change::Keys { from_revision, reference } => {
            let present = document.keys.as_ref().map_or(0, |keys| keys.revision);
            if present != *from_revision || reference.revision <= present {
                return Err(AnnounceError::Superseded);
            }
            document.keys = Some(reference.clone());
        }
        Change::Freshness { .. } => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        catalog::{CollectionEntry, KeySetReference},
        digest::Digest,
        id::RunId,
        manifest::Version,
        name::CollectionName,
    };

    fn name(text: &str) -> CollectionName {
        CollectionName::new(text).unwrap()
    }

    fn entry(version: u64, content: &str) -> CollectionEntry {
        CollectionEntry {
            version: Version(version),
            run_id: RunId::from_uuid(Uuid::from_u128(1)),
            regions: None,
            manifest: String::new(),
            sha256: Digest::of(content.as_bytes()),
        }
    }

    fn collection(text: &str, from: Option<&str>, version: u64, content: &str) -> Change {
        Change::Collection {
            name: name(text),
            from: from.map(|content| Digest::of(content.as_bytes())),
            entry: entry(version, content),
            data_as_of: DateTime::UNIX_EPOCH,
        }
    }

    fn keys(from_revision: u64, revision: u64) -> Change {
        let reference = KeySetReference { object: String::new(), sha256: Digest::of(b"k"), revision };
        Change::Keys { from_revision, reference }
    }

    fn first() -> CatalogDocument {
        let deployment = DeploymentId::from_uuid(Uuid::from_u128(1));
        follow(None, deployment, AnnouncementId::from_uuid(Uuid::from_u128(1)))
    }

    #[test]
    fn changes_stand_only_on_what_they_were_made_from() {
        let mut document = first();
        let remove = |content: &str| Change::Remove { name: name("a"), from: Digest::of(content.as_bytes()) };
        for (change, stands) in [
            (collection("a", Some("a1"), 1, "a1"), false), // there is none yet
            (collection("a", None, 1, "a1"), true),
            (collection("a", None, 1, "again"), false),
            (collection("a", Some("other"), 2, "a2"), false),
            (collection("a", Some("a1"), 0, "a0"), false), // versions never fall
            (collection("a", Some("a1"), 1, "merged"), true), // the same version, merged
            (collection("a", Some("merged"), 2, "a2"), true),
            (collection("b", None, 1, "b1"), true), // another collection does not matter
            (remove("a1"), false),
            (remove("a2"), true),
            (remove("a2"), false),
            (keys(1, 2), false),
            (keys(0, 0), false),
            (keys(0, 5), true),
            (keys(0, 6), false),
            (keys(5, 5), false),
            (keys(5, 6), true),
        ] {
            let before = document.clone();
            let outcome = put(&mut document, &change);
            assert_eq!(outcome.is_ok(), stands, "{change:?}");
            assert!(stands || before == document, "a refused change leaves no trace: {change:?}");
        }
        assert_eq!(document.collections.keys().map(CollectionName::as_str).collect::<Vec<_>>(), ["b"]);
        assert_eq!(document.keys.unwrap().revision, 6);
    }

    #[test]
    fn a_document_carries_over_what_it_does_not_change() {
        let mut base = first();
        put(&mut base, &collection("a", None, 1, "a1")).unwrap();
        put(&mut base, &keys(0, 1)).unwrap();
        let other = DeploymentId::from_uuid(Uuid::from_u128(9));
        let next = follow(Some(&base), other, AnnouncementId::from_uuid(Uuid::from_u128(2)));
        assert_eq!((next.n, next.deployment), (2, base.deployment));
        assert_eq!((next.collections, next.keys), (base.collections, base.keys));
    }

    #[test]
    fn the_number_of_collections_is_bounded() {
        let mut document = first();
        for number in 0..COLLECTIONS_MAX {
            document.collections.insert(name(&format!("c{number}")), entry(1, "x"));
        }
        let one_more = put(&mut document, &collection("one-more", None, 1, "y"));
        assert!(matches!(one_more, Err(AnnounceError::Full)));
        assert!(put(&mut document, &collection("c0", Some("x"), 2, "y")).is_ok());
    }
}
