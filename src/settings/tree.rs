//! TOML as a tree of values that know where they are written.

use super::{fault::Place, interpolate::Text};

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(Text),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// JSON's null, which TOML does not have. Reading it is a fault.
    Null,
    /// A number outside the range of its type. Reading it is a fault.
    TooLarge,
}

/// Places are ignored: two values are equal when they mean the same.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::String(a), Value::String(b)) => a.value == b.value,
            (a, b) => a == b,
        }
    }
}

impl Value {
    /// The name of the type with its article, for messages.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::TooLarge => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date or time",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Null => "null",
        }
    }
}

/// A table; its entries are in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

/// One key of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The place of the key; the node has that of the value.
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.node == other.node
    }
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn table(&self, key: &str) -> Option<&Self> {
        match &self.get(key)?.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn table_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.0.iter_mut().find(|entry| entry.key == key).and_then(|entry| match &mut entry.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        })
    }

    /// Merges `over` into this table. Where both have a table under a key, the two are merged; else the value of
    /// `over` wins.
    pub(crate) fn merge(&mut self, over: Self) {
        for mut entry in over.0 {
            match self.0.iter_mut().find(|known| known.key == entry.key) {
                None => self.0.push(entry),
                Some(known) => {
                    if let (Value::Table(under), Value::Table(over)) =
                        (&mut known.node.value, &mut entry.node.value)
                    {
                        under.merge(std::mem::take(over));
                        known.node.place = entry.node.place;
                        known.key_place = entry.key_place;
                    } else {
                        *known = entry;
                    }
                }
            }
        }
    }
}
