//! Where a template's names come from: its own variables, then the row.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use liquid_core::{
    Error, Renderable, Result, Runtime, ValueView,
    model::{KString, KStringCow, KStringRef, ScalarCow, Value, ValueCow},
    runtime::{PartialStore, Registers},
};

use super::{
    facts::{self, Plain},
    meter::{self, Meter},
    node::Node,
    source,
};
use crate::domain::row::RowBatch;

/// One row, and what the template has made so far.
pub(super) struct RowRuntime<'r> {
    columns: &'r [(String, usize)],
    batch: &'r RowBatch,
    row: usize,
    /// Values of the columns, made when they are first read.
    cells: Vec<OnceCell<Node<'r>>>,
    variables: RefCell<HashMap<KString, Value>>,
    counters: RefCell<HashMap<KString, Value>>,
    registers: Registers,
}

impl<'r> RowRuntime<'r> {
    pub(super) fn new(
        columns: &'r [(String, usize)],
        batch: &'r RowBatch,
        row: usize,
        now: DateTime<Utc>,
    ) -> Self {
        let registers = Registers::default();
        registers.get_mut::<Meter>().now = now;
        Self {
            columns,
            batch,
            row,
            cells: vec![OnceCell::new(); columns.len()],
            variables: RefCell::default(),
            counters: RefCell::default(),
            registers,
        }
    }

    fn cell(&self, name: &str) -> Option<&Node<'r>> {
        let name = source::original(name);
        let at = self.columns.iter().position(|(column, _)| column == name)?;
        Some(self.cells[at].get_or_init(|| {
            let (kind, text) = self.batch.cell(self.row, self.columns[at].1);
            Node::of_cell(kind, text)
        }))
    }
}

impl Runtime for RowRuntime<'_> {
    fn partials(&self) -> &dyn PartialStore {
        &NoPartials
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        None
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        BTreeSet::new()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        self.get(path).ok()
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        let Some((name, rest)) = path.split_first() else { return Ok(nil()) };
        let name = name.to_kstr();
        if let Some(value) = self.variables.borrow().get(name.as_str()) {
            let found = walk(value, rest).into_owned();
            meter::charge(self, facts::weight(&found))?;
            return Ok(ValueCow::Owned(found));
        }
        if let Some(node) = self.cell(name.as_str()) {
            return Ok(walk(node, rest));
        }
        let counter = self.counters.borrow().get(name.as_str()).cloned();
        Ok(counter.filter(|_| rest.is_empty()).map_or_else(nil, ValueCow::Owned))
    }

    fn set_global(&self, name: KString, value: Value) -> Option<Value> {
        self.variables.borrow_mut().insert(name, value)
    }

    fn set_index(&self, name: KString, value: Value) -> Option<Value> {
        self.counters.borrow_mut().insert(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.counters.borrow().get(name).cloned().map(ValueCow::Owned)
    }

    fn registers(&self) -> &Registers {
        &self.registers
    }
}

/// What a missing name is.
pub(super) fn nil() -> ValueCow<'static> {
    ValueCow::Owned(Value::Nil)
}

/// The value at a path below `view`; nil when any part of it is missing.
pub(super) fn walk<'v>(mut view: &'v dyn ValueView, path: &[ScalarCow<'_>]) -> ValueCow<'v> {
    for (at, index) in path.iter().enumerate() {
        match step(view, index) {
            Some(ValueCow::Borrowed(next)) => view = next,
            Some(made) if at + 1 == path.len() => return made,
            _ => return nil(),
        }
    }
    ValueCow::Borrowed(view)
}

fn step<'v>(view: &'v dyn ValueView, index: &ScalarCow<'_>) -> Option<ValueCow<'v>> {
    let name = index.to_kstr();
    let made = |size: i64| Some(ValueCow::Owned(Value::scalar(size)));
    if let Some(array) = view.as_array() {
        return match (index.to_integer(), name.as_str()) {
            (Some(at), _) => array.get(at).map(ValueCow::Borrowed),
            (None, "first") => array.first().map(ValueCow::Borrowed),
            (None, "last") => array.last().map(ValueCow::Borrowed),
            (None, "size") => made(array.size()),
            (None, _) => None,
        };
    }
    if let Some(object) = view.as_object() {
        return match object.get(name.as_str()) {
            Some(value) => Some(ValueCow::Borrowed(value)),
            None if name == "size" => made(object.size()),
            None => None,
        };
    }
    match facts::plain(view) {
        Plain::Text(text) if name == "size" => made(facts::count(text.chars().count())),
        _ => None,
    }
}

#[derive(Debug)]
struct NoPartials;

impl PartialStore for NoPartials {
    fn contains(&self, _name: &str) -> bool {
        false
    }

    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    fn try_get(&self, _name: &str) -> Option<Arc<dyn Renderable>> {
        None
    }

    fn get(&self, _name: &str) -> Result<Arc<dyn Renderable>> {
        Err(Error::with_msg("a mapping has no partial templates"))
    }
}
