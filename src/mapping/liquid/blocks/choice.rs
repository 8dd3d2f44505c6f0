//! `if`, `unless` and `case`.

use std::io::Write;

use liquid_core::{
    Expression, Language, Renderable, Result, Runtime, TagBlock, TagTokenIter, Template, parser::BlockElement,
};

use super::{Tokens, condition::Condition};
use crate::mapping::liquid::{facts, meter};

/// What a branch asks for.
#[derive(Debug)]
enum Guard {
    When(Condition),
    Unless(Condition),
    /// One of these equals the value of the `case`.
    Values(Vec<Expression>),
    Else,
}

#[derive(Debug)]
struct Branch {
    guard: Guard,
    body: Template,
}

/// Branches of which the first that applies is rendered.
#[derive(Debug)]
struct Choice {
    /// The value of a `case`.
    subject: Option<Expression>,
    branches: Vec<Branch>,
}

impl Choice {
    fn applies(&self, guard: &Guard, runtime: &dyn Runtime) -> Result<bool> {
        match guard {
            Guard::Else => Ok(true),
            Guard::When(condition) => condition.holds(runtime),
            Guard::Unless(condition) => Ok(!condition.holds(runtime)?),
            Guard::Values(values) => {
                let Some(subject) = &self.subject else { return Ok(false) };
                let subject = subject.evaluate(runtime)?;
                for value in values {
                    meter::charge(runtime, facts::weight(&subject))?;
                    if facts::are_equal(&subject, &value.evaluate(runtime)?) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

impl Renderable for Choice {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        for branch in &self.branches {
            if self.applies(&branch.guard, runtime)? {
                return branch.body.render_to(writer, runtime);
            }
        }
        Ok(())
    }
}

pub(super) fn if_block(
    arguments: TagTokenIter<'_>,
    block: TagBlock<'_, '_>,
    options: &Language,
) -> Result<Box<dyn Renderable>> {
    let first = Guard::When(Condition::parse(arguments)?);
    Ok(Box::new(Choice { subject: None, branches: branches(Some(first), block, options)? }))
}

pub(super) fn unless_block(
    arguments: TagTokenIter<'_>,
    block: TagBlock<'_, '_>,
    options: &Language,
) -> Result<Box<dyn Renderable>> {
    let first = Guard::Unless(Condition::parse(arguments)?);
    Ok(Box::new(Choice { subject: None, branches: branches(Some(first), block, options)? }))
}

pub(super) fn case_block(
    arguments: TagTokenIter<'_>,
    block: TagBlock<'_, '_>,
    options: &Language,
) -> Result<Box<dyn Renderable>> {
    let mut tokens = Tokens::new(arguments);
    let subject = tokens.expect("a value")?.expect_value().into_result()?;
    tokens.end()?;
    Ok(Box::new(Choice { subject: Some(subject), branches: branches(None, block, options)? }))
}

/// The branches of a block; what comes before the first guard is no part of any.
fn branches(first: Option<Guard>, mut block: TagBlock<'_, '_>, options: &Language) -> Result<Vec<Branch>> {
    let mut branches = Vec::new();
    let mut guard = first;
    let mut body: Vec<Box<dyn Renderable>> = Vec::new();
    while let Some(element) = block.next()? {
        let next = match element {
            BlockElement::Tag(mut tag) => match tag.name() {
                "elsif" => Guard::When(Condition::parse(tag.into_tokens())?),
                "when" => Guard::Values(values(tag.into_tokens())?),
                "else" => {
                    tag.tokens().expect_nothing()?;
                    Guard::Else
                }
                _ => {
                    body.push(tag.parse(&mut block, options)?);
                    continue;
                }
            },
            element => {
                body.push(element.parse(&mut block, options)?);
                continue;
            }
        };
        let body = Template::new(std::mem::take(&mut body));
        if let Some(guard) = guard.replace(next) {
            branches.push(Branch { guard, body });
        }
    }
    if let Some(guard) = guard {
        branches.push(Branch { guard, body: Template::new(body) });
    }
    block.assert_empty();
    Ok(branches)
}

/// The values of a `when`, between commas or `or`.
fn values(arguments: TagTokenIter<'_>) -> Result<Vec<Expression>> {
    let mut tokens = Tokens::new(arguments);
    let mut values = Vec::new();
    loop {
        values.push(tokens.expect("a value")?.expect_value().into_result()?);
        if !tokens.take_word(",") && !tokens.take_word("or") {
            tokens.end()?;
            return Ok(values);
        }
    }
}
