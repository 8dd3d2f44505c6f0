//! What commands print, and how they fail.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, Write},
};

use chrono::{DateTime, Utc};

use super::{exit::Exit, remote::Refused};
use crate::{admin, app, config::Faults, domain::ErrorKind};

/// Why a command failed, with all that decides its message and exit code.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is wrong.
    Configuration(Faults),
    /// An argument is wrong.
    Usage(String),
    /// A use case failed.
    Admin(admin::Error),
    /// A server refused.
    Remote(Refused),
    /// Anything else, with its causes.
    Other(anyhow::Error),
    /// The reader of stdout has gone.
    BrokenPipe,
}

impl Failure {
    /// What happened, in one line.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Configuration(faults) => faults.to_string(),
            Self::Usage(message) => message.clone(),
            Self::Admin(error) => error.to_string(),
            Self::Remote(refused) => refused.message.clone(),
            Self::Other(error) => with_causes(error),
            Self::BrokenPipe => String::new(),
        }
    }

    /// Prints the failure on stderr and gives its exit code.
    pub(super) fn report(self) -> Exit {
        match self {
            Self::Configuration(faults) => {
                complain(faults.to_string().trim_end());
                Exit::Usage
            }
            Self::Usage(message) => {
                complain(&message);
                Exit::Usage
            }
            Self::Admin(error) => {
                complain(&error.text());
                complain_code(error.code());
                exit_of(&error)
            }
            Self::Remote(refused) => {
                complain(&refused.message);
                complain_code(&refused.code);
                refused.exit()
            }
            Self::Other(error) => {
                complain(&with_causes(&error));
                if let Some(code) = app::code_of(&error) {
                    complain_code(code);
                }
                Exit::Failed
            }
            Self::BrokenPipe => Exit::Success,
        }
    }
}

/// Prints the stable code of a failure, and what to do about an object of the store that is lost or damaged.
fn complain_code(code: &str) {
    complain(&format!("  code: {code}"));
}

/// The message, and every cause that the message does not contain already.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).map(ToString::to_string).fold(error.to_string(), |message, cause| {
        if message.contains(&cause) { message } else { format!("{message}: {cause}") }
    })
}

/// The exit code of a use case's error.
fn exit_of(error: &admin::Error) -> Exit {
    use admin::Error::{Announce, Catalog, Engine, Mapping, Metadata, SegmentFile, Source};
    match (error, error.kind()) {
        _ if error.is_cancelled() => Exit::Interrupted,
        // A run of the same sync would end with this code; or an object is missing, not the thing that an
        // argument names.
        (Source(_) | Mapping { .. } | SegmentFile(_), _)
        | (Catalog(_) | Announce(_) | Metadata(_) | Engine(_), ErrorKind::NotFound) => Exit::Failed,
        (_, ErrorKind::Invalid | ErrorKind::NotFound) => Exit::Usage,
        (_, ErrorKind::Conflict) => Exit::Superseded,
        _ => Exit::Failed,
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl<E: Into<admin::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Admin(error.into())
    }
}

impl Failure {
    /// The failure of writing to stdout.
    pub(super) fn of_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Other(anyhow::Error::new(error).context("cannot write to stdout"))
        }
    }
}

/// `1 row`, `2 rows`: a number and what it counts, whose plural ends in `s`.
pub(super) fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// Records that stay as they were.
pub(super) fn carried(records: u64) -> String {
    let rows = if records == 1 { "its row was" } else { "their rows were" };
    format!("{} kept as before, because {rows} rejected", counted(records, "record"))
}

/// Text from a warehouse, fit for a terminal: control characters are written out.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let escaped = text.chars().flat_map(|character| {
            let escape = character.is_control().then(|| character.escape_default());
            let plain = (!character.is_control()).then_some(character);
            escape.into_iter().flatten().chain(plain)
        });
        Cow::Owned(escaped.collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Writes a line to stderr.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Writes a line to stdout.
pub(super) fn print(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}").map_err(Failure::of_output)
}

/// Writes a value to stdout as indented JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
    print(&text)
}

/// Writes a table to stdout, its columns aligned.
pub(super) fn print_table(
    heading: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), Failure> {
    let mut table = vec![heading.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()];
    table.extend(rows);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    for row in &table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let padding = width + 2 - cell.chars().count();
            line.extend(std::iter::repeat_n(' ', padding));
        }
        print(line.trim_end())?;
    }
    Ok(())
}

/// The value of a cell, `-` where there is none.
pub(super) fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A moment, to the second.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A rejected row on one line: reason, field, primary key.
pub(super) fn rejected_row(reason: &str, field: Option<&str>, primary_key: Option<&str>) -> String {
    let field = field.map(|field| format!(" in {field}")).unwrap_or_default();
    let key = primary_key.map(|key| format!(" (primary key {})", shown(key))).unwrap_or_default();
    format!("{reason}{field}{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_has_one_row() {
        assert_eq!(carried(1), "1 record kept as before, because its row was rejected");
        assert_eq!(carried(2), "2 records kept as before, because their rows were rejected");
    }
}
