//! What a filter is called with.

use liquid_core::{
    Runtime, Value, ValueView,
    model::{KStringCow, ValueCow},
};

use crate::mapping::liquid::facts::{self, Plain};

/// One call of a filter.
pub(super) struct Call<'a> {
    pub(super) input: &'a dyn ValueView,
    pub(super) positional: Vec<ValueCow<'a>>,
    pub(super) labelled: Vec<(&'a str, ValueCow<'a>)>,
    pub(super) runtime: &'a dyn Runtime,
}

impl Call<'_> {
    /// The input as text.
    pub(super) fn text(&self) -> KStringCow<'_> {
        text_of(self.input)
    }

    /// An argument; nil when it is not given.
    pub(super) fn argument(&self, at: usize) -> &dyn ValueView {
        static NIL: Value = Value::Nil;
        self.positional.get(at).map_or(&NIL, |value| value.as_view())
    }

    /// Whether an argument is given.
    pub(super) fn has(&self, at: usize) -> bool {
        self.positional.len() > at
    }

    /// An argument as text.
    pub(super) fn text_argument(&self, at: usize) -> KStringCow<'_> {
        text_of(self.argument(at))
    }

    /// A labelled argument that is true.
    pub(super) fn is_set(&self, label: &str) -> bool {
        self.labelled.iter().any(|(given, value)| *given == label && facts::is_truthy(value))
    }

    /// The input as a list: an array's elements, nothing for nil, any other value alone.
    pub(super) fn list(&self) -> Vec<&dyn ValueView> {
        list_of(self.input)
    }
}

/// A value as a list.
pub(super) fn list_of(view: &dyn ValueView) -> Vec<&dyn ValueView> {
    if let Some(array) = view.as_array() {
        return array.values().collect();
    }
    if matches!(facts::plain(view), Plain::Nil) { Vec::new() } else { vec![view] }
}

/// A value as text; that of a structure is what it prints.
pub(super) fn text_of(view: &dyn ValueView) -> KStringCow<'_> {
    match facts::plain(view) {
        Plain::Structure => KStringCow::from_string(facts::text(view)),
        Plain::Nil => KStringCow::from_static(""),
        _ => view.to_kstr(),
    }
}

/// A value as a whole number: fractions are cut off, text counts by its leading digits. `None` for
/// what is no number at all.
pub(in crate::mapping::liquid) fn whole(view: &dyn ValueView) -> Option<i64> {
    match facts::plain(view) {
        Plain::Whole(whole) => Some(whole),
        // The cast saturates.
        Plain::Fractional(value) => Some(value as i64),
        Plain::Text(text) => Some(super::number::leading_whole(&text)),
        Plain::Nil | Plain::Boolean(_) | Plain::Structure => None,
    }
}
