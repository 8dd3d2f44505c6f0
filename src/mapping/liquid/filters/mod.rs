//! Filters, as Shopify's Liquid has them: nil goes through every one of them without an error.

pub(super) mod arguments;
mod codes;
mod dates;
mod lists;
mod number;
mod numbers;
mod strings;

use std::fmt;

use liquid_core::{
    Error, Expression, Filter, FilterReflection, Language, ParseFilter, Result, Runtime, Value, ValueView,
    parser::{FilterArguments, ParameterReflection},
};

use self::arguments::Call;
use super::{facts, meter};

/// Prints a value; the reader of templates puts it behind every output.
pub(super) const PRINT: &str = "larder_print";

/// One filter: its name, how many arguments it takes, the names of those that have one.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    name: &'static str,
    least: usize,
    most: usize,
    labels: &'static [&'static str],
    run: Run,
}

/// What a filter does.
#[derive(Clone, Copy)]
enum Run {
    /// Has a result for everything.
    Total(fn(&Call<'_>) -> Value),
    /// Has none for some arguments, or none that is small enough.
    Partial(fn(&Call<'_>) -> Result<Value>),
}

/// A filter that always has a result.
const fn total(name: &'static str, (least, most): (usize, usize), run: fn(&Call<'_>) -> Value) -> Definition {
    Definition { name, least, most, labels: &[], run: Run::Total(run) }
}

/// A filter that may fail.
const fn partial(
    name: &'static str,
    (least, most): (usize, usize),
    run: fn(&Call<'_>) -> Result<Value>,
) -> Definition {
    Definition { name, least, most, labels: &[], run: Run::Partial(run) }
}

/// Every filter that a template may use.
fn all() -> impl Iterator<Item = &'static Definition> {
    [codes::FILTERS, dates::FILTERS, lists::FILTERS, numbers::FILTERS, strings::FILTERS].into_iter().flatten()
}

/// Their names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|definition| definition.name)
}

/// Registers every filter.
pub(super) fn register(language: &mut Language) {
    static PRINTER: Definition = total(PRINT, (0, 0), |call| Value::scalar(facts::text(call.input)));
    for definition in all().chain([&PRINTER]) {
        language.filters.register(definition.name.to_owned(), Box::new(Parser(definition)));
    }
}

#[derive(Clone)]
struct Parser(&'static Definition);

impl ParseFilter for Parser {
    fn parse(&self, given: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let Definition { name, least, most, labels, .. } = *self.0;
        let positional: Vec<_> = given.positional.collect();
        let labelled: Vec<_> = given.keyword.map(|(label, value)| (label.to_owned(), value)).collect();
        if !(least..=most).contains(&positional.len()) {
            let takes = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(Error::with_msg(format!(
                "the filter `{name}` takes {takes} arguments, not {}",
                positional.len()
            )));
        }
        if let Some((label, _)) = labelled.iter().find(|(label, _)| !labels.contains(&label.as_str())) {
            return Err(Error::with_msg(format!("the filter `{name}` has no argument `{label}`")));
        }
        Ok(Box::new(Applied { definition: self.0, positional, labelled }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

impl FilterReflection for Parser {
    fn name(&self) -> &str {
        self.0.name
    }

    fn description(&self) -> &'static str {
        ""
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

/// A filter with its arguments.
struct Applied {
    definition: &'static Definition,
    positional: Vec<Expression>,
    labelled: Vec<(String, Expression)>,
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.definition.name)
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.definition.name)
    }
}

impl Filter for Applied {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        meter::charge(runtime, facts::weight(input))?;
        let positional =
            self.positional.iter().map(|value| value.evaluate(runtime)).collect::<Result<Vec<_>>>()?;
        let labelled = self
            .labelled
            .iter()
            .map(|(label, value)| Ok((label.as_str(), value.evaluate(runtime)?)))
            .collect::<Result<Vec<_>>>()?;
        let call = Call { input, positional, labelled, runtime };
        let output = match self.definition.run {
            Run::Total(run) => run(&call),
            Run::Partial(run) => run(&call)?,
        };
        let weight = facts::weight(&output);
        meter::check_size(weight)?;
        meter::charge(runtime, weight)?;
        Ok(output)
    }
}
