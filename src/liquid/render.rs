//! Running a template over one row.

use std::{collections::HashMap, fmt::Write as _, rc::Rc};

use chrono::{DateTime, Utc};

use super::{
    Failure, Template, compare,
    filters::Call,
    looping::Loop,
    meter::Meter,
    print,
    tree::{
        Body, Chain, Condition, Expr, FilterCall, Junction, Node, Operator, Path, Repeat, Slot, Step, Term,
    },
    value::{Decimal, Text, Value, range_size, signed},
};
use crate::domain::{
    json,
    limits::RECORD_BYTES_MAX,
    row::{CellKind, RowBatch},
};

/// What comes after a node: the next one, or the end of a turn or of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The values of a name.
#[derive(Debug, Clone, Default)]
struct Binding<'r> {
    /// The item of a loop, or a loop itself.
    local: Option<Value<'r>>,
    assigned: Option<Value<'r>>,
    counter: Option<i64>,
    /// The column, once it is read.
    cell: Option<Value<'r>>,
}

/// One row, and what the template has made of it so far.
#[derive(Debug)]
pub(super) struct Render<'r> {
    template: &'r Template,
    batch: &'r RowBatch,
    row: usize,
    /// What `'now'` means.
    pub(super) now: DateTime<Utc>,
    pub(super) meter: Meter,
    bindings: Vec<Binding<'r>>,
    /// The loops that run, the innermost last.
    loops: Vec<Rc<Loop>>,
    /// Where each loop ended, for `offset: continue`.
    offsets: Vec<usize>,
    cycles: HashMap<String, usize>,
    last_if_changed: Option<String>,
}

impl<'r> Render<'r> {
    pub(super) fn new(template: &'r Template, batch: &'r RowBatch, row: usize, now: DateTime<Utc>) -> Self {
        Self {
            template,
            batch,
            row,
            now,
            meter: Meter::new(),
            bindings: vec![Binding::default(); template.names.len()],
            loops: Vec::new(),
            offsets: Vec::new(),
            cycles: HashMap::new(),
            last_if_changed: None,
        }
    }

    pub(super) fn run(&mut self, out: &mut String) -> Result<(), Failure> {
        self.body(&self.template.body, out).map(|_| ())
    }

    fn body(&mut self, body: &'r [Node], out: &mut String) -> Result<Flow, Failure> {
        for node in body {
            self.meter.spend(1)?;
            let flow = self.node(node, out)?;
            if out.len() > RECORD_BYTES_MAX {
                return Err(Failure::TooLarge);
            }
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &'r Node, out: &mut String) -> Result<Flow, Failure> {
        match node {
            Node::Text(text) => {
                self.meter.spend_bytes(text.len() / 8)?;
                out.push_str(text);
            }
            Node::Output(chain) => {
                let value = self.chain(chain)?;
                print::write(&value, out, &self.meter)?;
            }
            Node::Assign(slot, chain) => self.bindings[*slot].assigned = Some(self.chain(chain)?),
            Node::Capture(slot, body) => {
                let mut captured = String::new();
                let flow = self.body(body, &mut captured)?;
                self.meter.spend_text(captured.len() / 4)?;
                self.bindings[*slot].assigned = Some(Value::text(captured));
                return Ok(flow);
            }
            Node::Count { slot, is_down } => {
                let before = self.counter(*slot)?;
                let after = before.wrapping_add(if *is_down { -1 } else { 1 });
                self.bindings[*slot].counter = Some(after);
                print::write(&Value::Int(if *is_down { after } else { before }), out, &self.meter)?;
            }
            Node::If(branches) => {
                for (condition, body) in branches {
                    let holds = condition.as_ref().map_or(Ok(true), |condition| self.is_true(condition))?;
                    if holds {
                        return self.body(body, out);
                    }
                }
            }
            Node::Case(subject, branches) => return self.case(subject, branches, out),
            Node::For(repeat) if repeat.is_table => self.table_row(repeat, out)?,
            Node::For(repeat) => return self.repeat(repeat, out),
            Node::Cycle(name, values) => {
                let name = self.expr(name)?;
                let key = print::text(&name, &self.meter)?;
                self.meter.spend_bytes(key.len())?;
                let next = self.cycles.entry(key.to_string()).or_insert(0);
                let turn = std::mem::replace(next, if *next + 1 < values.len() { *next + 1 } else { 0 });
                if let Some(value) = values.get(turn) {
                    let value = self.expr(value)?;
                    print::write(&value, out, &self.meter)?;
                }
            }
            Node::IfChanged(body) => {
                let mut printed = String::new();
                let flow = self.body(body, &mut printed)?;
                self.meter.spend_bytes(printed.len())?;
                if self.last_if_changed.as_ref() != Some(&printed) {
                    out.push_str(&printed);
                    self.last_if_changed = Some(printed);
                }
                return Ok(flow);
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn case(
        &mut self,
        subject: &'r Expr,
        branches: &'r [(Option<Vec<Expr>>, Body)],
        out: &mut String,
    ) -> Result<Flow, Failure> {
        let mut is_matched = false;
        for (values, body) in branches {
            let mut matches = usize::from(values.is_none() && !is_matched);
            for value in values.iter().flatten() {
                self.meter.spend(1)?;
                matches += usize::from(self.compare(subject, Operator::Equal, value)?);
            }
            is_matched |= values.is_some() && matches > 0;
            // As in Ruby, once for each value that matches.
            for _ in 0..matches {
                let flow = self.body(body, out)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
        }
        Ok(Flow::Next)
    }

    fn counter(&mut self, slot: Slot) -> Result<i64, Failure> {
        if let Some(count) = self.bindings[slot].counter {
            return Ok(count);
        }
        Ok(match self.cell(slot)? {
            Value::Int(whole) => whole,
            _ => 0,
        })
    }

    /// The items of a loop, with the number of the first and how many there are after `offset` and `limit`.
    fn items(&mut self, repeat: &'r Repeat) -> Result<(Value<'r>, usize, usize), Failure> {
        let mut offset = self.bound(&repeat.offset)?.unwrap_or(0);
        if repeat.continues {
            offset = signed(self.offsets.get(repeat.name).copied().unwrap_or(0));
        }
        let limit = self.bound(&repeat.limit)?;
        let items = match self.expr(&repeat.collection)? {
            Value::Object(members) => {
                self.meter.spend(2 * members.len())?;
                Value::array(members.iter().map(pair))
            }
            Value::Text(text) if !text.is_empty() => Value::array([Value::Text(text)]),
            items @ (Value::Array(_) | Value::Range(..)) => items,
            _ => Value::array([]),
        };
        let size = size(&items, &self.meter)?.unwrap_or(0);
        let bounded = |place: i64| usize::try_from(place).unwrap_or(0).min(size);
        let end = limit.map_or(size, |limit| bounded(limit.saturating_add(offset)));
        Ok((items, bounded(offset), end.saturating_sub(bounded(offset))))
    }

    /// The value of `limit` and `offset`: an integer, or text that is one.
    fn bound(&mut self, expr: &'r Expr) -> Result<Option<i64>, Failure> {
        match self.expr(expr)? {
            Value::Nil => Ok(None),
            value => super::filters::integer(&value).map(Some),
        }
    }

    fn repeat(&mut self, repeat: &'r Repeat, out: &mut String) -> Result<Flow, Failure> {
        let (items, from, length) = self.items(repeat)?;
        if self.offsets.len() <= repeat.name {
            self.offsets.resize(repeat.name + 1, 0);
        }
        self.offsets[repeat.name] = from + length;
        if length == 0 {
            return self.body(&repeat.otherwise, out);
        }
        let parent = self.loops.last().cloned();
        let state = Rc::new(Loop { index: 0.into(), length, name: repeat.name, parent, columns: 0 });
        self.loops.push(Rc::clone(&state));
        self.turns(repeat, &items, from, &state, self.template.forloop, out)?;
        self.loops.pop();
        Ok(Flow::Next)
    }

    fn table_row(&mut self, repeat: &'r Repeat, out: &mut String) -> Result<(), Failure> {
        if matches!(self.expr(&repeat.collection)?, Value::Nil) {
            return Ok(());
        }
        let (items, from, length) = self.items(repeat)?;
        let columns = match self.expr(&repeat.columns)? {
            Value::Nil => length,
            columns => usize::try_from(super::filters::leading_integer(&columns, &self.meter)?).unwrap_or(0),
        };
        let state = Rc::new(Loop { index: 0.into(), length, name: repeat.name, parent: None, columns });
        out.push_str("<tr class=\"row1\">\n");
        self.turns(repeat, &items, from, &state, self.template.tablerowloop, out)?;
        out.push_str("</tr>\n");
        Ok(())
    }

    /// The turns of a loop, whose state the name in `slot` has.
    fn turns(
        &mut self,
        repeat: &'r Repeat,
        items: &Value<'r>,
        from: usize,
        state: &Rc<Loop>,
        slot: Option<Slot>,
        out: &mut String,
    ) -> Result<(), Failure> {
        let outer_state = slot.map(|slot| self.bindings[slot].local.replace(Value::Loop(Rc::clone(state))));
        let outer_item = self.bindings[repeat.item].local.take();
        let mut flow = Flow::Next;
        while state.index.get() < state.length && flow != Flow::Break {
            self.meter.spend(2)?;
            let turn = state.index.get();
            let at = from + if repeat.is_reversed { state.length - 1 - turn } else { turn };
            self.bindings[repeat.item].local = Some(match items {
                Value::Range(first, _) => Value::Int(first + signed(at)),
                items => element(items, signed(at)),
            });
            flow = if repeat.is_table {
                self.table_cell(repeat, state, out)?
            } else {
                self.body(&repeat.body, out)?
            };
            state.index.set(turn + 1);
        }
        self.bindings[repeat.item].local = outer_item;
        if let (Some(slot), Some(outer)) = (slot, outer_state) {
            self.bindings[slot].local = outer;
        }
        Ok(())
    }

    fn table_cell(&mut self, repeat: &'r Repeat, state: &Loop, out: &mut String) -> Result<Flow, Failure> {
        self.meter.spend(3)?;
        let turn = state.index.get();
        let column = if state.columns > 0 { turn % state.columns } else { turn };
        let _ = write!(out, "<td class=\"col{}\">", column + 1);
        let flow = self.body(&repeat.body, out)?;
        out.push_str("</td>");
        if column + 1 == state.columns && turn + 1 < state.length && flow != Flow::Break {
            let _ = write!(out, "</tr>\n<tr class=\"row{}\">", turn / state.columns + 2);
        }
        Ok(flow)
    }

    fn is_true(&mut self, condition: &'r Condition) -> Result<bool, Failure> {
        let mut holds = false;
        for term in &condition.terms {
            self.meter.spend(1)?;
            holds = match &term.compare {
                None => self.expr(&term.left)?.is_truthy(),
                Some((operator, right)) => self.compare(&term.left, *operator, right)?,
            } != term.is_negated;
            match term.next {
                Some(Junction::And) if holds => {}
                Some(Junction::Or) if !holds => {}
                _ => break,
            }
        }
        Ok(holds != condition.is_negated)
    }

    /// `empty` and `blank` are questions beside `==` and `!=`, and an empty text elsewhere.
    fn compare(&mut self, left: &'r Expr, operator: Operator, right: &'r Expr) -> Result<bool, Failure> {
        let is_question = |expr: &Expr| matches!(expr, Expr::Empty | Expr::Blank);
        let (question, other) = if is_question(left) { (left, right) } else { (right, left) };
        if !is_question(question) || operator == Operator::Contains {
            let (left, right) = (self.expr(left)?, self.expr(right)?);
            return compare::holds(operator, &left, &right, &self.meter);
        }
        if matches!(operator, Operator::Order(_)) {
            return Ok(false);
        }
        let value = self.expr(other)?;
        let holds = match question {
            _ if is_question(other) => false,
            Expr::Empty => value.is_empty(),
            _ => {
                if let Value::Text(text) = &value {
                    self.meter.spend_bytes(text.len() / 4)?;
                }
                value.is_blank()
            }
        };
        Ok(holds != (operator == Operator::NotEqual))
    }

    pub(super) fn chain(&mut self, chain: &'r Chain) -> Result<Value<'r>, Failure> {
        let mut value = match &chain.base.terms[..] {
            [Term { is_negated: false, left, compare: None, .. }] => self.expr(left)?,
            _ => Value::Bool(self.is_true(&chain.base)?),
        };
        for call in &chain.calls {
            value = self.filter(call, value)?;
        }
        Ok(value)
    }

    fn filter(&mut self, call: &'r FilterCall, input: Value<'r>) -> Result<Value<'r>, Failure> {
        self.meter.spend(2)?;
        let mut arguments = [Value::Nil, Value::Nil, Value::Nil];
        for (argument, expr) in arguments.iter_mut().zip(&call.arguments) {
            *argument = self.expr(expr)?;
        }
        (call.filter.run)(&mut Call { input, arguments, syntax: call, render: self })
    }

    /// Evaluates an expression for an item, as `where_exp` does.
    pub(super) fn for_item(
        &mut self,
        slot: Slot,
        item: Value<'r>,
        chain: &'r Chain,
    ) -> Result<Value<'r>, Failure> {
        self.meter.spend(3)?;
        let outer = self.bindings[slot].local.replace(item);
        let value = self.chain(chain);
        self.bindings[slot].local = outer;
        value
    }

    pub(super) fn expr(&mut self, expr: &'r Expr) -> Result<Value<'r>, Failure> {
        Ok(match expr {
            Expr::Nil => Value::Nil,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(whole) => Value::Int(*whole),
            Expr::Number(digits) => {
                Value::Decimal(Decimal { digits: Text::Borrowed(digits), is_whole: !digits.contains('.') })
            }
            Expr::Text(text) => Value::Text(Text::Borrowed(text)),
            Expr::Empty | Expr::Blank => Value::Text(Text::Borrowed("")),
            Expr::Range(ends) => {
                let (first, last) = (self.expr(&ends.0)?, self.expr(&ends.1)?);
                let end = |value| super::filters::leading_integer(value, &self.meter);
                Value::Range(end(&first)?, end(&last)?)
            }
            Expr::Name(slot) => return self.name(*slot),
            Expr::Dynamic(name) => {
                let name = self.expr(name)?;
                return self.dynamic(&name);
            }
            Expr::Path(path) => return self.path(path),
        })
    }

    /// The value of a name: of a loop, then of the template, then of the row.
    fn name(&mut self, slot: Slot) -> Result<Value<'r>, Failure> {
        self.meter.spend(1)?;
        let binding = &self.bindings[slot];
        if let Some(value) = binding.local.as_ref().or(binding.assigned.as_ref()) {
            return Ok(value.clone());
        }
        match binding.counter {
            Some(count) => Ok(Value::Int(count)),
            None => self.cell(slot),
        }
    }

    fn cell(&mut self, slot: Slot) -> Result<Value<'r>, Failure> {
        if let Some(value) = &self.bindings[slot].cell {
            return Ok(value.clone());
        }
        let value = match self.template.names[slot].column {
            Some(column) => self.column(column)?,
            None => Value::Nil,
        };
        self.bindings[slot].cell = Some(value.clone());
        Ok(value)
    }

    fn column(&self, column: usize) -> Result<Value<'r>, Failure> {
        let (kind, text) = self.batch.cell(self.row, column);
        match kind {
            CellKind::Invalid => return Err(Failure::InvalidColumn(column)),
            // Each level of the JSON is scanned once more.
            CellKind::Json => self.meter.spend_bytes(text.len() * (3 + json::depth(text)) / 3)?,
            _ => {}
        }
        Ok(Value::of_cell(kind, text))
    }

    /// `[name]`.
    fn dynamic(&mut self, name: &Value<'r>) -> Result<Value<'r>, Failure> {
        let name = print::text(name, &self.meter)?;
        let Template { names, columns, .. } = self.template;
        self.meter.spend((names.len() + columns.len()) / 4)?;
        if let Some(slot) = names.iter().position(|known| *known.text == *name) {
            return self.name(slot);
        }
        columns.iter().position(|known| **known == *name).map_or(Ok(Value::Nil), |column| self.column(column))
    }

    fn path(&mut self, path: &'r Path) -> Result<Value<'r>, Failure> {
        let mut value = self.expr(&path.root)?;
        for step in &path.steps {
            value = match step {
                Step::Name(name) => self.member(&value, name)?,
                Step::Index(index) => match (self.expr(index)?, &value) {
                    (Value::Int(index), Value::Array(_)) => element(&value, index),
                    (Value::Text(key), Value::Object(members)) => {
                        self.meter.spend(members.len() / 4)?;
                        value.member(&key).cloned().unwrap_or(Value::Nil)
                    }
                    (Value::Text(key), Value::Loop(_)) => self.member(&value, &key)?,
                    _ => Value::Nil,
                },
            };
        }
        Ok(value)
    }

    /// `value.name`.
    fn member(&self, value: &Value<'r>, name: &str) -> Result<Value<'r>, Failure> {
        if let Value::Object(members) = value {
            self.meter.spend(members.len() / 4)?;
            if let Some(found) = value.member(name) {
                return Ok(found.clone());
            }
        }
        Ok(match (value, name) {
            (Value::Loop(state), "name") => {
                Value::Text(Text::Borrowed(&self.template.names[state.name].text))
            }
            (Value::Loop(state), name) => state.property(name),
            (value, "size") => size(value, &self.meter)?.map_or(Value::Nil, Value::count),
            (value, "first") => end(value, true),
            (value, "last") => end(value, false),
            (Value::Array(_), name) => name.parse().map_or(Value::Nil, |index| element(value, index)),
            _ => Value::Nil,
        })
    }
}

/// The element of an array at an index, which counts from the end if it is negative.
fn element<'r>(value: &Value<'r>, index: i64) -> Value<'r> {
    let Value::Array(elements) = value else { return Value::Nil };
    let index = if index < 0 { index + signed(elements.len()) } else { index };
    usize::try_from(index).ok().and_then(|index| elements.get(index)).cloned().unwrap_or(Value::Nil)
}

/// A member of an object as an array of key and value.
fn pair<'r>((key, value): &(Text<'r>, Value<'r>)) -> Value<'r> {
    Value::array([Value::Text(key.clone()), value.clone()])
}

/// Characters of a text, elements of an array, members of an object or a range.
pub(super) fn size(value: &Value<'_>, meter: &Meter) -> Result<Option<usize>, Failure> {
    Ok(match value {
        Value::Text(text) => {
            meter.spend_bytes(text.len() / 2)?;
            Some(text.chars().count())
        }
        Value::Array(elements) => Some(elements.len()),
        Value::Object(members) => Some(members.len()),
        Value::Range(first, last) => Some(range_size(*first, *last)),
        _ => None,
    })
}

/// The first or the last of an array or a range, and the first member of an object.
pub(super) fn end<'r>(value: &Value<'r>, is_first: bool) -> Value<'r> {
    match value {
        Value::Array(_) => element(value, if is_first { 0 } else { -1 }),
        Value::Range(first, last) => Value::Int(if is_first { *first } else { *last }),
        Value::Object(members) if is_first => members.first().map_or(Value::Nil, pair),
        _ => Value::Nil,
    }
}
