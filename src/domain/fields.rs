//! Which fields of a record a caller may read or wants: field paths, and selections made of them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{
    bounded::list,
    limits::{DEPTH_MAX, FIELD_PATHS_MAX},
    name::CollectionName,
};

/// Longest field path, in bytes: as long as a file name.
pub const FIELD_PATH_BYTES_MAX: usize = 255;

/// A text that is no field path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a field path is 1 to 255 bytes: names between dots, none of them empty; `\\.` is a dot within a name and `\\\\` a backslash"
)]
pub struct InvalidFieldPath;

/// The path of a field: `full_name`, or `recommendations.concerts` for a member of an object. In an array the path
/// goes on in each element. Compared by its names; the text has the escapes.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schema(value_type = String)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads a path. `\.` is a dot within a name, `\\` a backslash.
    pub fn new(text: &str) -> Result<Self, InvalidFieldPath> {
        let (mut names, mut name) = (Vec::new(), String::new());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '.' => names.push(std::mem::take(&mut name)),
                '\\' => {
                    name.push(characters.next().filter(|c| matches!(c, '.' | '\\')).ok_or(InvalidFieldPath)?);
                }
                other => name.push(other),
            }
        }
        names.push(name);
        let is_valid = text.len() <= FIELD_PATH_BYTES_MAX
            && names.len() <= DEPTH_MAX
            && names.iter().all(|name| !name.is_empty());
        if is_valid { Ok(Self(names)) } else { Err(InvalidFieldPath) }
    }

    /// Its names, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for FieldPath {
    type Err = InvalidFieldPath;

    fn from_str(text: &str) -> Result<Self, InvalidFieldPath> {
        Self::new(text)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

serde_by_text!(FieldPath);

/// The fields that a key or token may read.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldLimit {
    /// These fields only.
    Only(#[serde(deserialize_with = "list::<_, _, FIELD_PATHS_MAX>")] Vec<FieldPath>),
    /// Every field but these.
    Without(#[serde(deserialize_with = "list::<_, _, FIELD_PATHS_MAX>")] Vec<FieldPath>),
}

impl FieldLimit {
    /// Its paths.
    pub fn paths(&self) -> &[FieldPath] {
        let (Self::Only(paths) | Self::Without(paths)) = self;
        paths
    }

    /// Adds the paths of `limit` to those of `collection`; `false` when that has a limit of the other kind.
    pub fn add(
        limits: &mut BTreeMap<CollectionName, Self>,
        collection: &CollectionName,
        limit: Self,
    ) -> bool {
        match limits.entry(collection.clone()) {
            Entry::Vacant(entry) => _ = entry.insert(limit),
            Entry::Occupied(mut entry) => match (entry.get_mut(), limit) {
                (Self::Only(all), Self::Only(more)) | (Self::Without(all), Self::Without(more)) => {
                    all.extend(more);
                }
                _ => return false,
            },
        }
        true
    }

    /// The fields as a selection.
    pub fn selection(&self) -> FieldSelection {
        match self {
            Self::Only(paths) => FieldSelection::only(paths),
            Self::Without(paths) => FieldSelection::without(paths),
        }
    }
}

/// Selected fields of a record: those that a caller may read, or those that it asks for. A selection applies to a JSON
/// value; in an array it applies to each element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSelection {
    /// The whole value.
    All,
    /// Nothing of the value: the member is absent.
    Nothing,
    /// Some members of an object.
    Members {
        /// The selections of members by name.
        named: BTreeMap<String, FieldSelection>,
        /// Whether all other members, and values that are no objects, are selected.
        others: bool,
    },
}

impl FieldSelection {
    /// Every field.
    pub const fn all() -> Self {
        Self::All
    }

    /// These fields only; none of an empty set.
    pub fn only<'a>(paths: impl IntoIterator<Item = &'a FieldPath>) -> Self {
        Self::of(paths, false)
    }

    /// Every field but these.
    pub fn without<'a>(paths: impl IntoIterator<Item = &'a FieldPath>) -> Self {
        Self::of(paths, true)
    }

    /// Each path ends in the opposite of `others`. A path decides for everything below it.
    fn of<'a>(paths: impl IntoIterator<Item = &'a FieldPath>, others: bool) -> Self {
        let end = if others { Self::Nothing } else { Self::All };
        let empty = || Self::Members { named: BTreeMap::new(), others };
        let mut root = empty();
        for path in paths {
            let mut node = &mut root;
            for name in path.names() {
                let Self::Members { named, .. } = node else { break };
                node = named.entry(name.to_owned()).or_insert_with(empty);
            }
            *node = end.clone();
        }
        root
    }

    /// The fields that both select.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::All, some) | (some, Self::All) => some.clone(),
            (Self::Members { named: one, others: a }, Self::Members { named: two, others: b }) => {
                let names = one.keys().chain(two.keys());
                let both =
                    |name: &String| (name.clone(), self.of_member(name).intersect(other.of_member(name)));
                Self::Members { named: names.map(both).collect(), others: *a && *b }
            }
        }
    }

    /// Whether every field is selected, so that a record needs no projection.
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The selection of the member `name`.
    pub fn of_member(&self, name: &str) -> &Self {
        match self {
            Self::All => &Self::All,
            Self::Nothing => &Self::Nothing,
            Self::Members { named, others } => {
                named.get(name).unwrap_or(if *others { &Self::All } else { &Self::Nothing })
            }
        }
    }

    /// The selection of the member `name` if a path names it; the whole member if none does.
    pub fn of_named_member(&self, name: &str) -> &Self {
        match self {
            Self::Members { named, .. } => named.get(name).unwrap_or(&Self::All),
            whole => whole,
        }
    }

    /// Whether the top-level field `name` is selected, at least in part.
    pub fn allows(&self, name: &str) -> bool {
        *self.of_member(name) != Self::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl FieldSelection {
        /// Whether the value at `path` is selected whole. False for a text that is no path.
        fn allows_path(&self, path: &str) -> bool {
            FieldPath::new(path).is_ok_and(|path| path.names().fold(self, Self::of_member).is_all())
        }
    }

    fn paths(texts: &[&str]) -> Vec<FieldPath> {
        texts.iter().map(|text| FieldPath::new(text).unwrap()).collect()
    }

    #[test]
    fn paths_are_names_between_dots() {
        for (text, expected) in [
            ("a", Some(vec!["a"])),
            ("a.b.c", Some(vec!["a", "b", "c"])),
            (r"a\.b.c\\", Some(vec!["a.b", r"c\"])),
            ("é x", Some(vec!["é x"])),
            ("", None),
            (".", None),
            ("a.", None),
            (".a", None),
            ("a..b", None),
            (r"a\", None),
            (r"a\n", None),
        ] {
            let path = FieldPath::new(text);
            assert_eq!(path.as_ref().ok().map(|path| path.names().collect()), expected, "{text}");
            assert!(path.is_err() || path.unwrap().to_string() == text);
        }
        assert!(FieldPath::new(&"x".repeat(FIELD_PATH_BYTES_MAX + 1)).is_err());
        assert!(FieldPath::new(&vec!["x"; DEPTH_MAX + 1].join(".")).is_err());
    }

    #[test]
    fn selections_know_their_fields() {
        let only = FieldSelection::only(&paths(&["a", "b.c", "b.c.d"]));
        for (path, expected) in [
            ("a", true),
            ("a.x", true),
            ("b", false),
            ("b.c", true),
            ("b.d", false),
            ("c", false),
            ("", false),
        ] {
            assert_eq!(only.allows_path(path), expected, "{path}");
        }
        assert!(only.allows("a") && only.allows("b") && !only.allows("c"));
        let without = FieldSelection::without(&paths(&["a", "b.c", "a.x"]));
        for (path, expected) in
            [("a", false), ("a.x", false), ("b", false), ("b.c", false), ("b.d", true), ("c", true)]
        {
            assert_eq!(without.allows_path(path), expected, "{path}");
        }
        assert!(!without.allows("a") && without.allows("b") && without.allows("c"));
        assert!(!FieldSelection::only(&[]).allows("a") && FieldSelection::without(&[]).allows_path("a.b"));
    }

    #[test]
    fn an_intersection_selects_what_both_select() {
        let sets = [
            FieldSelection::all(),
            FieldSelection::only(&[]),
            FieldSelection::only(&paths(&["a", "b.c"])),
            FieldSelection::only(&paths(&["b", "c.d"])),
            FieldSelection::without(&paths(&["a.x", "b"])),
            FieldSelection::without(&paths(&["b.c", "c"])),
        ];
        for (one, two) in sets.iter().flat_map(|one| sets.iter().map(move |two| (one, two))) {
            let both = one.intersect(two);
            for path in ["a", "a.x", "a.y", "b", "b.c", "b.c.d", "b.d", "c", "c.d", "c.e", "d"] {
                let expected = one.allows_path(path) && two.allows_path(path);
                assert_eq!(both.allows_path(path), expected, "{path} of {one:?} and {two:?}");
            }
            assert_eq!(two.intersect(one), both);
        }
    }
}
