//! Clearing a served record whose row has left the model (`on_delete = "clear"`).

use super::{
    program::{Source, Value},
    scan,
    targets::{Content, Member},
};
use crate::domain::json;

/// What happens to one member of a record. A member that is not named becomes null.
#[derive(Debug)]
enum Fate {
    Keep,
    Nested(Clearing),
}

/// The members of an object that are not simply made null, by their keys as a body writes them.
#[derive(Debug)]
pub(super) struct Clearing(Vec<(Vec<u8>, Fate)>);

impl Clearing {
    /// Keeps the fields that come from one of `kept_columns`.
    pub(super) fn of(members: &[Member], values: &[Value], kept_columns: &[usize]) -> Self {
        let fates = members.iter().filter_map(|member| {
            let fate = match &member.content {
                Content::Object(inner) => Fate::Nested(Self::of(inner, values, kept_columns)),
                Content::Field(field) => match &values[*field] {
                    Value::Source(Source::Column(column) | Source::ColumnAsString(column))
                        if kept_columns.contains(column) =>
                    {
                        Fate::Keep
                    }
                    _ => return None,
                },
            };
            let mut key = Vec::new();
            json::write_string(&mut key, member.name.as_bytes());
            Some((key, fate))
        });
        Self(fates.collect())
    }

    /// Appends `object` with the members that are not kept made null.
    pub(super) fn write(&self, object: &[u8], out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (key, value)) in scan::members(object).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            match self.0.iter().find(|(known, _)| known == key).map(|(_, fate)| fate) {
                Some(Fate::Keep) => out.extend_from_slice(value),
                Some(Fate::Nested(inner)) if value.first() == Some(&b'{') => inner.write(value, out),
                _ => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
}
