//! A record on its way from a mapping to a segment.

/// One record, before compression. Reused from row to row: [`Record::clear`] keeps the buffers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Canonical, normalised primary key.
    pub key: String,
    /// The JSON object, as it is served.
    pub body: Vec<u8>,
    /// Values of the secondary indexes.
    pub values: IndexValues,
}

impl Record {
    /// Empties the record and keeps its buffers.
    pub fn clear(&mut self) {
        self.key.clear();
        self.body.clear();
        self.values.clear();
    }
}

/// The values that a record has under its secondary indexes, packed.
///
/// Indexes are numbered as in [`super::manifest::Manifest::indexes`]; 0 is the primary one, whose
/// value is the key itself and never stands here. Values come in the order of the indexes; the
/// values of one `each` index are distinct.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexValues {
    text: String,
    spans: Vec<(u16, u32)>,
}

impl IndexValues {
    /// Appends a value of `index`, which is not lower than the last one's.
    pub fn push(&mut self, index: u16, value: &str) {
        debug_assert!(self.spans.last().is_none_or(|last| last.0 <= index));
        self.text.push_str(value);
        self.spans.push((index, self.text.len() as u32));
    }

    /// All values with the number of their index.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        let mut start = 0;
        self.spans.iter().map(move |&(index, end)| {
            let value = &self.text[start..end as usize];
            start = end as usize;
            (index, value)
        })
    }

    /// Empties it and keeps its buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }
}

/// Facts about a stored record that are not part of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// The row has left the model; the record stays by `on_delete = "keep"` or `"clear"`.
    pub const LEFT: Self = Self(1);

    /// Whether the row has left the model.
    pub const fn has_left(self) -> bool {
        self.0 & Self::LEFT.0 != 0
    }
}
