//! The primary key of a row, and its values under the secondary indexes.

use std::borrow::Cow;

use super::indexes::IndexKey;
use crate::domain::{
    compound,
    hash::ValueHasher,
    index::IndexDefinition,
    json,
    limits::{INDEX_ELEMENTS_MAX, INDEX_VALUE_BYTES_MAX},
    record::IndexValues,
    reject::RejectReason,
    row::CellKind,
    sortable::sortable,
};

/// Writes the canonical primary key of a cell, or its hash.
pub(super) fn write_key(
    (index, source): (&IndexDefinition, &IndexKey),
    kind: CellKind,
    text: &[u8],
    key: &mut String,
) -> Result<(), RejectReason> {
    match kind {
        CellKind::Null => return Err(RejectReason::MissingPrimaryKey),
        CellKind::Json => return Err(RejectReason::InvalidPrimaryKey),
        CellKind::Invalid => return Err(invalid(text)),
        _ => {}
    }
    let text = std::str::from_utf8(text).map_err(|_| RejectReason::InvalidText)?;
    let stored = index.stored(kind, text).ok_or(RejectReason::MissingPrimaryKey)?;
    if stored.len() > INDEX_VALUE_BYTES_MAX {
        return Err(RejectReason::PrimaryKeyTooLong);
    }
    match &source.hasher {
        Some(hasher) => key.push_str(&hasher.hash(&stored)),
        None => key.push_str(&stored),
    }
    Ok(())
}

/// The reason that an invalid cell carries.
pub(super) fn invalid(text: &[u8]) -> RejectReason {
    RejectReason::from_code(text).unwrap_or(RejectReason::InvalidText)
}

/// Buffers for the values of one `each` index; reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: String,
    spans: Vec<(usize, usize)>,
    order: Vec<usize>,
    repeated: Vec<bool>,
}

impl Scratch {
    fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.order.clear();
        self.repeated.clear();
    }

    fn value(&self, at: usize) -> &str {
        let (start, end) = self.spans[at];
        &self.text[start..end]
    }

    /// Appends the distinct values in the order of their first occurrence.
    fn push_distinct(&mut self, number: u16, out: &mut IndexValues) {
        let mut order = std::mem::take(&mut self.order);
        order.extend(0..self.spans.len());
        order.sort_unstable_by(|&a, &b| self.value(a).cmp(self.value(b)).then(a.cmp(&b)));
        self.repeated.resize(self.spans.len(), false);
        for pair in order.windows(2) {
            self.repeated[pair[1]] = self.value(pair[0]) == self.value(pair[1]);
        }
        self.order = order;
        for at in 0..self.spans.len() {
            if !self.repeated[at] {
                out.push(number, self.value(at));
            }
        }
    }
}

/// The index that takes the values of a row.
pub(super) struct Target<'a> {
    /// Its number.
    pub(super) number: u16,
    pub(super) index: &'a IndexDefinition,
    pub(super) hasher: Option<&'a ValueHasher>,
}

impl Target<'_> {
    /// The text under which a normalised value is stored.
    fn stored<'a>(&self, value: Cow<'a, str>) -> Result<Cow<'a, str>, RejectReason> {
        if value.len() > INDEX_VALUE_BYTES_MAX {
            return Err(RejectReason::IndexValueTooLong);
        }
        Ok(match self.hasher {
            Some(hasher) => Cow::Owned(hasher.hash(&value)),
            None => value,
        })
    }
}

/// Appends the values that a cell has under an index; none when it is absent.
pub(super) fn push_values(
    target: &Target<'_>,
    (kind, text): (CellKind, &[u8]),
    scratch: &mut Scratch,
    out: &mut IndexValues,
) -> Result<(), RejectReason> {
    if target.index.each && kind == CellKind::Json && text.first() == Some(&b'[') {
        return push_elements(target, text, scratch, out);
    }
    if let Some(value) = value_of(target.index, kind, text)? {
        out.push(target.number, &target.stored(value)?);
    }
    Ok(())
}

fn push_elements(
    target: &Target<'_>,
    array: &[u8],
    scratch: &mut Scratch,
    out: &mut IndexValues,
) -> Result<(), RejectReason> {
    scratch.clear();
    for (at, element) in json::elements(array).enumerate() {
        if at >= INDEX_ELEMENTS_MAX {
            return Err(RejectReason::TooManyIndexElements);
        }
        if let Some(value) = value_of(target.index, CellKind::Json, element)? {
            let value = target.stored(value)?;
            let start = scratch.text.len();
            scratch.text.push_str(&value);
            scratch.spans.push((start, scratch.text.len()));
        }
    }
    scratch.push_distinct(target.number, out);
    Ok(())
}

/// Appends the value that the cells of a compound index's columns make; none when one of them is absent.
pub(super) fn push_compound<'a>(
    target: &Target<'_>,
    cells: impl Iterator<Item = (CellKind, &'a [u8])>,
    out: &mut IndexValues,
) -> Result<(), RejectReason> {
    let mut joined = String::new();
    for (part, (kind, text)) in cells.enumerate() {
        let Some((kind, text)) = scalar(kind, text)? else { return Ok(()) };
        let Some(value) = target.index.stored_part(part, kind, &text) else { return Ok(()) };
        compound::push_part(&mut joined, part == 0, &value);
    }
    out.push(target.number, &target.stored(Cow::Owned(joined))?);
    Ok(())
}

/// The normalised text of one scalar, or `None` when it is absent; of an order, the text that sorts.
fn value_of<'a>(
    index: &IndexDefinition,
    kind: CellKind,
    text: &'a [u8],
) -> Result<Option<Cow<'a, str>>, RejectReason> {
    let Some((kind, text)) = scalar(kind, text)? else { return Ok(None) };
    if index.is_order {
        return Ok(sortable(kind, &text).map(Cow::Owned));
    }
    Ok(match text {
        Cow::Borrowed(text) => index.stored(kind, text),
        Cow::Owned(text) => index.stored(kind, &text).map(|stored| Cow::Owned(stored.into_owned())),
    })
}

/// The scalar in a cell, and its kind outside of JSON: a JSON string is text.
fn scalar(kind: CellKind, text: &[u8]) -> Result<Option<(CellKind, Cow<'_, str>)>, RejectReason> {
    if kind != CellKind::Json {
        let text = std::str::from_utf8(text).map_err(|_| RejectReason::InvalidText)?;
        return Ok(Some((kind, Cow::Borrowed(text))));
    }
    let kind = match text.first() {
        Some(b'"') => {
            let text = json::unescaped(text).ok_or(RejectReason::InvalidText)?;
            return Ok(Some((CellKind::Text, text)));
        }
        Some(b't' | b'f') => CellKind::Boolean,
        Some(b'-' | b'0'..=b'9') => CellKind::Number,
        _ => return Ok(None),
    };
    let text = std::str::from_utf8(text).map_err(|_| RejectReason::InvalidText)?;
    Ok(Some((kind, Cow::Borrowed(text))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{index::NormalForm, name::IndexName, row::ColumnKind};

    fn index(each: bool, kind: ColumnKind, normalize: &[NormalForm]) -> IndexDefinition {
        let plain = IndexDefinition::plain(IndexName::new("i").unwrap(), "c", kind);
        IndexDefinition { each, normalize: normalize.to_vec(), ..plain }
    }

    fn values(index: &IndexDefinition, kind: CellKind, text: &str) -> Result<Vec<String>, RejectReason> {
        let mut out = IndexValues::default();
        let target = Target { number: 3, index, hasher: None };
        push_values(&target, (kind, text.as_bytes()), &mut Scratch::default(), &mut out)?;
        Ok(out
            .iter()
            .map(|(number, value)| {
                assert_eq!(number, 3);
                value.to_owned()
            })
            .collect())
    }

    #[test]
    fn one_value_per_cell() {
        use CellKind::{Boolean, Integer, Json, Null, Number, Text};
        let lower = index(false, ColumnKind::Text, &[NormalForm::Trim, NormalForm::Lowercase]);
        let plain = index(false, ColumnKind::Any, &[]);
        for (index, kind, text, expected) in [
            (&lower, Text, " A@B ", Some("a@b")),
            (&lower, Text, "  ", None),
            (&plain, Null, "", None),
            (&plain, Integer, "12", Some("12")),
            (&plain, Number, "12.00", Some("12")),
            (&plain, Boolean, "true", Some("true")),
            (&plain, Json, "[1]", None),
            (&plain, Json, "{}", None),
            (&plain, Json, "null", None),
            (&plain, Json, r#""a\nb""#, Some("a\nb")),
            (&plain, Json, r#""""#, None),
            (&plain, Json, "7.0", Some("7")),
            (&plain, Json, "-7.5", Some("-7.5")),
            (&plain, Json, "false", Some("false")),
            (&lower, Json, r#""É""#, Some("é")),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(values(index, kind, text), Ok(expected), "{kind:?} {text}");
        }
    }

    #[test]
    fn each_element_is_a_value_once() {
        let plain = index(true, ColumnKind::Any, &[]);
        let lower = index(true, ColumnKind::Any, &[NormalForm::Lowercase]);
        for (index, text, expected) in [
            (&plain, r#"["b","a","b",1,1.0,true,null,[2],{"x":3},""]"#, &["b", "a", "1", "true"][..]),
            (&lower, r#"["B","b","A"]"#, &["b", "a"]),
            (&plain, "[]", &[]),
            (&plain, r#""one""#, &["one"]),
            (&plain, "7", &["7"]),
            (&plain, r#"{"a":1}"#, &[]),
            (&plain, "null", &[]),
        ] {
            assert_eq!(values(index, CellKind::Json, text).unwrap(), expected, "{text}");
        }
        assert_eq!(values(&plain, CellKind::Text, "[not json").unwrap(), ["[not json"]);
    }

    #[test]
    fn bounds_reject() {
        let each = index(true, ColumnKind::Any, &[]);
        let one = index(false, ColumnKind::Text, &[]);
        let array = |count: usize| serde_json::to_string(&(0..count).collect::<Vec<_>>()).unwrap();
        assert_eq!(values(&each, CellKind::Json, &array(1000)).unwrap().len(), 1000);
        assert_eq!(values(&each, CellKind::Json, &array(1001)), Err(RejectReason::TooManyIndexElements));
        let long = "x".repeat(1025);
        assert_eq!(values(&one, CellKind::Text, &long), Err(RejectReason::IndexValueTooLong));
        assert!(values(&one, CellKind::Text, &long[1..]).is_ok());
        assert_eq!(
            values(&each, CellKind::Json, &format!("[\"{long}\"]")),
            Err(RejectReason::IndexValueTooLong)
        );
    }

    #[test]
    fn keys_are_canonical_or_rejected() {
        let id = index(false, ColumnKind::Integer, &[]);
        let key = |index: &IndexDefinition, kind, text: &str| {
            let (mut key, source) = (String::new(), IndexKey { columns: vec![0], hasher: None });
            write_key((index, &source), kind, text.as_bytes(), &mut key).map(|()| key)
        };
        assert_eq!(key(&id, CellKind::Integer, "12"), Ok("12".to_owned()));
        assert_eq!(key(&id, CellKind::Null, ""), Err(RejectReason::MissingPrimaryKey));
        assert_eq!(key(&id, CellKind::Text, ""), Err(RejectReason::MissingPrimaryKey));
        assert_eq!(key(&id, CellKind::Json, "1"), Err(RejectReason::InvalidPrimaryKey));
        assert_eq!(key(&id, CellKind::Invalid, "invalid_json"), Err(RejectReason::InvalidJson));
        assert_eq!(key(&id, CellKind::Invalid, "what"), Err(RejectReason::InvalidText));
        assert_eq!(key(&id, CellKind::Text, &"x".repeat(1025)), Err(RejectReason::PrimaryKeyTooLong));
        let uuid = index(false, ColumnKind::Uuid, &[]);
        assert_eq!(key(&uuid, CellKind::Text, "AB-C"), Ok("ab-c".to_owned()));
    }
}
