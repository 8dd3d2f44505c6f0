//! The conditions of `if`, `unless` and `elsif`.

use std::cmp::Ordering;

use liquid_core::{Expression, Result, Runtime, TagTokenIter, ValueView};

use super::Tokens;
use crate::mapping::liquid::{facts, meter};

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    Different,
    Less,
    Greater,
    AtMost,
    AtLeast,
    Contains,
}

impl Comparison {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "==" => Self::Equal,
            "!=" | "<>" => Self::Different,
            "<" => Self::Less,
            ">" => Self::Greater,
            "<=" => Self::AtMost,
            ">=" => Self::AtLeast,
            "contains" => Self::Contains,
            _ => return None,
        })
    }

    fn holds(self, left: &dyn ValueView, right: &dyn ValueView) -> bool {
        let order = || facts::order(left, right);
        match self {
            Self::Equal => facts::are_equal(left, right),
            Self::Different => !facts::are_equal(left, right),
            Self::Less => order() == Some(Ordering::Less),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::AtMost => order().is_some_and(Ordering::is_le),
            Self::AtLeast => order().is_some_and(Ordering::is_ge),
            Self::Contains => facts::contains(left, right),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

#[derive(Debug)]
struct Test {
    left: Expression,
    right: Option<(Comparison, Expression)>,
    /// How the next test joins; the last has none.
    joint: Option<Joint>,
}

impl Test {
    fn holds(&self, runtime: &dyn Runtime) -> Result<bool> {
        let left = self.left.evaluate(runtime)?;
        let Some((comparison, right)) = &self.right else { return Ok(facts::is_truthy(&left)) };
        let right = right.evaluate(runtime)?;
        meter::charge(runtime, facts::weight(&left) + facts::weight(&right))?;
        Ok(comparison.holds(&left, &right))
    }
}

/// Tests joined by `and` and `or`, which bind equally and from the right, as in Shopify's Liquid.
#[derive(Debug)]
pub(super) struct Condition(Vec<Test>);

impl Condition {
    pub(super) fn parse(arguments: TagTokenIter<'_>) -> Result<Self> {
        let mut tokens = Tokens::new(arguments);
        let mut tests = Vec::new();
        loop {
            let left = tokens.expect("a value")?.expect_value().into_result()?;
            let comparison = tokens.peek().and_then(Comparison::of);
            let right = match comparison {
                None => None,
                Some(comparison) => {
                    tokens.take();
                    Some((comparison, tokens.expect("a value")?.expect_value().into_result()?))
                }
            };
            let joint = if tokens.take_word("and") {
                Some(Joint::And)
            } else if tokens.take_word("or") {
                Some(Joint::Or)
            } else {
                None
            };
            tests.push(Test { left, right, joint });
            if joint.is_none() {
                tokens.end()?;
                return Ok(Self(tests));
            }
        }
    }

    pub(super) fn holds(&self, runtime: &dyn Runtime) -> Result<bool> {
        let mut holds = false;
        for test in &self.0 {
            holds = test.holds(runtime)?;
            match test.joint {
                Some(Joint::And) if !holds => break,
                Some(Joint::Or) if holds => break,
                _ => {}
            }
        }
        Ok(holds)
    }
}
