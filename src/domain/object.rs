//! Names of objects in the store. A path found in a document is followed only if it parses as one.

use super::{id::RunId, name::CollectionName};

/// Directory of the numbered documents and `head`.
pub(crate) const CATALOG: &str = "catalog";
/// Directory of manifests and segments.
pub(crate) const COLLECTIONS: &str = "collections";
/// Directory of key sets.
pub(crate) const KEYS: &str = "keys";

/// Characters of the random part of a key set's name.
const KEY_SET_RANDOM_CHARACTERS: usize = 32;

/// The kind of object that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Parses exactly the paths that the program writes.
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
                // Only the canonical text of an id.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_paths_are_refused() {
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
}
