//! Includes: records of another collection, found by the values of a field.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};

use super::{authorised::Authorised, codes::Code, project::project, state::Inner, values::text_to_look_up};
use crate::{
    api::http::error::{Detail, Error},
    cache::{Collection, Lookup, Served, Slot},
    domain::{
        fields::FieldSelection,
        hash::HashSecret,
        index::number,
        json::{self, elements, members, unescaped},
        limits::RECORD_BYTES_MAX,
        manifest::Include,
    },
};

/// Most records that the includes of one answer look up: a hundred for each of a hundred records.
const LOOKUPS_MAX: usize = 10_000;

/// What an answer that is made of records may still take.
pub(super) struct Limits {
    bytes_max: usize,
    lookups_left: usize,
}

impl Limits {
    /// The limits of an answer of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, lookups_left: LOOKUPS_MAX }
    }

    /// The limits of an answer with one record.
    pub(super) fn of_record() -> Self {
        Self::new(RECORD_BYTES_MAX)
    }

    /// Refuses an answer that is too large.
    pub(super) fn check(&self, answer: &[u8]) -> Result<(), Error<Code>> {
        if answer.len() <= self.bytes_max { Ok(()) } else { Err(self.too_large()) }
    }

    fn take_lookup(&mut self) -> Result<(), Error<Code>> {
        self.lookups_left = self.lookups_left.checked_sub(1).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large(&self) -> Error<Code> {
        let message = format!(
            "the answer would be larger than {} bytes, or have more than {LOOKUPS_MAX} included records; request fewer \
             values, fields or includes",
            self.bytes_max
        );
        Error::new(Code::AnswerTooLarge, Detail::Message(message))
    }
}

/// An include of a request, with the collection that it reads.
pub(super) struct Joined {
    include: Include,
    collection: Arc<Collection>,
    served: Arc<Served>,
    /// The fields of an included record.
    fields: FieldSelection,
    secrets: Arc<Vec<HashSecret>>,
}

impl Joined {
    /// The `include` for a caller that may read `granted` of the answer and asks for `asked` of it. `None` if the caller
    /// may not read its collection and has not named it, or may not read it or the field that it starts from.
    pub(super) fn of(
        inner: &Inner,
        caller: &Authorised,
        include: &Include,
        granted: &FieldSelection,
        asked: &FieldSelection,
        is_named: bool,
    ) -> Result<Option<Self>, Error<Code>> {
        let Some(readable) = caller.included(include.collection.as_str()) else {
            return if is_named { Err(Code::Forbidden.into()) } else { Ok(None) };
        };
        // A limit that does not name the include applies to the fields of its records only.
        let own = granted.of_named_member(include.name.as_str());
        let starts_from = include.from.names().fold(granted, FieldSelection::of_member);
        if !starts_from.is_all() || *own == FieldSelection::Nothing {
            return Ok(None);
        }
        let collection = match inner.cache.collection(include.collection.as_str()) {
            Slot::Loaded(collection) => collection,
            Slot::Loading => return Err(unavailable(include, "this node has not loaded it yet")),
            Slot::OtherRegion(_) => return Err(unavailable(include, "this region does not serve it")),
            Slot::Unknown => return Err(unavailable(include, "there is no such collection")),
        };
        let asked = match asked.of_member(include.name.as_str()) {
            FieldSelection::Nothing => &FieldSelection::All,
            some => some,
        };
        let fields = readable.unwrap_or(&FieldSelection::All).intersect(own).intersect(asked);
        let served = collection.state();
        let secrets = inner.secrets.load_full();
        Ok(Some(Self { include: include.clone(), collection, served, fields, secrets }))
    }

    pub(super) fn name(&self) -> &str {
        self.include.name.as_str()
    }

    pub(super) fn data_as_of(&self) -> DateTime<Utc> {
        self.served.data_as_of
    }

    /// Appends `separator` and the member with the records that `record` refers to; nothing if a single value has no
    /// record and is left out.
    pub(super) fn append(
        &self,
        record: &[u8],
        separator: &[u8],
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<(), Error<Code>> {
        let mut values = Vec::new();
        let is_list = self.collect(record, &mut values);
        let start = out.len();
        out.extend_from_slice(separator);
        json::write_string(out, self.name().as_bytes());
        out.push(b':');
        if is_list {
            return self.append_list(&values, limits, out);
        }
        let is_found = match values.first() {
            Some(value) => self.append_record(value, limits, out)?,
            None => false,
        };
        match (is_found, self.include.nulls) {
            (true, _) => {}
            (false, true) => out.extend_from_slice(b"null"),
            (false, false) => out.truncate(start),
        }
        Ok(())
    }

    fn append_list(
        &self,
        values: &[&[u8]],
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<(), Error<Code>> {
        out.push(b'[');
        let mut is_first = true;
        for value in values {
            let start = out.len();
            if !is_first {
                out.push(b',');
            }
            if !self.append_record(value, limits, out)? {
                if !self.include.nulls {
                    out.truncate(start);
                    continue;
                }
                out.extend_from_slice(b"null");
            }
            is_first = false;
            limits.check(out)?;
        }
        out.push(b']');
        Ok(())
    }

    /// Collects the values of the field that the include starts from, `limit` at most. Returns whether they are a list.
    fn collect<'a>(&self, record: &'a [u8], values: &mut Vec<&'a [u8]>) -> bool {
        let names: Vec<&str> = self.include.from.names().collect();
        let is_list = collect(record, &names, self.include.limit, values);
        values.truncate(self.include.limit);
        is_list
    }

    /// Appends the record that `value`, a JSON scalar, refers to. Returns whether there is one.
    fn append_record(
        &self,
        value: &[u8],
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error<Code>> {
        let Some(text) = text_of(value) else { return Ok(false) };
        limits.take_lookup()?;
        let index = self.include.index.as_str();
        let text = text_to_look_up(&self.served.manifest, index, &text, &self.secrets)?;
        let mut record = Vec::new();
        match self.collection.lookup(index, &text, &mut record) {
            Lookup::Hit { .. } if self.fields.is_all() => out.extend_from_slice(&record),
            Lookup::Hit { .. } => out.extend_from_slice(&project(&record, &self.fields)),
            Lookup::Miss => return Ok(false),
            Lookup::UnknownIndex => {
                return Err(unavailable(&self.include, "it has no index of the name that the include has"));
            }
            Lookup::Unreadable(error) => {
                let collection = self.include.collection.as_str();
                tracing::error!(collection, %error, "a stored record cannot be read");
                return Err(Code::Internal.into());
            }
        }
        Ok(true)
    }
}

/// The refusal because the collection of `include` cannot be read. The caller may not know its index.
fn unavailable(include: &Include, reason: &str) -> Error<Code> {
    let Include { name, collection, .. } = include;
    let message = format!("the include `{name}` reads the collection `{collection}`: {reason}");
    Error::new(Code::IncludeUnavailable, Detail::Message(message))
}

/// Collects the values at the path `names` of `value`; in an array the path goes on in each element. Returns whether
/// an array was met. Stops soon after `limit` values.
fn collect<'a>(value: &'a [u8], names: &[&str], limit: usize, values: &mut Vec<&'a [u8]>) -> bool {
    if value.first() == Some(&b'[') {
        for element in elements(value) {
            if values.len() >= limit {
                break;
            }
            collect(element, names, limit, values);
        }
        return true;
    }
    let Some((name, rest)) = names.split_first() else {
        values.push(value);
        return false;
    };
    let is_it = |key: &[u8]| unescaped(key).is_some_and(|key| key == *name);
    match members(value).find(|(key, _)| is_it(key)) {
        Some((_, member)) => collect(member, rest, limit, values),
        None => false,
    }
}

/// The text of a scalar by which records are looked up; `None` of null, an array or an object.
fn text_of(value: &[u8]) -> Option<Cow<'_, str>> {
    match value.first()? {
        b'"' => unescaped(value),
        b't' | b'f' => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        b'-' | b'0'..=b'9' => std::str::from_utf8(value).ok().map(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_collected_along_the_path() {
        let record =
            br#"{"a":"x","n":null,"l":["p",1,null,["q"]],"o":{"k":[{"s":"1"},{"t":2},{"s":["2","3"]}]}}"#;
        for (path, limit, is_list, expected) in [
            (&["a"][..], 9, false, &["\"x\""][..]),
            (&["n"], 9, false, &["null"]),
            (&["none"], 9, false, &[]),
            (&["a", "b"], 9, false, &[]),
            (&["l"], 9, true, &["\"p\"", "1", "null", "\"q\""]),
            (&["l"], 2, true, &["\"p\"", "1"]),
            (&["o", "k", "s"], 9, true, &["\"1\"", "\"2\"", "\"3\""]),
        ] {
            let mut values = Vec::new();
            assert_eq!(collect(record, path, limit, &mut values), is_list, "{path:?}");
            let values: Vec<_> = values.iter().map(|value| std::str::from_utf8(value).unwrap()).collect();
            assert_eq!(values, expected, "{path:?}");
        }
        let texts = ["\"a\\nb\"", "1.50", "true", "null", "{}"].map(|value| text_of(value.as_bytes()));
        let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
        assert_eq!(texts, [Some("a\nb"), Some("1.50"), Some("true"), None, None]);
    }
}
