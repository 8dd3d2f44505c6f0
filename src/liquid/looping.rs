//! `forloop` and `tablerowloop`.

use std::{cell::Cell, rc::Rc};

use super::{
    tree::Slot,
    value::{Value, signed},
};

/// A loop that runs.
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
