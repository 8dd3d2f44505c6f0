//! Clears a served record whose row has left the model (`on_delete = "clear"`).

use super::{
    program::{FieldSource, Value},
    targets::{Content, Member},
};
use crate::domain::json;

/// How much of one member is kept.
#[derive(Debug)]
enum Kept {
    Whole,
    Members(Clearing),
}

/// The members of an object that are kept, by their keys as a body writes them. All others become null.
#[derive(Debug)]
pub(super) struct Clearing(Vec<(Vec<u8>, Kept)>);

impl Clearing {
    /// Keeps the fields that come from one of `kept_columns`.
    pub(super) fn of(members: &[Member], values: &[Value], kept_columns: &[usize]) -> Self {
        let kept = members.iter().filter_map(|member| {
            let how = match &member.content {
                Content::Object(inner) => Kept::Members(Self::of(inner, values, kept_columns)),
                Content::Field(field) => match &values[*field] {
                    Value::Source(
                        FieldSource::Column(column)
                        | FieldSource::ColumnAsString(column)
                        | FieldSource::NumberAsString(column),
                    ) if kept_columns.contains(column) => Kept::Whole,
                    _ => return None,
                },
            };
            let mut key = Vec::new();
            json::write_string(&mut key, member.name.as_bytes());
            Some((key, how))
        });
        Self(kept.collect())
    }

    /// Appends `object` with the members that are not kept made null.
    pub(super) fn write(&self, object: &[u8], out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (key, value)) in json::members(object).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            match self.0.iter().find(|(known, _)| known == key).map(|(_, kept)| kept) {
                Some(Kept::Whole) => out.extend_from_slice(value),
                Some(Kept::Members(inner)) if value.first() == Some(&b'{') => inner.write(value, out),
                _ => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
}
