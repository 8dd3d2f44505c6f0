//! The form of a record as a flat program: literal bytes and the values between them.

use super::targets::{Content, Member};
use crate::domain::json;

/// What a step writes after its literal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldSource {
    /// The cell of a column, in its own type.
    Column(usize),
    /// The cell of a column, as a JSON string.
    ColumnAsString(usize),
    /// The cell of a column, as a JSON string when it is a number.
    NumberAsString(usize),
    /// The output of the template with this number.
    Template(usize),
}

/// One field's value, in the order of the record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Source(FieldSource),
    /// Compact JSON.
    Constant(Vec<u8>),
}

/// Literal bytes, then one value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Where the step's literal ends in the program's literals; it begins where the last one ended.
    literal_end: usize,
    /// What comes after it.
    pub(super) source: FieldSource,
    /// Levels around the value: 1 in the record itself, more inside nested objects.
    pub(super) level: usize,
}

/// How to write the record of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Program {
    literals: Vec<u8>,
    steps: Vec<Step>,
}

impl Program {
    /// The program of `members`; `values` has the value of each field by its number.
    pub(super) fn of(members: &[Member], values: &[Value]) -> Self {
        let mut program = Self::default();
        program.object(members, values, 1);
        program
    }

    fn object(&mut self, members: &[Member], values: &[Value], level: usize) {
        self.literals.push(b'{');
        for (at, member) in members.iter().enumerate() {
            if at > 0 {
                self.literals.push(b',');
            }
            json::write_string(&mut self.literals, member.name.as_bytes());
            self.literals.push(b':');
            match &member.content {
                Content::Object(inner) => self.object(inner, values, level + 1),
                Content::Field(field) => match &values[*field] {
                    Value::Constant(text) => self.literals.extend_from_slice(text),
                    Value::Source(source) => {
                        self.steps.push(Step { literal_end: self.literals.len(), source: *source, level });
                    }
                },
            }
        }
        self.literals.push(b'}');
    }

    /// The steps, each with the literal bytes that come before its value.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&[u8], &Step)> {
        let mut start = 0;
        self.steps.iter().map(move |step| {
            let literal = &self.literals[start..step.literal_end];
            start = step.literal_end;
            (literal, step)
        })
    }

    /// The literal bytes after the last value.
    pub(super) fn tail(&self) -> &[u8] {
        &self.literals[self.steps.last().map_or(0, |step| step.literal_end)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_melt_into_the_literals() {
        let leaf = |name: &str, field| Member { name: name.to_owned(), content: Content::Field(field) };
        let members = [
            leaf("a", 0),
            Member { name: "o".to_owned(), content: Content::Object(vec![leaf("b\"", 1), leaf("c", 2)]) },
        ];
        let values = [
            Value::Constant(b"1".to_vec()),
            Value::Source(FieldSource::Column(7)),
            Value::Constant(b"null".to_vec()),
        ];
        let program = Program::of(&members, &values);
        let steps: Vec<_> = program.steps().collect();
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].0, br#"{"a":1,"o":{"b\"":"#);
        assert_eq!((steps[0].1.source, steps[0].1.level), (FieldSource::Column(7), 2));
        assert_eq!(program.tail(), br#","c":null}}"#);
    }
}
