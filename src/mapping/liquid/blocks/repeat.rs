//! `for` with `break` and `continue`, and `cycle`.

use std::{collections::BTreeSet, collections::HashMap, io::Write};

use liquid_core::{
    Error, Expression, Language, Renderable, Result, Runtime, TagBlock, TagTokenIter, Template, ValueView,
    model::{KString, KStringCow, KStringRef, Scalar, ScalarCow, Value, ValueCow},
    parser::{BlockElement, TryMatchToken},
    runtime::{Interrupt, InterruptRegister, PartialStore, Registers},
};

use super::{Tokens, text::write_text};
use crate::mapping::liquid::{facts, filters::arguments, meter, runtime};

#[derive(Debug)]
enum Range {
    Values(Expression),
    /// Whole numbers from the first to the second, both in it.
    Counted(Expression, Expression),
}

#[derive(Debug)]
struct For {
    name: KString,
    range: Range,
    limit: Option<Expression>,
    offset: Option<Expression>,
    reversed: bool,
    body: Template,
    otherwise: Option<Template>,
}

/// What a loop goes through.
enum Items<'a> {
    Numbers(i64),
    Values(Vec<ValueCow<'a>>),
}

impl Items<'_> {
    fn item(&self, at: usize) -> ValueCow<'_> {
        match self {
            Self::Numbers(first) => ValueCow::Owned(Value::scalar(first.saturating_add(facts::count(at)))),
            Self::Values(values) => match &values[at] {
                ValueCow::Borrowed(view) => ValueCow::Borrowed(*view),
                ValueCow::Owned(value) => ValueCow::Borrowed(value),
            },
        }
    }
}

impl For {
    /// The items, and how many there are.
    fn items<'a>(source: &'a Source<'a>) -> (Items<'a>, usize) {
        match source {
            Source::Numbers(first, last) => {
                let count = last.saturating_sub(*first).saturating_add(1).max(0);
                (Items::Numbers(*first), usize::try_from(count).unwrap_or(usize::MAX))
            }
            Source::View(view) => {
                let values = values_of(view);
                let count = values.len();
                (Items::Values(values), count)
            }
        }
    }

    fn source<'a>(&'a self, runtime: &'a dyn Runtime) -> Result<Source<'a>> {
        match &self.range {
            Range::Values(values) => {
                let view = values.evaluate(runtime)?;
                meter::charge(runtime, facts::weight(&view))?;
                Ok(Source::View(view))
            }
            Range::Counted(first, last) => {
                let bound = |bound: &Expression| {
                    bound.evaluate(runtime).map(|bound| arguments::whole(&bound).unwrap_or(0))
                };
                Ok(Source::Numbers(bound(first)?, bound(last)?))
            }
        }
    }

    /// An attribute as a count; nil and negative ones are none.
    fn attribute(attribute: Option<&Expression>, runtime: &dyn Runtime) -> Result<Option<usize>> {
        let Some(attribute) = attribute else { return Ok(None) };
        let value = attribute.evaluate(runtime)?;
        Ok(arguments::whole(&value).map(|value| usize::try_from(value).unwrap_or(0)))
    }

    fn turn(
        &self,
        item: &dyn ValueView,
        turn: Turn,
        writer: &mut dyn Write,
        runtime: &dyn Runtime,
    ) -> Result<bool> {
        meter::charge(runtime, 0)?;
        let frame = Frame { parent: runtime, name: self.name.as_str(), item, turn };
        self.body.render_to(writer, &frame)?;
        let interrupt = runtime.registers().get_mut::<InterruptRegister>().reset();
        Ok(!matches!(interrupt, Some(Interrupt::Break)))
    }
}

enum Source<'a> {
    Numbers(i64, i64),
    View(ValueCow<'a>),
}

/// Elements of an array, pairs of an object, a string as one item; nothing else has any.
fn values_of<'a>(view: &'a ValueCow<'_>) -> Vec<ValueCow<'a>> {
    let view = view.as_view();
    if let Some(array) = view.as_array() {
        return array.values().map(ValueCow::Borrowed).collect();
    }
    if view.is_object() {
        let pair = |(key, value): (KStringCow<'_>, &dyn ValueView)| {
            ValueCow::Owned(Value::array([Value::scalar(key.into_owned()), value.to_value()]))
        };
        return facts::members(view).into_iter().map(pair).collect();
    }
    match facts::plain(view) {
        facts::Plain::Text(text) if !text.is_empty() => vec![ValueCow::Borrowed(view)],
        _ => Vec::new(),
    }
}

impl Renderable for For {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let source = self.source(runtime)?;
        let (items, count) = Self::items(&source);
        let offset = Self::attribute(self.offset.as_ref(), runtime)?.unwrap_or(0).min(count);
        let limit = Self::attribute(self.limit.as_ref(), runtime)?.unwrap_or(usize::MAX);
        let length = (count - offset).min(limit);
        if length == 0 {
            return match &self.otherwise {
                Some(otherwise) => otherwise.render_to(writer, runtime),
                None => Ok(()),
            };
        }
        for index in 0..length {
            let at = offset + if self.reversed { length - 1 - index } else { index };
            if !self.turn(items.item(at).as_view(), Turn { index, length }, writer, runtime)? {
                break;
            }
        }
        Ok(())
    }
}

/// Where a loop stands.
#[derive(Debug, Clone, Copy)]
struct Turn {
    index: usize,
    length: usize,
}

impl Turn {
    /// A member of `forloop`.
    fn member(self, name: &str) -> Value {
        let number = |number: usize| Value::scalar(facts::count(number));
        match name {
            "length" => number(self.length),
            "index" => number(self.index + 1),
            "index0" => number(self.index),
            "rindex" => number(self.length - self.index),
            "rindex0" => number(self.length - self.index - 1),
            "first" => Value::scalar(self.index == 0),
            "last" => Value::scalar(self.index + 1 == self.length),
            _ => Value::Nil,
        }
    }
}

/// The names inside of one turn of a loop.
struct Frame<'p> {
    parent: &'p dyn Runtime,
    name: &'p str,
    item: &'p dyn ValueView,
    turn: Turn,
}

impl Runtime for Frame<'_> {
    fn partials(&self) -> &dyn PartialStore {
        self.parent.partials()
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        self.parent.name()
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        self.parent.roots()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        self.get(path).ok()
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        let Some((first, rest)) = path.split_first() else { return Ok(runtime::nil()) };
        let first = first.to_kstr();
        if first == self.name {
            return Ok(runtime::walk(self.item, rest));
        }
        if first != "forloop" {
            return self.parent.get(path);
        }
        match rest.split_first() {
            Some((member, rest)) if member.to_kstr() == "parentloop" => {
                let mut outer = vec![Scalar::new("forloop")];
                outer.extend(rest.iter().map(|part| part.clone().into_owned()));
                self.parent.get(&outer).map(|value| ValueCow::Owned(value.into_owned()))
            }
            Some((member, [])) => Ok(ValueCow::Owned(self.turn.member(member.to_kstr().as_str()))),
            _ => Ok(runtime::nil()),
        }
    }

    fn set_global(&self, name: KString, value: Value) -> Option<Value> {
        self.parent.set_global(name, value)
    }

    fn set_index(&self, name: KString, value: Value) -> Option<Value> {
        self.parent.set_index(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.parent.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.parent.registers()
    }
}

pub(super) fn for_block(
    arguments: TagTokenIter<'_>,
    mut block: TagBlock<'_, '_>,
    options: &Language,
) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let name = tokens.expect("a name")?.expect_identifier().into_result()?.to_owned().into();
    if !tokens.take_word("in") {
        return Err(tokens.expect("`in`")?.raise_custom_error("`in` is expected"));
    }
    let range = match tokens.expect("an array or a range")?.expect_value() {
        TryMatchToken::Matches(values) => Range::Values(values),
        TryMatchToken::Fails(token) => {
            let (first, last) = token.expect_range().into_result()?;
            Range::Counted(first, last)
        }
    };
    let (mut limit, mut offset, mut reversed) = (None, None, false);
    loop {
        tokens.take_word(",");
        if tokens.take_word("reversed") {
            reversed = true;
        } else if tokens.take_word("limit") {
            limit = Some(attribute_value(&mut tokens)?);
        } else if tokens.take_word("offset") {
            offset = Some(attribute_value(&mut tokens)?);
        } else {
            tokens.end()?;
            break;
        }
    }
    let (mut body, mut otherwise) = (Vec::new(), None);
    while let Some(element) = block.next()? {
        match element {
            BlockElement::Tag(mut tag) if tag.name() == "else" => {
                tag.tokens().expect_nothing()?;
                otherwise = Some(Template::new(block.parse_all(options)?));
            }
            element => body.push(element.parse(&mut block, options)?),
        }
    }
    block.assert_empty();
    let body = Template::new(body);
    Ok(Box::new(For { name, range, limit, offset, reversed, body, otherwise }))
}

fn attribute_value(tokens: &mut Tokens<'_>) -> Result<Expression> {
    tokens.expect("`:`")?.expect_str(":").into_result_custom_msg("`:` is expected")?;
    tokens.expect("a number")?.expect_value().into_result()
}

#[derive(Debug)]
struct Leave(Interrupt);

impl Renderable for Leave {
    fn render_to(&self, _writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        runtime.registers().get_mut::<InterruptRegister>().set(self.0);
        Ok(())
    }
}

pub(super) fn stop(mut arguments: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
    arguments.expect_nothing()?;
    Ok(Box::new(Leave(Interrupt::Break)))
}

pub(super) fn skip(mut arguments: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
    arguments.expect_nothing()?;
    Ok(Box::new(Leave(Interrupt::Continue)))
}

/// How often each cycle has been rendered.
#[derive(Debug, Default)]
struct Cycles(HashMap<String, usize>);

#[derive(Debug)]
struct Cycle {
    group: String,
    values: Vec<Expression>,
}

impl Renderable for Cycle {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let at = {
            let mut cycles = runtime.registers().get_mut::<Cycles>();
            let turns = cycles.0.entry(self.group.clone()).or_default();
            *turns += 1;
            (*turns - 1) % self.values.len()
        };
        write_text(writer, &facts::text(&self.values[at].evaluate(runtime)?))
    }
}

pub(super) fn cycle(arguments: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let mut values = vec![tokens.expect("a value")?.expect_value().into_result()?];
    let mut group = None;
    if tokens.take_word(":") {
        group = values.pop().map(|name| name.to_string());
        values.push(tokens.expect("a value")?.expect_value().into_result()?);
    }
    while tokens.take_word(",") {
        values.push(tokens.expect("a value")?.expect_value().into_result()?);
    }
    tokens.end()?;
    let listed = || values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let group = group.unwrap_or_else(listed);
    if values.is_empty() {
        return Err(Error::with_msg("a cycle needs values"));
    }
    Ok(Box::new(Cycle { group, values }))
}
