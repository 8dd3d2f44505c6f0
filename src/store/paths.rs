//! Where objects stand in the store: the only place that makes paths, and the only place that
//! decides whether a path found in a document may be followed.

use object_store::path::Path;

use crate::domain::{
    id::{NodeId, RunId},
    name::{CollectionName, RegionName},
};
use crate::store::error::Error;

/// Where the numbered documents and `head` stand.
pub(crate) const CATALOG: &str = "catalog";
/// Where manifests and segments stand.
pub(crate) const COLLECTIONS: &str = "collections";
/// Where key sets stand.
pub(crate) const KEYS: &str = "keys";
/// Where nodes leave their statuses, unless they have a place of their own.
pub(crate) const STATUS: &str = "status";

/// Where stores are tried out.
pub(crate) const PROBES: &str = "probe";

/// The directories of a store that hold nothing but its own objects.
pub(crate) const OWN: [&str; 4] = [CATALOG, COLLECTIONS, KEYS, PROBES];

/// Characters of the random part of a key set's name.
const KEY_SET_RANDOM_CHARACTERS: usize = 32;

/// What an object path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    /// `catalog/head`
    Head,
    /// `catalog/{n:020}.json`
    Document(u64),
    /// `collections/{name}/{run}/segment-{i:05}.arrow`
    Segment(&'a str),
    /// `collections/{name}/{run}/manifest.json`
    Manifest(&'a str),
    /// `keys/{revision:020}-{random}.json`
    KeySet(u64),
}

impl<'a> Object<'a> {
    /// Understands exactly the paths that the functions below make.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.split('/');
        let object = match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
            (CATALOG, "head", None, None) => Self::Head,
            (CATALOG, file, None, None) => Self::Document(number(file.strip_suffix(".json")?, 20)?),
            (KEYS, file, None, None) => {
                let (revision, random) = file.strip_suffix(".json")?.split_once('-')?;
                let is_random = random.len() == KEY_SET_RANDOM_CHARACTERS
                    && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                is_random.then_some(Self::KeySet(number(revision, 20)?))?
            }
            (COLLECTIONS, name, Some(run), Some(file)) => {
                CollectionName::new(name).ok()?;
                // Only the canonical text of an id, not every text that reads as one.
                run.parse::<RunId>().ok().filter(|id| id.to_string() == run)?;
                if file == "manifest.json" {
                    Self::Manifest(name)
                } else {
                    number(file.strip_prefix("segment-")?.strip_suffix(".arrow")?, 5)?;
                    Self::Segment(name)
                }
            }
            _ => return None,
        };
        parts.next().is_none().then_some(object)
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The hint that moves.
pub(crate) fn head() -> Path {
    Path::from("catalog/head")
}

/// Catalog document `n`.
pub(crate) fn document(n: u64) -> Path {
    Path::from(format!("{CATALOG}/{n:020}.json"))
}

/// Segment `number` of a run.
pub(crate) fn segment(collection: &CollectionName, run: RunId, number: u32) -> Path {
    Path::from(format!("{COLLECTIONS}/{collection}/{run}/segment-{number:05}.arrow"))
}

/// The manifest of a run.
pub(crate) fn manifest(collection: &CollectionName, run: RunId) -> Path {
    Path::from(format!("{COLLECTIONS}/{collection}/{run}/manifest.json"))
}

/// A key set; `random` keeps two writers of one revision apart.
pub(crate) fn key_set(revision: u64, random: u128) -> Path {
    Path::from(format!("{KEYS}/{revision:020}-{random:032x}.json"))
}

/// An object to try a store out with.
pub(crate) fn probe(random: u128) -> Path {
    Path::from(format!("{PROBES}/{random:032x}"))
}

/// The status of a node, below `prefix`.
pub(crate) fn status(prefix: &Path, region: &RegionName, node: NodeId) -> Path {
    prefix.clone().join(region.as_str()).join(format!("{node}.json"))
}

/// What `check` writes beside the statuses of a region; never a status.
pub(crate) fn status_trial(prefix: &Path, region: &RegionName) -> Path {
    prefix.clone().join(region.as_str()).join("check.json")
}

/// Whose status stands at `path`; `None` for every path that [`status`] does not make.
pub(crate) fn parse_status(prefix: &Path, path: &Path) -> Option<(RegionName, NodeId)> {
    let parts: Vec<_> = path.prefix_match(prefix)?.collect();
    let [region, file] = parts.as_slice() else { return None };
    let region = RegionName::new(region.as_ref()).ok()?;
    let node: NodeId = file.as_ref().strip_suffix(".json")?.parse().ok()?;
    (status(prefix, &region, node) == *path).then_some((region, node))
}

/// The path of a manifest that a catalog document names for `collection`.
pub(crate) fn named_manifest(
    collection: &CollectionName,
    object: &str,
    document: &str,
) -> Result<Path, Error> {
    named(object, document, |object| *object == Object::Manifest(collection.as_str()))
}

/// The path of a segment that a manifest names for `collection`.
pub(crate) fn named_segment(
    collection: &CollectionName,
    object: &str,
    document: &str,
) -> Result<Path, Error> {
    named(object, document, |object| *object == Object::Segment(collection.as_str()))
}

/// The path of a segment, whatever its collection: for references whose manifest was checked.
pub(crate) fn any_segment(object: &str) -> Result<Path, Error> {
    named(object, "a manifest", |object| matches!(object, Object::Segment(_)))
}

/// The path of a key set of `revision` that a catalog document names.
pub(crate) fn named_key_set(revision: u64, object: &str, document: &str) -> Result<Path, Error> {
    named(object, document, |object| *object == Object::KeySet(revision))
}

fn named(object: &str, document: &str, fits: impl Fn(&Object<'_>) -> bool) -> Result<Path, Error> {
    if Object::parse(object).is_some_and(|parsed| fits(&parsed)) {
        Ok(Path::from(object))
    } else {
        Err(Error::ForeignPath { document: document.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::random;

    #[test]
    fn every_path_made_is_understood() {
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
    fn nothing_else_is() {
        let run = "run_00000000000000000000000000000007";
        for path in [
            String::new(),
            "catalog".into(),
            "catalog/1.json".into(),
            "catalog/000000000000000000+1.json".into(),
            "catalog/00000000000000000001.json/x".into(),
            "/catalog/head".into(),
            "catalog/../catalog/head".into(),
            "https://example.com/catalog/head".into(),
            format!("collections/a/{run}/segment-1.arrow"),
            format!("collections/a/{run}/segment-000001.arrow"),
            format!("collections/a/{run}/other.json"),
            format!("collections/../{run}/manifest.json"),
            format!("collections/a/run_{}/manifest.json", "A".repeat(32)),
            format!("collections/a/{run}/x/manifest.json"),
            "collections/a/run_7/manifest.json".into(),
            "keys/1-a.json".into(),
            format!("keys/{:020}-{}.json", 1, "G".repeat(32)),
        ] {
            assert_eq!(Object::parse(&path), None, "{path}");
        }
    }

    #[test]
    fn a_status_is_found_where_its_node_puts_it_and_nowhere_else() {
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
    fn a_document_names_objects_of_its_own_collection_only() {
        let a = CollectionName::new("a").unwrap();
        let b = CollectionName::new("b").unwrap();
        let run = RunId::from_uuid(random::uuid());
        assert!(named_segment(&a, segment(&a, run, 0).as_ref(), "m").is_ok());
        assert!(named_segment(&b, segment(&a, run, 0).as_ref(), "m").is_err());
        assert!(named_segment(&a, manifest(&a, run).as_ref(), "m").is_err());
        assert!(named_manifest(&a, manifest(&a, run).as_ref(), "m").is_ok());
        assert!(named_key_set(1, key_set(1, 5).as_ref(), "m").is_ok());
        assert!(named_key_set(2, key_set(1, 5).as_ref(), "m").is_err());
        assert!(any_segment(head().as_ref()).is_err());
    }
}
