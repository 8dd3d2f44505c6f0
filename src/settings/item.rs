//! Reads a value of the tree as a typed one. A reader that cannot reports a fault and gives `None`.

use std::{
    ops::RangeInclusive,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use super::{
    fault::{Fault, Place, Report},
    interpolate::Text,
    nearest,
    printable::{MASK, Printing},
    section::Section,
    tree::{Node, Value},
    units,
};
use crate::domain::duration;

/// A value that is being read.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub(crate) report: &'a Report,
    pub(crate) key: String,
    pub(crate) node: &'a Node,
}

impl<'a> Item<'a> {
    /// What a fault shows of a string that is none of the words or names wanted: not what somebody may have written a
    /// password in, such as a URL, which is not printed either.
    fn refused_word(&self, text: &Text) -> String {
        if text.value.contains([':', '@', '/']) {
            return MASK.to_owned();
        }
        self.printable();
        shown(text)
    }

    /// Declares that the strings of this value may be printed whole. Strings that no reader declares are
    /// masked: read secrets with [`Item::string`] or [`Item::word`] alone.
    pub(crate) fn printable(&self) -> &Self {
        self.report.declare(&self.key, Printing::Whole);
        self
    }

    /// A string that is not empty, printed without its passwords. White space and quotes around it come from the way
    /// of a variable's value, and are named.
    pub(crate) fn url(&self) -> Option<&'a str> {
        const FILE_HINT: &str = "remove it: a secret that is made of a file keeps the line break at its end";
        const QUOTES_HINT: &str =
            "remove them: `docker --env-file` and Kubernetes take quotes as a part of the value";
        self.report.declare(&self.key, Printing::Url);
        let url = self.word()?;
        let has_quote = |quote| url.starts_with(quote) || url.ends_with(quote);
        if url.trim_end() != url {
            return self.fail("ends in white space or a line break", FILE_HINT.to_owned());
        }
        if url.trim_start() != url {
            return self.fail("begins with white space", "remove it".to_owned());
        }
        if url.starts_with('\u{feff}') {
            return self
                .fail("begins with a byte order mark", "save the secret's file without it".to_owned());
        }
        if has_quote('"') || has_quote('\'') {
            return self.fail("has quotes around it", QUOTES_HINT.to_owned());
        }
        Some(url)
    }

    /// A path, printable. A relative one is from `file_dir` or the working directory, as [`Item::path`] says.
    pub(crate) fn file_path(&self, file_dir: &Path) -> Option<PathBuf> {
        Some(self.path(file_dir, self.printable().word()?))
    }

    /// Reports a fault of the value, and gives `None`.
    pub(crate) fn fail<T>(&self, message: impl Into<String>, hint: impl Into<Option<String>>) -> Option<T> {
        self.report.add(&self.node.place, self.key.clone(), message, hint);
        None
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        match &self.node.value {
            Value::TooLarge => self.fail("is a number out of range", None),
            other => self.fail(format!("must be {wanted}, not {}", other.type_name()), None),
        }
    }

    /// The string with its variables replaced. Reports variables that could not be.
    pub(crate) fn text(&self) -> Option<&'a Text> {
        let Value::String(text) = &self.node.value else { return self.wrong_type("a string") };
        for problem in &text.problems {
            self.report.push(Fault {
                place: self.node.place.clone(),
                key: self.key.clone(),
                message: problem.message.clone(),
                hint: problem.hint.clone(),
                missing_variable: problem.missing_variable.clone(),
            });
        }
        text.problems.is_empty().then_some(text)
    }

    pub(crate) fn string(&self) -> Option<&'a str> {
        self.text().map(|text| text.value.as_str())
    }

    /// A string that is not empty.
    pub(crate) fn word(&self) -> Option<&'a str> {
        match self.string()? {
            "" => self.fail("is empty", None),
            word => Some(word),
        }
    }

    /// A string that is not empty and may be printed.
    pub(crate) fn printable_word(&self) -> Option<String> {
        self.printable().word().map(str::to_owned)
    }

    /// The name or address of a host, alone. A fault does not show it: a URL may have a password.
    pub(crate) fn host(&self) -> Option<String> {
        const HINT: &str =
            "write the host alone, as in \"db.example.com\"; port, user and password have keys of their own";
        let host = self.printable_word()?;
        let has_port = host.matches(':').count() == 1;
        if has_port || host.contains(|letter: char| letter.is_whitespace() || "/@,;=".contains(letter)) {
            return self.fail("is not the name of a host", HINT.to_owned());
        }
        Some(host)
    }

    /// A string, a whole number, or true or false, as text. It is not printable.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(boolean) => Some(boolean.to_string()),
            _ => self.string().map(str::to_owned),
        }
    }

    /// A string that `parse` reads; its error is a hint. The string is printable, and faults show it as written.
    pub(crate) fn parsed<T>(&self, what: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if !matches!(self.node.value, Value::String(_)) {
            return self
                .fail(format!("must be {what}, not {}", self.node.value.type_name()), parse("").err());
        }
        let text = self.printable().text()?;
        let hint = match parse(&text.value) {
            Ok(value) => return Some(value),
            Err(hint) => hint,
        };
        // A hint may repeat what was written. A value from the environment is not shown.
        let tells = text.from_environment && !text.value.is_empty() && hint.contains(&text.value);
        self.fail(format!("{} is not {what}", shown(text)), (!tells).then_some(hint))
    }

    /// A URL of `http` or `https` with a host, and nothing behind its path; without a slash at its end. A fault does
    /// not show it: a password may be in it.
    pub(crate) fn base_url(&self, what: &str, hint: &str) -> Option<String> {
        let text = self.url()?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_good = rest.is_some_and(|rest| {
            let is_of_url = |byte: u8| byte.is_ascii_graphic() && !b"?#@\"'<>\\".contains(&byte);
            !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(is_of_url)
        });
        if is_good {
            Some(text.trim_end_matches('/').to_owned())
        } else {
            self.fail(format!("is not {what}"), hint.to_owned())
        }
    }

    /// A name that must be among `names`, the names of every `what`.
    pub(crate) fn reference(&self, what: &str, names: &[String]) -> Option<&'a str> {
        let text = self.text()?;
        if names.contains(&text.value) {
            self.printable();
            return Some(&text.value);
        }
        let all = names.iter().map(String::as_str);
        let hint = if names.is_empty() {
            Some(format!("add [{what}s.NAME]"))
        } else if text.from_environment {
            None
        } else {
            nearest::hint(&text.value, &format!("known {what}s"), all)
        };
        self.fail(format!("there is no {what} {}", self.refused_word(text)), hint)
    }

    /// One of `allowed` words.
    pub(crate) fn one_of<T: Copy>(&self, allowed: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = allowed.iter().find(|(word, _)| *word == text.value) {
            self.printable();
            return Some(*value);
        }
        let words = allowed.iter().map(|(word, _)| *word);
        // A guess would reveal something of a value from the environment.
        let near = if text.from_environment { None } else { nearest::nearest(&text.value, words.clone()) };
        self.fail(
            format!("{} is not one of {}", self.refused_word(text), nearest::quoted(words)),
            near.map(|near| format!("did you mean \"{near}\"?")),
        )
    }

    /// A whole number within bounds.
    pub(crate) fn count(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Value::Integer(number) = self.node.value else { return self.wrong_type("an integer") };
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => self.fail(format!("must be from {} to {}", range.start(), range.end()), None),
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.node.value {
            Value::Boolean(boolean) => Some(boolean),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A duration within bounds.
    pub(crate) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        if let Value::Integer(number) = self.node.value {
            return self.fail("needs a unit", format!("write \"{number}s\" for {number} seconds"));
        }
        let duration = self.parsed("a duration", duration::parse)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let (start, end) = (units::show_duration(*range.start()), units::show_duration(*range.end()));
        self.fail(format!("must be from {start} to {end}"), None)
    }

    /// A size in bytes within bounds: text with a unit, or a number of bytes.
    pub(crate) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let size = match self.node.value {
            Value::Integer(number) => u64::try_from(number).unwrap_or(0),
            _ => self.parsed("a size", units::size)?,
        };
        if range.contains(&size) {
            return Some(size);
        }
        let (start, end) = (units::show_size(*range.start()), units::show_size(*range.end()));
        self.fail(format!("must be from {start} to {end}"), None)
    }

    pub(crate) fn share(&self) -> Option<f64> {
        let hint = "write a percentage, \"30%\", or a number from 0.0 to 1.0".to_owned();
        match self.node.value {
            Value::Float(number) if (0.0..=1.0).contains(&number) => Some(number),
            // 1 could mean everything as well as one percent.
            Value::Integer(0) => Some(0.0),
            Value::Integer(_) | Value::Float(_) => self.fail("is not a share of a whole", hint),
            _ => self.parsed("a share", units::share),
        }
    }

    /// The elements of an array.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        let Value::Array(array) = &self.node.value else { return self.wrong_type("an array") };
        let item = |node| Self { report: self.report, key: self.key.clone(), node };
        Some(array.iter().map(item).collect())
    }

    /// An array of distinct values, each read by `read`; a single value stands for an array of one.
    pub(crate) fn list<T: PartialEq>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        let items = match self.node.value {
            Value::Array(_) => self.items()?,
            _ => vec![self.clone()],
        };
        // All elements are read before a faulty one ends the reading.
        let read: Vec<_> = items.iter().map(read).collect();
        let mut list = Vec::with_capacity(read.len());
        for (item, value) in items.iter().zip(read) {
            let value = value?;
            if list.contains(&value) {
                return match &item.node.value {
                    Value::String(text)
                        if self.report.printable_value(&item.key, text) == text.value.as_str() =>
                    {
                        item.fail(format!("lists {} twice", shown(text)), None)
                    }
                    _ => item.fail("lists a value twice", None),
                };
            }
            list.push(value);
        }
        Some(list)
    }

    /// The value as a table.
    pub(crate) fn section(&self) -> Option<Section<'a>> {
        match &self.node.value {
            Value::Table(table) => {
                Some(Section::new(self.report, self.key.clone(), self.node.place.clone(), table))
            }
            _ => self.wrong_type("a table"),
        }
    }

    /// A name of `domain::name`, which URLs and metric labels may contain.
    pub(crate) fn name<N, E: std::fmt::Display>(&self, new: impl FnOnce(&str) -> Result<N, E>) -> Option<N> {
        let text = self.text()?;
        match new(&text.value) {
            Ok(name) => {
                self.printable();
                Some(name)
            }
            Err(error) => self.fail(format!("{} cannot be used: {error}", self.refused_word(text)), None),
        }
    }

    /// The path of a URL without parameters; `hint` shows such a URL.
    pub(crate) fn local_path(&self, file_dir: &Path, path: &str, hint: &str) -> Option<PathBuf> {
        if path.contains(['?', '#']) {
            return self.fail("has parameters; a path has none", hint.to_owned());
        }
        if path.is_empty() {
            return self.fail("names no path", hint.to_owned());
        }
        Some(self.path(file_dir, path))
    }

    /// `path`, relative to `file_dir` when the value is in a file or stored, and to the working directory when it
    /// comes from a flag or variable.
    pub(crate) fn path(&self, file_dir: &Path, path: &str) -> PathBuf {
        let dir = match self.node.place {
            Place::File { .. } | Place::Stored(_) => file_dir,
            Place::Variable(_) | Place::Flag(_) => Path::new(""),
        };
        let path: PathBuf = dir.join(path).components().filter(|part| *part != Component::CurDir).collect();
        // The directory itself: the system knows no empty path.
        if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
    }
}

/// A string as written, in quotes, with `${NAME}` for what comes from the environment.
pub(crate) fn shown(text: &Text) -> String {
    const SHOWN_MAX: usize = 80;
    let raw = if text.from_environment { &text.raw } else { &text.value };
    if raw.chars().count() <= SHOWN_MAX {
        return format!("{raw:?}");
    }
    format!("{:?}...", raw.chars().take(SHOWN_MAX).collect::<String>())
}
