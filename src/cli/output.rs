//! What commands print, and how they fail.

use std::{
    borrow::Cow,
    error::Error as StdError,
    io::{self, Write},
};

use super::exit::Exit;
use crate::{
    admin,
    api::serve::{self, tls},
    config::Faults,
    domain::error::ErrorKind,
    engine, replica, segment, source, store,
    support::file_lock::LockError,
    telemetry,
};

/// Why a command failed, with all that decides its message and exit code.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is wrong.
    Configuration(Faults),
    /// An argument is wrong.
    Usage(String),
    /// A use-case failed.
    Control(admin::Error),
    /// Anything else, with its causes.
    Other(anyhow::Error),
    /// Whoever read our output has gone.
    BrokenPipe,
}

impl Failure {
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
            Self::Control(error) => {
                complain(&error.to_string());
                if let admin::Error::Mapping { faults, .. } = &error {
                    for fault in faults {
                        complain(&format!("  {fault}"));
                    }
                }
                complain(&format!("  code: {}", error.code()));
                of_error(&error)
            }
            Self::Other(error) => {
                complain(&with_causes(&error));
                if let Some(code) = error.chain().find_map(code_of) {
                    complain(&format!("  code: {code}"));
                }
                Exit::Failed
            }
            Self::BrokenPipe => Exit::Success,
        }
    }
}

/// The message and those of its causes which it does not say itself.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).map(ToString::to_string).fold(error.to_string(), |told, cause| {
        if told.contains(&cause) { told } else { format!("{told}: {cause}") }
    })
}

/// The code of an error that is no use-case's: of a server's start, of a segment file.
fn code_of(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    fn code<E: StdError + 'static>(
        error: &(dyn StdError + 'static),
        code: fn(&E) -> &'static str,
    ) -> Option<&'static str> {
        error.downcast_ref().map(code)
    }
    code(error, LockError::code)
        .or_else(|| code(error, serve::Error::code))
        .or_else(|| code(error, tls::Error::code))
        .or_else(|| code(error, telemetry::Error::code))
        .or_else(|| code(error, replica::Error::code))
        .or_else(|| code(error, segment::Error::code))
        .or_else(|| code(error, admin::Error::code))
        .or_else(|| code(error, store::Error::code))
        .or_else(|| code(error, source::Error::code))
}

fn of_error(error: &admin::Error) -> Exit {
    use admin::Error;
    match error {
        Error::Engine(engine::Error::Cancelled) => Exit::Interrupted,
        Error::UnknownSync { .. }
        | Error::UnknownKey { .. }
        | Error::UnknownRun { .. }
        | Error::UnknownCollection { .. }
        | Error::UnknownVersion { .. } => Exit::Usage,
        // What a run of the same sync would end with.
        Error::Source(_) | Error::Mapping { .. } => Exit::Failed,
        _ => match error.kind() {
            ErrorKind::Invalid => Exit::Usage,
            ErrorKind::Conflict => Exit::Superseded,
            _ => Exit::Failed,
        },
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl<E: Into<admin::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Control(error.into())
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

/// Writes rows to stdout in columns; the first row is the heading.
pub(super) fn print_table(rows: &[Vec<String>]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
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
