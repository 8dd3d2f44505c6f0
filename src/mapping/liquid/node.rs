//! The cells of a row, and what is inside JSON cells, as Liquid sees them.
//!
//! The crate's own values keep objects in random order and numbers as 64-bit floats. A [`Node`]
//! keeps the order of members and the digits of numbers, so that a template prints what the source
//! sent.

use std::{borrow::Cow, fmt};

use liquid_core::{
    ObjectView, ValueView,
    model::{ArrayView, DisplayCow, KStringCow, Object, ScalarCow, State, Value},
};
use serde_json::Value as Json;

use super::facts;
use crate::domain::row::CellKind;

/// The name by which [`facts`] tells an object whose members are in order.
pub(super) const ORDERED_OBJECT: &str = "ordered object";

/// One value of a row.
#[derive(Debug, Clone)]
pub(super) enum Node<'r> {
    Nil,
    Boolean(bool),
    Whole(i64),
    /// Digits that are not a whole number of 64 bits, and the number nearest to them.
    Decimal(Cow<'r, str>, f64),
    Text(Cow<'r, str>),
    Array(Vec<Node<'r>>),
    Object(Vec<(String, Node<'r>)>),
}

impl<'r> Node<'r> {
    /// The value of a cell. An invalid cell is nil: its row is rejected before a template runs.
    pub(super) fn of_cell(kind: CellKind, text: &'r [u8]) -> Self {
        if kind == CellKind::Json {
            return serde_json::from_slice(text).map_or(Self::Nil, Self::of_json);
        }
        let Ok(text) = std::str::from_utf8(text) else { return Self::Nil };
        match kind {
            CellKind::Boolean => Self::Boolean(text == "true"),
            CellKind::Integer | CellKind::Number => Self::of_number(Cow::Borrowed(text)),
            CellKind::Text => Self::Text(Cow::Borrowed(text)),
            CellKind::Null | CellKind::Json | CellKind::Invalid => Self::Nil,
        }
    }

    fn of_number(text: Cow<'r, str>) -> Self {
        if let Ok(whole) = text.parse() {
            return Self::Whole(whole);
        }
        let nearest = text.parse().unwrap_or(0.0);
        Self::Decimal(text, nearest)
    }

    fn of_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Boolean(value),
            Json::Number(number) => Self::of_number(Cow::Owned(number.to_string())),
            Json::String(text) => Self::Text(Cow::Owned(text)),
            Json::Array(elements) => Self::Array(elements.into_iter().map(Self::of_json).collect()),
            Json::Object(members) => {
                Self::Object(members.into_iter().map(|(key, value)| (key, Self::of_json(value))).collect())
            }
        }
    }

    fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }
}

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&facts::text(self))
    }
}

impl ValueView for Node<'_> {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        DisplayCow::Borrowed(self)
    }

    /// Stands in error messages of the crate, which are never shown; never a value.
    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new(self.type_name()))
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "boolean",
            Self::Whole(_) => "whole number",
            Self::Decimal(..) => "fractional number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => ORDERED_OBJECT,
        }
    }

    fn query_state(&self, state: State) -> bool {
        match state {
            State::Truthy => facts::is_truthy(self),
            State::DefaultValue => facts::is_default(self),
            State::Empty => facts::is_empty(self),
            State::Blank => facts::is_blank(self),
        }
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        match self {
            Self::Nil => KStringCow::from_static(""),
            Self::Text(text) | Self::Decimal(text, _) => KStringCow::from_ref(text),
            Self::Boolean(value) => KStringCow::from_static(if *value { "true" } else { "false" }),
            Self::Whole(whole) => KStringCow::from_string(whole.to_string()),
            Self::Array(_) | Self::Object(_) => KStringCow::from_string(self.to_string()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Boolean(value) => Value::scalar(*value),
            Self::Whole(whole) => Value::scalar(*whole),
            Self::Decimal(_, nearest) => Value::scalar(*nearest),
            Self::Text(text) => Value::scalar(text.clone().into_owned()),
            Self::Array(elements) => Value::array(elements.iter().map(ValueView::to_value)),
            Self::Object(members) => Value::Object(
                members.iter().map(|(key, value)| (key.clone().into(), value.to_value())).collect::<Object>(),
            ),
        }
    }

    fn as_scalar(&self) -> Option<ScalarCow<'_>> {
        match self {
            Self::Boolean(value) => Some(ScalarCow::new(*value)),
            Self::Whole(whole) => Some(ScalarCow::new(*whole)),
            Self::Decimal(_, nearest) => Some(ScalarCow::new(*nearest)),
            Self::Text(text) => Some(ScalarCow::new(text.as_ref())),
            Self::Nil | Self::Array(_) | Self::Object(_) => None,
        }
    }

    fn as_array(&self) -> Option<&dyn ArrayView> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    fn as_object(&self) -> Option<&dyn ObjectView> {
        matches!(self, Self::Object(_)).then_some(self)
    }

    fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }
}

impl ObjectView for Node<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        facts::count(self.members().len())
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(self.members().iter().map(|(key, _)| KStringCow::from_ref(key)))
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.members().iter().map(|(_, value)| value as &dyn ValueView))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        Box::new(
            self.members().iter().map(|(key, value)| (KStringCow::from_ref(key), value as &dyn ValueView)),
        )
    }

    fn contains_key(&self, index: &str) -> bool {
        ObjectView::get(self, index).is_some()
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        self.members().iter().find(|(key, _)| key == index).map(|(_, value)| value as &dyn ValueView)
    }
}
