//! Faults of a mapping, each with its place; all are reported at once.

use std::fmt;

pub(super) use crate::settings::nearest::nearest;

/// One fault of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFault {
    /// The key, relative to the sync: `fields.tier`, `indexes.email`, `primary_key`.
    pub path: String,
    /// The fault.
    pub message: String,
    /// What to do, if known.
    pub hint: Option<String>,
}

impl MappingFault {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A name that is not among `known`, with the nearest one that is.
    pub(super) fn unknown_column<'a>(
        path: impl Into<String>,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let fault = Self::new(path, format!("the model has no column `{name}`"));
        match nearest(name, known.clone()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("its columns are {}", listed(known))),
        }
    }
}

impl fmt::Display for MappingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The first few names, for a message.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<_> = names.collect();
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let known = ["user_id", "full_name", "email"];
        assert_eq!(nearest("user_ID", known.into_iter()), Some("user_id"));
        assert_eq!(nearest("fullname", known.into_iter()), Some("full_name"));
        assert_eq!(nearest("zzz", known.into_iter()), None);
        let fault = MappingFault::unknown_column("fields.a", "emial", known.into_iter());
        assert_eq!(fault.to_string(), "fields.a: the model has no column `emial` (did you mean `email`?)");
        let fault = MappingFault::unknown_column("fields.a", "zzz", known.into_iter());
        assert_eq!(fault.hint.unwrap(), "its columns are `user_id`, `full_name`, `email`");
    }
}
