//! Running a template over one row.

use std::{collections::BTreeMap, fmt::Write as _, rc::Rc, slice};

use chrono::{DateTime, Utc};

use super::{
    Content, ContentAnswer, ContentRequest, Failure, Made, Meter, Result, Template, Text, Value, compare,
    filters::{Call, integer, leading_integer},
    message,
    parse::{FORLOOP, TABLEROWLOOP},
    print,
    tree::{
        Body, Chain, Expr, FilterCall, Junction, Node, Operator, Path, Repeat, Request, Slot, Step, Term,
    },
    value::{Decimal, Loop, range_size, signed},
};
use crate::domain::{
    json,
    limits::RECORD_BYTES_MAX,
    row::{CellKind, RowBatch},
};

/// Why a body ends before its last node: the end of a turn or of a loop, or a failure.
enum Stop {
    Break,
    Continue,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Flow = Result<(), Stop>;

/// The values of a name.
#[derive(Debug, Clone, Default)]
struct Binding<'r> {
    /// The item of a loop, or a loop itself.
    local: Option<Value<'r>>,
    assigned: Option<Value<'r>>,
    counter: Option<i64>,
    /// Where the loop of this name ended, for `offset: continue`.
    offset: usize,
    /// The column, once it is read, if reading it again would be work.
    cell: Option<Value<'r>>,
}

/// Most bytes of JSON that may be elements to the last, so that they are not counted.
const UNCOUNTED_BYTES_MAX: usize = 256;
/// Work of finding where a cycle stands.
const CYCLE_UNITS: usize = 4;
/// Most bytes of a cell that is read again for every use, unless it is JSON.
const REREAD_BYTES_MAX: usize = 32;

/// One row, and what the template has made of it so far.
pub(super) struct Render<'r> {
    template: &'r Template,
    batch: &'r RowBatch,
    row: usize,
    /// What `'now'` means.
    pub(super) now: DateTime<Utc>,
    pub(super) meter: Meter,
    /// One for each name of the template; empty until a name has another value than a short cell.
    bindings: Vec<Binding<'r>>,
    cycles: BTreeMap<String, usize>,
    last_if_changed: Option<String>,
    /// What a message requests content of.
    content: Option<&'r mut dyn Content>,
}

impl<'r> Render<'r> {
    pub(super) fn new(template: &'r Template, batch: &'r RowBatch, row: usize, now: DateTime<Utc>) -> Self {
        Self {
            template,
            batch,
            row,
            now,
            meter: Meter::new(),
            bindings: Vec::new(),
            cycles: BTreeMap::new(),
            last_if_changed: None,
            content: None,
        }
    }

    /// With the content of a message.
    pub(super) fn requesting(self, content: &'r mut dyn Content) -> Self {
        Self { content: Some(content), ..self }
    }

    pub(super) fn run(&mut self, out: &mut String) -> Result {
        match self.body(&self.template.body, out) {
            Err(Stop::Failed(failure)) => Err(failure),
            _ => Ok(()),
        }
    }

    fn binding(&mut self, slot: Slot) -> &mut Binding<'r> {
        if self.bindings.is_empty() {
            self.bindings.resize(self.template.names.len(), Binding::default());
        }
        &mut self.bindings[slot]
    }

    fn body(&mut self, body: &'r [Node], out: &mut String) -> Flow {
        for node in body {
            self.meter.spend(1)?;
            self.node(node, out)?;
            if out.len() > RECORD_BYTES_MAX {
                return Err(Failure::TooLarge.into());
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &'r Node, out: &mut String) -> Flow {
        match node {
            Node::Text(text) => {
                self.meter.spend_bytes(text.len() / 8)?;
                out.push_str(text);
            }
            Node::Output(chain) => {
                let value = self.filtered(&chain.base, &chain.calls, Some(out));
                print::write(borrowed(&value)?, out, &self.meter)?;
            }
            Node::Assign(slot, chain) => {
                let value = self.chain(chain)?;
                self.binding(*slot).assigned = Some(value);
            }
            Node::Capture(slot, body) => {
                let mut captured = String::new();
                let flow = self.body(body, &mut captured);
                self.meter.spend_text(captured.len() / 4)?;
                self.binding(*slot).assigned = Some(Value::text(captured));
                return flow;
            }
            Node::Count { slot, is_down } => {
                let before = match (self.binding(*slot).counter, self.cell(*slot)?) {
                    (Some(count), _) | (None, Value::Int(count)) => count,
                    _ => 0,
                };
                let after = before.wrapping_add(if *is_down { -1 } else { 1 });
                self.bindings[*slot].counter = Some(after);
                print::write(&Value::Int(if *is_down { after } else { before }), out, &self.meter)?;
            }
            Node::If(branches) => {
                for (condition, body) in branches {
                    self.meter.spend(1)?;
                    if self.holds(condition)? {
                        return self.body(body, out);
                    }
                }
            }
            Node::Case(subject, branches) => self.case(subject, branches, out)?,
            Node::For(repeat) => self.repeat(repeat, out)?,
            Node::Cycle(name, values) => {
                let name = self.expr(name)?;
                let key = print::text(&name, &self.meter)?;
                self.meter.spend(CYCLE_UNITS)?;
                self.meter.spend_bytes(key.len())?;
                let next = self.cycles.entry(key.to_string()).or_insert(0);
                let turn = std::mem::replace(next, if *next + 1 < values.len() { *next + 1 } else { 0 });
                if let Some(value) = values.get(turn) {
                    print::write(&self.expr(value)?, out, &self.meter)?;
                }
            }
            Node::IfChanged(body) => {
                let mut printed = String::new();
                let flow = self.body(body, &mut printed);
                self.meter.spend_bytes(printed.len())?;
                if self.last_if_changed.as_ref() != Some(&printed) {
                    out.push_str(&printed);
                    self.last_if_changed = Some(printed);
                }
                return flow;
            }
            Node::Break => return Err(Stop::Break),
            Node::Continue => return Err(Stop::Continue),
            Node::Request(request) => return self.request(request, out),
            Node::Abort(reason) => {
                let reason = self.expr(reason)?;
                let reason = print::text(&reason, &self.meter)?;
                if let Some(content) = &mut self.content {
                    content.abort(&reason);
                }
                return Err(Failure::Aborted.into());
            }
        }
        Ok(())
    }

    /// Requests content, and saves or prints it.
    fn request(&mut self, request: &'r Request, out: &mut String) -> Flow {
        let mut rendered = ContentRequest::default();
        self.body(&request.url, &mut rendered.url)?;
        rendered.url.truncate(rendered.url.trim_end().len());
        for (name, value) in &request.options {
            let mut text = String::new();
            self.body(value, &mut text)?;
            rendered.options.push((name.to_string(), text));
        }
        let Some(content) = &mut self.content else { return Ok(()) };
        let answer = content.get(&rendered);
        match &answer {
            ContentAnswer::Json(_, text) => self.meter.spend_text(text.len())?,
            ContentAnswer::Empty => {}
            ContentAnswer::End => return Err(Failure::Aborted.into()),
        }
        match (request.save, answer) {
            (Some(slot), answer) => self.binding(slot).assigned = Some(message::saved(&answer)),
            (None, ContentAnswer::Json(_, text)) => out.push_str(&text),
            (None, _) => {}
        }
        Ok(())
    }

    fn case(
        &mut self,
        subject: &'r Expr,
        branches: &'r [(Option<Vec<Expr>>, Body)],
        out: &mut String,
    ) -> Flow {
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
                self.body(body, out)?;
            }
        }
        Ok(())
    }

    /// The items of a loop, with the number of the first and how many there are after `offset` and `limit`.
    fn items(&mut self, repeat: &'r Repeat) -> Result<(Value<'r>, usize, usize)> {
        let mut offset = self.bound(&repeat.offset)?.unwrap_or(0);
        if repeat.continues {
            offset = signed(self.binding(repeat.name).offset);
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
    fn bound(&mut self, expr: &'r Expr) -> Result<Option<i64>> {
        match self.expr(expr)? {
            Value::Nil => Ok(None),
            value => integer(&value, &self.meter).map(Some),
        }
    }

    fn repeat(&mut self, repeat: &'r Repeat, out: &mut String) -> Flow {
        if repeat.is_table && matches!(self.expr(&repeat.collection)?, Value::Nil) {
            return Ok(());
        }
        let (items, from, length) = self.items(repeat)?;
        let (slot, mut columns) = (if repeat.is_table { TABLEROWLOOP } else { FORLOOP }, 0);
        if repeat.is_table {
            columns = match self.expr(&repeat.columns)? {
                Value::Nil => length,
                columns => usize::try_from(leading_integer(&columns, &self.meter)?).unwrap_or(0),
            };
            out.push_str("<tr class=\"row1\">\n");
        } else {
            self.binding(repeat.name).offset = from + length;
            if length == 0 {
                return self.body(&repeat.otherwise, out);
            }
        }
        let outer = self.binding(slot).local.take();
        let parent = match &outer {
            Some(Value::Loop(parent)) if !repeat.is_table => Some(Rc::clone(parent)),
            _ => None,
        };
        let state = Rc::new(Loop { index: 0.into(), length, name: repeat.name, parent, columns });
        self.bindings[slot].local = Some(Value::Loop(Rc::clone(&state)));
        let outer_item = self.bindings[repeat.item].local.take();
        for turn in 0..length {
            self.meter.spend(2)?;
            let at = from + if repeat.is_reversed { length - 1 - turn } else { turn };
            self.bindings[repeat.item].local = Some(match &items {
                Value::Range(first, _) => Value::Int(first + signed(at)),
                items => element(items, signed(at)),
            });
            let flow = self.turn(repeat, &state, out);
            state.index.set(turn + 1);
            match flow {
                Err(Stop::Break) => break,
                Err(Stop::Failed(_)) => return flow,
                _ => {}
            }
        }
        self.bindings[repeat.item].local = outer_item;
        self.bindings[slot].local = outer;
        out.push_str(if repeat.is_table { "</tr>\n" } else { "" });
        Ok(())
    }

    /// One turn of a loop, which is a cell of a `tablerow`.
    fn turn(&mut self, repeat: &'r Repeat, state: &Loop, out: &mut String) -> Flow {
        if !repeat.is_table {
            return self.body(&repeat.body, out);
        }
        self.meter.spend(3)?;
        let (row, column) = state.place();
        let _ = write!(out, "<td class=\"col{}\">", column + 1);
        let flow = self.body(&repeat.body, out);
        out.push_str("</td>");
        let is_last = state.index.get() + 1 == state.length || matches!(flow, Err(Stop::Break));
        if column + 1 == state.columns && !is_last {
            let _ = write!(out, "</tr>\n<tr class=\"row{}\">", row + 2);
        }
        flow
    }

    fn holds(&mut self, expr: &'r Expr) -> Result<bool> {
        match expr {
            Expr::Condition(terms) => self.condition(terms),
            _ => Ok(borrowed(&self.expr(expr))?.is_truthy()),
        }
    }

    fn condition(&mut self, terms: &'r [Term]) -> Result<bool> {
        let mut holds = false;
        for term in terms {
            self.meter.spend(1)?;
            holds = match &term.compare {
                None => self.holds(&term.left)?,
                Some((operator, right)) => self.compare(&term.left, *operator, right)?,
            } != term.is_negated;
            match term.next {
                Some(Junction::And) if holds => {}
                Some(Junction::Or) if !holds => {}
                _ => break,
            }
        }
        Ok(holds)
    }

    /// `empty` and `blank` are questions beside `==` and `!=`, and an empty text elsewhere.
    fn compare(&mut self, left: &'r Expr, operator: Operator, right: &'r Expr) -> Result<bool> {
        let is_question = |expr: &Expr| matches!(expr, Expr::Empty | Expr::Blank);
        let (question, other) = if is_question(left) { (left, right) } else { (right, left) };
        if !is_question(question) || operator == Operator::Contains {
            let (left, right) = (self.expr(left), self.expr(right));
            return compare::holds(operator, borrowed(&left)?, borrowed(&right)?, &self.meter);
        }
        if matches!(operator, Operator::Order(_)) {
            return Ok(false);
        }
        let value = self.expr(other)?;
        if let Value::Text(text) = &value {
            self.meter.spend_bytes(text.len() / 4)?;
        }
        let holds = match question {
            _ if is_question(other) || matches!(other, Expr::Nil) => false,
            Expr::Empty => value.is_empty(),
            _ => value.is_blank(),
        };
        Ok(holds != (operator == Operator::NotEqual))
    }

    pub(super) fn chain(&mut self, chain: &'r Chain) -> Made<'r> {
        self.filtered(&chain.base, &chain.calls, None)
    }

    /// The value of an expression after filters. A last filter that writes text writes it to `out`, if there is one,
    /// and gives nil.
    fn filtered(&mut self, base: &'r Expr, calls: &'r [FilterCall], out: Option<&mut String>) -> Made<'r> {
        let Some((syntax, before)) = calls.split_last() else { return self.expr(base) };
        let input = self.filtered(base, before, None);
        let input = borrowed(&input)?;
        self.meter.spend(2)?;
        match &syntax.arguments[..] {
            [] => Call { input, arguments: &[], syntax, render: self }.run(out),
            [only] => {
                let argument = self.expr(only);
                let arguments = slice::from_ref(borrowed(&argument)?);
                Call { input, arguments, syntax, render: self }.run(out)
            }
            several => {
                let arguments = several.iter().map(|expr| self.expr(expr)).collect::<Result<Vec<_>>>()?;
                Call { input, arguments: &arguments, syntax, render: self }.run(out)
            }
        }
    }

    /// Evaluates an expression for an item, as `where_exp` does.
    pub(super) fn for_item(&mut self, slot: Slot, item: Value<'r>, chain: &'r Chain) -> Made<'r> {
        self.meter.spend(3)?;
        let outer = self.binding(slot).local.replace(item);
        let value = self.chain(chain);
        self.bindings[slot].local = outer;
        value
    }

    pub(super) fn expr(&mut self, expr: &'r Expr) -> Made<'r> {
        match expr {
            Expr::Name(slot) => self.name(*slot),
            Expr::Int(whole) => Ok(Value::Int(*whole)),
            Expr::Text(text) => Ok(Value::Text(Text::Borrowed(text))),
            Expr::Path(path) => self.path(path),
            _ => self.rare(expr),
        }
    }

    /// The other expressions, apart so that the frequent ones stay short.
    #[inline(never)]
    fn rare(&mut self, expr: &'r Expr) -> Made<'r> {
        Ok(match expr {
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Number(digits, kind) => {
                Value::Decimal(Decimal { digits: Text::Borrowed(digits), kind: *kind })
            }
            Expr::Empty | Expr::Blank => Value::Text(Text::Borrowed("")),
            Expr::Range(ends) => {
                let (first, last) = (self.expr(&ends.0)?, self.expr(&ends.1)?);
                Value::Range(leading_integer(&first, &self.meter)?, leading_integer(&last, &self.meter)?)
            }
            Expr::Condition(terms) => Value::Bool(self.condition(terms)?),
            Expr::Dynamic(name) => {
                let name = self.expr(name)?;
                return self.dynamic(&name);
            }
            _ => Value::Nil,
        })
    }

    /// The value of a name: of a loop, then of the template, then of the row.
    fn name(&mut self, slot: Slot) -> Made<'r> {
        self.meter.spend(1)?;
        let Some(binding) = self.bindings.get(slot) else { return self.cell(slot) };
        match (binding.local.as_ref().or(binding.assigned.as_ref()), binding.counter) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(count)) => Ok(Value::Int(count)),
            (None, None) => self.cell(slot),
        }
    }

    fn cell(&mut self, slot: Slot) -> Made<'r> {
        let Some(column) = self.template.names[slot].column else { return Ok(Value::Nil) };
        if let Some(Binding { cell: Some(value), .. }) = self.bindings.get(slot) {
            return Ok(value.clone());
        }
        let value = self.column(column);
        let (kind, text) = self.batch.cell(self.row, column);
        if kind == CellKind::Json || text.len() > REREAD_BYTES_MAX {
            self.binding(slot).cell = Some(value.clone()?);
        }
        value
    }

    fn column(&self, column: usize) -> Made<'r> {
        let (kind, text) = self.batch.cell(self.row, column);
        match kind {
            CellKind::Invalid => return Err(Failure::InvalidColumn(column)),
            // Each level of the JSON is scanned once more; elements, members and escapes take memory.
            CellKind::Json => {
                let is_part = |byte: &&u8| matches!(byte, b',' | b':' | b'[' | b'{' | b'\\');
                let is_short = text.len() <= UNCOUNTED_BYTES_MAX;
                let parts = if is_short { text.len() } else { text.iter().filter(is_part).count() };
                self.meter.spend(parts + text.len() * (3 + json::depth(text)) / 24)?;
            }
            _ => self.meter.spend(text.len() / 16)?,
        }
        Ok(Value::of_cell(kind, text))
    }

    /// `[name]`.
    fn dynamic(&mut self, name: &Value<'r>) -> Made<'r> {
        let name = print::text(name, &self.meter)?;
        let Template { names, columns, .. } = self.template;
        self.meter.spend_search(names.len() + columns.len(), &name)?;
        if let Some(slot) = names.iter().position(|known| *known.text == *name) {
            return self.name(slot);
        }
        columns.iter().position(|known| **known == *name).map_or(Ok(Value::Nil), |column| self.column(column))
    }

    fn path(&mut self, path: &'r Path) -> Made<'r> {
        let mut value = self.expr(&path.root)?;
        for step in &path.steps {
            self.meter.spend(1)?;
            value = match step {
                Step::Name(name) => self.member(&value, name)?,
                Step::Index(index) => match (self.expr(index)?, &value) {
                    (Value::Int(index), Value::Array(_)) => element(&value, index),
                    (Value::Text(key), Value::Object(_)) => {
                        value.member(&key, &self.meter)?.cloned().unwrap_or(Value::Nil)
                    }
                    (Value::Text(key), Value::Loop(_)) => self.member(&value, &key)?,
                    _ => Value::Nil,
                },
            };
        }
        Ok(value)
    }

    /// `value.name`.
    fn member(&self, value: &Value<'r>, name: &str) -> Made<'r> {
        if let Some(found) = value.member(name, &self.meter)? {
            return Ok(found.clone());
        }
        Ok(match (value, name) {
            (Value::Loop(state), "name") => {
                Value::Text(Text::Borrowed(&self.template.names[state.name].text))
            }
            (Value::Loop(state), name) => state.property(name),
            (value, "size") => size(value, &self.meter)?.map_or(Value::Nil, Value::count),
            (value, "first") => end(value, true),
            (value, "last") => end(value, false),
            (Value::Array(_), name) => {
                self.meter.spend_bytes(name.len())?;
                name.parse().map_or(Value::Nil, |index| element(value, index))
            }
            _ => Value::Nil,
        })
    }
}

/// The value where it is: a value is written in small parts, so that to move it at once makes the processor wait.
fn borrowed<'v, 'r>(made: &'v Made<'r>) -> Result<&'v Value<'r>> {
    made.as_ref().map_err(|failure| *failure)
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
pub(super) fn size(value: &Value<'_>, meter: &Meter) -> Result<Option<usize>> {
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
