//! Filters: tables of names, numbers of arguments, and functions.

mod codes;
mod dates;
mod html;
mod lists;
mod numbers;
mod parse_date;
mod text;

use std::{collections::HashMap, sync::LazyLock};

use super::{
    Failure, Made, Meter, Number, Result, Text, Value, print, render::Render, tree::FilterCall,
    value::range_size,
};

/// Work of copying an element.
const ELEMENT_UNITS: usize = 2;

type Make = for<'c, 'r> fn(&mut Call<'c, 'r>) -> Made<'r>;

/// What a filter does.
#[derive(Clone, Copy)]
pub(super) enum Run {
    Make(Make),
    /// Appends the text that it makes of a text: the last filter of `{{ }}` writes where the template prints.
    Write(fn(&str, &mut String)),
}

/// A filter.
pub(super) struct Filter {
    pub(super) name: &'static str,
    /// Fewest and most arguments without labels, at most 3.
    pub(super) arguments: (usize, usize),
    /// The label of its argument that has one.
    pub(super) label: &'static str,
    /// The name of its form whose arguments are the name of a variable and an expression with it.
    pub(super) expression_name: &'static str,
    pub(super) run: Run,
}

const fn filter(name: &'static str, arguments: (usize, usize), make: Make) -> Filter {
    Filter { name, arguments, label: "", expression_name: "", run: Run::Make(make) }
}

/// A filter without arguments that makes a text of a text.
const fn writing(name: &'static str, write: fn(&str, &mut String)) -> Filter {
    Filter { name, arguments: (0, 0), label: "", expression_name: "", run: Run::Write(write) }
}

/// A filter that looks at a property of each item or, with its other name, evaluates an expression for it.
const fn selecting(name: &'static str, expression_name: &'static str, make: Make) -> Filter {
    Filter { name, arguments: (1, 2), label: "", expression_name, run: Run::Make(make) }
}

static FILTERS: LazyLock<HashMap<&str, &Filter>> = LazyLock::new(|| named().collect());

/// The filters with their names, always in the same order.
fn named() -> impl Iterator<Item = (&'static str, &'static Filter)> {
    let tables =
        [codes::FILTERS, dates::FILTERS, html::FILTERS, lists::FILTERS, numbers::FILTERS, text::FILTERS];
    let names = |filter: &'static Filter| [(filter.name, filter), (filter.expression_name, filter)];
    tables.into_iter().flatten().flat_map(names).filter(|(name, _)| !name.is_empty())
}

/// The filter of this name.
pub(super) fn find(name: &str) -> Option<&'static Filter> {
    FILTERS.get(name).copied()
}

/// The names of all filters.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    named().map(|(name, _)| name)
}

/// One call of a filter.
pub(super) struct Call<'c, 'r> {
    pub(super) input: &'c Value<'r>,
    /// The arguments without labels.
    pub(super) arguments: &'c [Value<'r>],
    pub(super) syntax: &'r FilterCall,
    pub(super) render: &'c mut Render<'r>,
}

impl<'c, 'r> Call<'c, 'r> {
    /// What the filter makes; nil if it has written it to `out`.
    pub(super) fn run(&mut self, out: Option<&mut String>) -> Made<'r> {
        let write = match self.syntax.filter.run {
            Run::Make(make) => return make(self),
            Run::Write(write) => write,
        };
        let (text, mut made) = (self.text()?, String::new());
        let is_printed = out.is_some();
        let out = out.unwrap_or(&mut made);
        let before = out.len();
        write(&text, out);
        self.meter().spend_text(out.len() - before)?;
        Ok(if is_printed { Value::Nil } else { Value::text(made) })
    }

    fn meter(&self) -> &Meter {
        &self.render.meter
    }

    /// A value as text; reading it is paid for.
    fn text_of(&self, value: &Value<'r>) -> Result<Text<'r>> {
        let text = print::text(value, self.meter())?;
        self.meter().spend_bytes(text.len())?;
        Ok(text)
    }

    /// The input as text. Filters that liquidjs has and Shopify's Liquid has not read an array as it prints.
    fn text(&self) -> Result<Text<'r>> {
        const OF_LIQUIDJS: &str = "cgi_escape hmac_sha256 normalize_whitespace number_of_words sha256 slugify uri_escape xml_escape";
        let is_of_liquidjs = || OF_LIQUIDJS.split(' ').any(|name| name == self.syntax.filter.name);
        if !matches!(self.input, Value::Array(_)) || !is_of_liquidjs() {
            return self.text_of(self.input);
        }
        let mut printed = String::new();
        print::write(self.input, &mut printed, self.meter())?;
        self.text_of(&Value::text(printed))
    }

    /// The value of an argument; nil if it is not given.
    fn value(&self, at: usize) -> &'c Value<'r> {
        self.arguments.get(at).unwrap_or(&Value::Nil)
    }

    fn argument(&self, at: usize) -> Result<Text<'r>> {
        self.text_of(self.value(at))
    }

    /// How many arguments are given.
    fn given(&self) -> usize {
        self.arguments.len()
    }

    /// The text that an argument gives, or the default if it is not given.
    fn argument_or(&self, at: usize, default: &'static str) -> Result<Text<'r>> {
        if self.given() > at { self.argument(at) } else { Ok(Text::Borrowed(default)) }
    }

    /// The integer that an argument gives, or the default if it is not given.
    fn integer_or(&self, at: usize, default: i64) -> Result<i64> {
        if self.given() > at { integer(self.value(at), self.meter()) } else { Ok(default) }
    }

    /// A text that is made, and paid for.
    fn made(&self, text: String) -> Made<'r> {
        self.meter().spend_text(text.len())?;
        Ok(Value::text(text))
    }

    /// The input as a list: the elements of an array in all its levels, the numbers of a range, nothing
    /// for nil, any other value alone.
    fn list(&self) -> Result<Vec<Value<'r>>> {
        let mut items = Vec::new();
        flatten(self.input, self.meter(), &mut items)?;
        Ok(items)
    }
}

fn flatten<'r>(value: &Value<'r>, meter: &Meter, items: &mut Vec<Value<'r>>) -> Result {
    match value {
        Value::Nil => {}
        Value::Range(first, last) => {
            meter.spend(range_size(*first, *last).saturating_mul(ELEMENT_UNITS))?;
            items.extend((*first..=*last).map(Value::Int));
        }
        Value::Array(values) => {
            meter.spend(1 + ELEMENT_UNITS * values.len())?;
            for value in values.iter() {
                match value {
                    Value::Array(_) => flatten(value, meter, items)?,
                    value => items.push(value.clone()),
                }
            }
        }
        value => items.push(value.clone()),
    }
    Ok(())
}

/// Ruby's `Integer()`: an integer, or text that is one.
pub(super) fn integer(value: &Value<'_>, meter: &Meter) -> Result<i64> {
    match value {
        Value::Int(whole) => Ok(*whole),
        Value::Text(text) => {
            meter.spend_bytes(text.len())?;
            text.trim().parse().map_err(|_| Failure::Failed)
        }
        _ => Err(Failure::Failed),
    }
}

/// Ruby's `to_i`: fractions are cut off, text counts by its leading digits, all else as 0.
pub(super) fn leading_integer(value: &Value<'_>, meter: &Meter) -> Result<i64> {
    match value {
        Value::Int(whole) => Ok(*whole),
        // The cast saturates.
        _ => Ok(Number::of(value, meter)?.float() as i64),
    }
}
