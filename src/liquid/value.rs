//! Values of a template: borrowed from the row where they can be, shared where they are made.

use std::{borrow::Cow, cell::Cell, ops::Deref, rc::Rc};

use super::{
    Meter, Result,
    number::{self, Kind},
    tree::Slot,
};
use crate::domain::{json, row::CellKind};

/// Text of the row or the template, or text that a filter made. A clone copies no bytes.
#[derive(Debug, Clone)]
pub(super) enum Text<'r> {
    Borrowed(&'r str),
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Text<'_> {
    /// `part`, which is a slice of this text. It is borrowed if this text is.
    pub(super) fn slice(&self, part: &str) -> Self {
        let from = part.as_ptr() as usize - self.as_ptr() as usize;
        match self {
            Self::Borrowed(text) => Self::Borrowed(&text[from..from + part.len()]),
            Self::Shared(text) if part.len() == text.len() => self.clone(),
            Self::Shared(_) => Self::Shared(part.into()),
        }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

/// A number that is no 64-bit integer, as its digits.
#[derive(Debug, Clone)]
pub(super) struct Decimal<'r> {
    pub(super) digits: Text<'r>,
    pub(super) kind: Kind,
}

/// What a filter or an expression gives.
pub(super) type Made<'r> = Result<Value<'r>>;

#[derive(Debug, Clone)]
pub(super) enum Value<'r> {
    Nil,
    Bool(bool),
    Int(i64),
    Decimal(Decimal<'r>),
    Text(Text<'r>),
    Array(Rc<[Value<'r>]>),
    /// Members in the order of the row.
    Object(Rc<[(Text<'r>, Value<'r>)]>),
    /// Both ends belong to it.
    Range(i64, i64),
    Loop(Rc<Loop>),
}

impl<'r> Value<'r> {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into())
    }

    /// A count of things in memory.
    pub(super) fn count(count: usize) -> Self {
        Self::Int(signed(count))
    }

    pub(super) fn array(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Array(values.into_iter().collect())
    }

    /// The value of a cell that is not invalid: text, or compact JSON, which is parsed whole.
    pub(super) fn of_cell(kind: CellKind, text: &'r [u8]) -> Self {
        match kind {
            CellKind::Null | CellKind::Invalid => Self::Nil,
            CellKind::Text => str::from_utf8(text).map_or(Self::Nil, |text| Self::Text(Text::Borrowed(text))),
            CellKind::Integer | CellKind::Number => {
                str::from_utf8(text).map_or(Self::Nil, |digits| number::literal(Text::Borrowed(digits)))
            }
            CellKind::Boolean | CellKind::Json => Self::of_json(text),
        }
    }

    fn of_json(text: &'r [u8]) -> Self {
        match text.first() {
            Some(b'{') => Self::Object(
                json::members(text).map(|(key, value)| (string(key), Self::of_json(value))).collect(),
            ),
            Some(b'[') => Self::array(json::elements(text).map(Self::of_json)),
            Some(b'"') => Self::Text(string(text)),
            _ => match str::from_utf8(text) {
                Ok("true") => Self::Bool(true),
                Ok("false") => Self::Bool(false),
                Ok("null" | "") | Err(_) => Self::Nil,
                Ok(digits) => number::literal(Text::Borrowed(digits)),
            },
        }
    }

    /// The same without anything borrowed.
    pub(super) fn into_owned<'o>(self) -> Value<'o> {
        let owned = |text: Text<'_>| Text::Shared(Rc::from(&*text));
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(whole) => Value::Int(whole),
            Self::Decimal(Decimal { digits, kind }) => {
                Value::Decimal(Decimal { digits: owned(digits), kind })
            }
            Self::Text(text) => Value::Text(owned(text)),
            Self::Array(values) => Value::array(values.iter().cloned().map(Self::into_owned)),
            Self::Object(members) => Value::Object(
                members.iter().cloned().map(|(key, value)| (owned(key), value.into_owned())).collect(),
            ),
            Self::Range(first, last) => Value::Range(first, last),
            Self::Loop(state) => Value::Loop(state),
        }
    }

    /// Everything but nil and false is true.
    pub(super) fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// `""`, `[]` and `{}`.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Array(values) => values.is_empty(),
            Self::Object(members) => members.is_empty(),
            _ => false,
        }
    }

    /// Empty, nil, false, or text of white space.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            _ => self.is_empty() || !self.is_truthy(),
        }
    }

    pub(super) fn member(&self, key: &str, meter: &Meter) -> Result<Option<&Self>> {
        let Self::Object(members) = self else { return Ok(None) };
        meter.spend_search(members.len(), key)?;
        Ok(members.iter().find(|(name, _)| &**name == key).map(|(_, value)| value))
    }
}

fn string(json: &[u8]) -> Text<'_> {
    match json::unescaped(json) {
        Some(Cow::Borrowed(text)) => Text::Borrowed(text),
        Some(Cow::Owned(text)) => text.into(),
        None => Text::Borrowed(""),
    }
}

/// A count of things in memory, which is far below the end of the type.
pub(super) fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Members of a range; 0 when it ends before it starts.
pub(super) fn range_size(first: i64, last: i64) -> usize {
    usize::try_from(i128::from(last) - i128::from(first) + 1).unwrap_or(0)
}

/// A loop that runs: `forloop` or `tablerowloop`.
#[derive(Debug)]
pub(super) struct Loop {
    /// Turns that are done.
    pub(super) index: Cell<usize>,
    pub(super) length: usize,
    pub(super) name: Slot,
    pub(super) parent: Option<Rc<Loop>>,
    /// Columns of a `tablerow`; 0 is one row.
    pub(super) columns: usize,
}

impl Loop {
    /// Row and column of the present cell of a table.
    pub(super) fn place(&self) -> (usize, usize) {
        let index = self.index.get();
        (index.checked_div(self.columns).unwrap_or(0), index.checked_rem(self.columns).unwrap_or(index))
    }

    /// A property other than `name`.
    pub(super) fn property<'r>(&self, key: &str) -> Value<'r> {
        let (index, (row, column)) = (self.index.get(), self.place());
        match key {
            "index" => Value::count(index + 1),
            "index0" => Value::count(index),
            "rindex" => Value::count(self.length.saturating_sub(index)),
            "rindex0" => Value::Int(signed(self.length) - signed(index) - 1),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(index + 1 == self.length),
            "length" => Value::count(self.length),
            "row" => Value::count(row + 1),
            "col" => Value::count(column + 1),
            "col0" => Value::count(column),
            "col_first" => Value::Bool(column == 0),
            "col_last" => Value::Bool(column + 1 == self.columns),
            "parentloop" => self.parent.clone().map_or(Value::Nil, Value::Loop),
            _ => Value::Nil,
        }
    }
}
