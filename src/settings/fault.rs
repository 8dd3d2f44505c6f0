//! Faults of a configuration, each with its key, its place and a hint.

use std::{borrow::Cow, cell::RefCell, fmt, path::Path, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{
    interpolate::Text,
    printable::{Printable, Printing},
};

/// Where a value is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// An environment variable that overrides a key.
    Variable(&'static str),
    /// A command-line flag that overrides a key.
    Flag(&'static str),
    /// A stored entry, such as `sources.crm`.
    Stored(Arc<str>),
    /// A place in a file. Lines and columns count from 1, columns in characters. Line 0 is the file as a whole.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// Its line.
        line: u32,
        /// The character in the line.
        column: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
            Self::Stored(entry) => write!(f, "stored {entry}"),
            Self::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
        }
    }
}

/// One fault. It never contains a secret, nor a value from the environment.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where the faulty value is written.
    #[schema(ignore)]
    pub place: Place,
    /// The key, as in `syncs.customer.on_delete`. Empty for faults of TOML syntax.
    pub key: String,
    /// The fault.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The environment variable whose absence is the fault.
    #[schema(ignore)]
    pub missing_variable: Option<String>,
}

impl Default for Fault {
    fn default() -> Self {
        let place = Place::File { path: Path::new("").into(), line: 0, column: 0 };
        Self { place, key: String::new(), message: String::new(), hint: None, missing_variable: None }
    }
}

/// As programs read it: the key, what is wrong with it and what to do.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fault = serializer.serialize_struct("Fault", 3)?;
        fault.serialize_field("key", &self.key)?;
        fault.serialize_field("message", &self.message)?;
        fault.serialize_field("hint", &self.hint)?;
        fault.end()
    }
}

/// A fault of a stored entry, as a server answers it.
impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Shown {
            key: String,
            message: String,
            hint: Option<String>,
        }
        let Shown { key, message, hint } = Shown::deserialize(deserializer)?;
        let entry: Vec<&str> = key.splitn(3, '.').take(2).collect();
        let place = Place::Stored(entry.join(".").into());
        Ok(Self { place, key, message, hint, missing_variable: None })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// All faults of a configuration, at least one, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    /// The faults.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A hint with dots in place of variables, which stored entries do not have.
fn without_variables(hint: &str) -> String {
    let mut parts = hint.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("...");
        text.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    text
}

/// Most faults reported of one configuration: nobody reads more, and comparing them stays cheap.
const FAULTS_MAX: usize = 500;

/// Collects faults, and what may be printed, while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    faults: RefCell<Vec<Fault>>,
    printable: RefCell<Printable>,
}

impl Report {
    /// Declares the string of a key printable.
    pub(super) fn declare(&self, key: &str, printing: Printing) {
        self.printable.borrow_mut().declare(key, printing);
    }

    /// The value of a key without what may not be printed.
    pub(super) fn printable_value<'a>(&self, key: &str, text: &'a Text) -> Cow<'a, str> {
        self.printable.borrow().value(key, text)
    }

    /// Takes out what readers declared printable.
    pub(crate) fn take_printable(&self) -> Printable {
        self.printable.take()
    }

    /// Adds a fault of a value.
    pub(super) fn add(
        &self,
        place: &Place,
        key: String,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        let (place, message, hint) = (place.clone(), message.into(), hint.into());
        self.push(Fault { place, key, message, hint, missing_variable: None });
    }

    /// Adds a fault. The same fault of a key at the same place counts once: a faulty value of
    /// `[defaults.sync]` is read again in every sync, under that sync's name.
    pub(crate) fn push(&self, mut fault: Fault) {
        if let (Place::Stored(_), Some(hint)) = (&fault.place, &fault.hint) {
            fault.hint = Some(without_variables(hint));
        }
        let mut faults = self.faults.borrow_mut();
        let last_part = |key: &str| key.rsplit('.').next().map(str::to_owned);
        let is_known = |known: &Fault| {
            known.place == fault.place
                && known.message == fault.message
                && match known.place {
                    Place::File { .. } => last_part(&known.key) == last_part(&fault.key),
                    _ => known.key == fault.key,
                }
        };
        if faults.len() < FAULTS_MAX && !faults.iter().any(is_known) {
            faults.push(fault);
        }
    }

    /// Takes over another report; its faults about missing variables only when `needed`.
    pub(crate) fn absorb(&self, other: Self, needed: bool) {
        self.printable.borrow_mut().extend(other.printable.into_inner());
        for fault in other.faults.into_inner() {
            if needed || fault.missing_variable.is_none() {
                self.push(fault);
            }
        }
    }

    /// The value, or the faults when there is one.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, Faults> {
        let mut faults = self.faults.into_inner();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => {
                debug_assert!(!faults.is_empty(), "a value is withheld only with a fault");
                faults.sort_by(|a, b| a.place.cmp(&b.place));
                Err(Faults(faults))
            }
        }
    }
}
