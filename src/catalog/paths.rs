//! Paths of objects in the store. Only this module makes them, and decides whether a path found in a document
//! may be followed.

use super::Error;
use crate::{
    domain::{
        CollectionName, NodeId, Object, RegionName, RunId,
        object::{CATALOG, COLLECTIONS, KEYS},
    },
    store::{self, Location, PROBES, Path},
};

/// Directory of the nodes' statuses, unless they have a store of their own.
pub(super) const STATUS: &str = "status";

/// The directories of a store that hold nothing but its own objects.
const RESERVED: [&str; 4] = [CATALOG, COLLECTIONS, KEYS, PROBES];

/// The reserved directory of the store at `store` that contains `location`, if one does.
pub fn reserved_directory(location: &Location, store: &Location) -> Option<&'static str> {
    let first = location.first_directory_below(store)?;
    RESERVED.into_iter().find(|reserved| *reserved == first)
}

/// The directory of all documents.
pub(super) fn catalog() -> Path {
    Path::from(CATALOG)
}

/// The directory of all key sets.
pub(super) fn key_sets() -> Path {
    Path::from(KEYS)
}

/// The directory of all collections.
pub(super) fn collections() -> Path {
    Path::from(COLLECTIONS)
}

/// The directory of a collection.
pub(super) fn collection(name: &CollectionName) -> Path {
    Path::from(format!("{COLLECTIONS}/{name}"))
}

/// The head: the only object that is overwritten.
pub(super) fn head() -> Path {
    Path::from("catalog/head")
}

/// Catalog document `n`.
pub(super) fn document(n: u64) -> Path {
    Path::from(format!("{CATALOG}/{n:020}.json"))
}

/// Segment `number` of a run.
pub(super) fn segment(collection: &CollectionName, run: RunId, number: u32) -> Path {
    Path::from(format!("{COLLECTIONS}/{collection}/{run}/segment-{number:05}.arrow"))
}

/// The manifest of a run.
pub(super) fn manifest(collection: &CollectionName, run: RunId) -> Path {
    Path::from(format!("{COLLECTIONS}/{collection}/{run}/manifest.json"))
}

/// A key set; `random` separates two writers of one revision.
pub(super) fn key_set(revision: u64, random: u128) -> Path {
    Path::from(format!("{KEYS}/{revision:020}-{random:032x}.json"))
}

/// The status of a node, below `prefix`.
pub(super) fn status(prefix: &Path, region: &RegionName, node: NodeId) -> Path {
    prefix.clone().join(region.as_str()).join(format!("{node}.json"))
}

/// The object that a check of write access writes beside the statuses of a region; never a status.
pub(super) fn status_trial(prefix: &Path, region: &RegionName) -> Path {
    prefix.clone().join(region.as_str()).join("check.json")
}

/// The region and node of the status at `path`; `None` for every path that [`status`] does not make.
pub(super) fn parse_status(prefix: &Path, path: &Path) -> Option<(RegionName, NodeId)> {
    let parts: Vec<_> = path.prefix_match(prefix)?.collect();
    let [region, file] = parts.as_slice() else { return None };
    let region = RegionName::new(region.as_ref()).ok()?;
    let node: NodeId = file.as_ref().strip_suffix(".json")?.parse().ok()?;
    (status(prefix, &region, node) == *path).then_some((region, node))
}

/// The path of the object `expected` that `document` refers to as `object`.
pub(super) fn referenced(object: &str, expected: Object<'_>, document: &str) -> Result<Path, Error> {
    if Object::parse(object) == Some(expected) {
        Ok(Path::from(object))
    } else {
        Err(store::Error::ForeignPath(document.to_owned()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::random;

    #[test]
    fn every_path_is_parsed_as_its_object() {
        let name = CollectionName::new("customer").unwrap();
        let run = RunId::from_uuid(random::uuid());
        for (path, object) in [
            (head(), Object::Head),
            (document(7), Object::Document(7)),
            (document(u64::MAX), Object::Document(u64::MAX)),
            (segment(&name, run, 3), Object::Segment("customer")),
            (manifest(&name, run), Object::Manifest("customer")),
            (key_set(9, 0xabc), Object::KeySet(9)),
        ] {
            assert_eq!(Object::parse(path.as_ref()), Some(object), "{path}");
        }
    }

    #[test]
    fn a_status_is_found_only_at_the_path_of_its_node() {
        let region = RegionName::new("us-west-2").unwrap();
        let node = NodeId::from_uuid(random::uuid());
        for prefix in [Path::from(STATUS), Path::default()] {
            let path = status(&prefix, &region, node);
            assert_eq!(parse_status(&prefix, &path), Some((region.clone(), node)), "{path}");
            for foreign in [
                format!("{prefix}/{node}.json"),
                format!("{path}/{node}.json"),
                format!("{prefix}/us-west-2/{node}"),
                format!("{prefix}/us-west-2/node_{}.json", "A".repeat(32)),
                format!("{prefix}/us west/{node}.json"),
                format!("other/us-west-2/{node}.json"),
                "catalog/00000000000000000001.json".to_owned(),
            ] {
                assert_eq!(parse_status(&prefix, &Path::from(foreign.as_str())), None, "{foreign}");
            }
        }
    }

    #[test]
    fn references_to_another_collection_are_refused() {
        let a = CollectionName::new("a").unwrap();
        let run = RunId::from_uuid(random::uuid());
        assert!(referenced(segment(&a, run, 0).as_ref(), Object::Segment("a"), "m").is_ok());
        assert!(referenced(segment(&a, run, 0).as_ref(), Object::Segment("b"), "m").is_err());
        assert!(referenced(manifest(&a, run).as_ref(), Object::Segment("a"), "m").is_err());
        assert!(referenced(manifest(&a, run).as_ref(), Object::Manifest("a"), "m").is_ok());
        assert!(referenced(key_set(1, 5).as_ref(), Object::KeySet(1), "m").is_ok());
        assert!(referenced(key_set(1, 5).as_ref(), Object::KeySet(2), "m").is_err());
    }
}
