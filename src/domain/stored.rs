//! Entries of the configuration that are stored, beside those of the file.

use std::fmt;

/// A section whose entries can be stored.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::EnumString,
)]
#[strum(serialize_all = "snake_case")]
pub enum StoredSection {
    /// `[sources.*]`.
    Sources,
    /// `[models.*]`.
    Models,
    /// `[syncs.*]`.
    Syncs,
}

impl StoredSection {
    /// The section's name in the file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The word for one entry: `source`.
    pub fn singular(self) -> &'static str {
        self.as_str().trim_end_matches('s')
    }
}

/// An entry of the configuration, such as `sources.crm`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredName {
    /// Its section.
    pub section: StoredSection,
    /// Its name.
    pub name: String,
}

impl StoredName {
    /// Whether a key, as faults name it, is the entry or within it.
    pub fn owns(&self, key: &str) -> bool {
        let own = self.to_string();
        key.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for StoredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.section.as_str(), self.name)
    }
}
