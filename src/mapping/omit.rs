//! Records without the fields that are null (`nulls = "omit"`).

use super::targets::{Content, Member};
use crate::domain::json;

/// The objects of a record that the mapping makes, by their keys as a body writes them.
#[derive(Debug)]
pub(super) struct Omission(Vec<(Vec<u8>, Omission)>);

impl Omission {
    pub(super) fn of(members: &[Member]) -> Self {
        let objects = members.iter().filter_map(|member| {
            let Content::Object(inner) = &member.content else { return None };
            let mut key = Vec::new();
            json::write_string(&mut key, member.name.as_bytes());
            Some((key, Self::of(inner)))
        });
        Self(objects.collect())
    }

    /// Appends `object` without its members that are null. Objects that the mapping makes stay, even empty;
    /// JSON of a column is left as it is.
    pub(super) fn write(&self, object: &[u8], out: &mut Vec<u8>) {
        out.push(b'{');
        let mut is_first = true;
        for (key, value) in json::members(object).filter(|(_, value)| *value != b"null") {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            match self.0.iter().find(|(known, _)| known == key) {
                Some((_, inner)) if value.first() == Some(&b'{') => inner.write(value, out),
                _ => out.extend_from_slice(value),
            }
        }
        out.push(b'}');
    }
}
