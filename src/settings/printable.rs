//! Which strings of a configuration may be printed. All others are masked.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use super::interpolate::Text;

/// Stands for a string that is not printed.
pub(super) const MASK: &str = "***";

/// How much of a string may be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Printing {
    /// All of it.
    Whole,
    /// All of it except passwords.
    Url,
}

/// The keys whose strings their readers declared printable.
#[derive(Debug, Clone, Default)]
pub(crate) struct Printable(BTreeMap<String, Printing>);

impl Printable {
    /// Declares the string of `key` printable. Of two declarations the one that shows less counts.
    pub(crate) fn declare(&mut self, key: &str, printing: Printing) {
        let known = self.0.entry(key.to_owned()).or_insert(printing);
        *known = printing.max(*known);
    }

    /// The string of `key` as it may be printed: as written, with `${NAME}` for variables.
    pub(crate) fn show<'a>(&self, key: &str, text: &'a Text) -> Cow<'a, str> {
        match self.0.get(key) {
            Some(Printing::Whole) => Cow::Borrowed(&text.raw),
            Some(Printing::Url) => Cow::Owned(mask_passwords(&text.raw)),
            None => Cow::Borrowed(mask(&text.raw)),
        }
    }

    /// The string of `key` as [`Printable::show`] gives it, but with a variable in place of each mask, whose name
    /// `name` makes. Its argument is whether the secret is the password of a URL.
    pub(crate) fn with_variables<'a>(
        &self,
        key: &str,
        text: &'a Text,
        mut name: impl FnMut(bool) -> String,
    ) -> Cow<'a, str> {
        let mut replace = |secret: &'a str, is_password: bool| match mask(secret) {
            MASK => Cow::Owned(format!("${{{}}}", name(is_password))),
            variable => Cow::Borrowed(variable),
        };
        match self.0.get(key) {
            Some(Printing::Whole) => Cow::Borrowed(&text.raw),
            Some(Printing::Url) => {
                Cow::Owned(replace_passwords(&text.raw, |password| replace(password, true)))
            }
            None => replace(&text.raw, false),
        }
    }

    /// The value of `key` without what may not be printed.
    pub(super) fn value<'a>(&self, key: &str, text: &'a Text) -> Cow<'a, str> {
        match self.0.get(key) {
            Some(Printing::Whole) => Cow::Borrowed(&text.value),
            Some(Printing::Url) => Cow::Owned(mask_passwords(&text.value)),
            None => Cow::Borrowed(MASK),
        }
    }

    /// Whether the string of `key` holds what may not be printed.
    pub(crate) fn is_secret(&self, key: &str, text: &str) -> bool {
        match self.0.get(key) {
            Some(Printing::Whole) => false,
            Some(Printing::Url) => mask_passwords(text) != text,
            None => true,
        }
    }

    /// Whether a secret in the string of `key` is only what is shown in its place: `***`, or a variable.
    pub(crate) fn has_mask(&self, key: &str, text: &str) -> bool {
        match self.0.get(key) {
            Some(Printing::Whole) => false,
            Some(Printing::Url) => {
                let mut found = false;
                replace_passwords(text, |password| {
                    found |= mask(password) == password;
                    Cow::Borrowed("")
                });
                found
            }
            None => mask(text) == text,
        }
    }

    /// Adds the declarations of another.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// Masks the password of a URL, and every parameter whose name contains `password`.
fn mask_passwords(url: &str) -> String {
    replace_passwords(url, |password| Cow::Borrowed(mask(password)))
}

fn replace_passwords<'a>(url: &'a str, mut replace: impl FnMut(&'a str) -> Cow<'a, str>) -> String {
    let (before, parameters) = url.split_once('?').map_or((url, None), |(url, rest)| (url, Some(rest)));
    let is_in_parameters = parameters.is_some_and(|parameters| parameters.contains('@'));
    // A password may contain `?` and `@` unescaped. Then the parameters are masked with it.
    let (before, parameters) = if is_in_parameters { (url, None) } else { (before, parameters) };
    let mut out = replace_in_user(before, &mut replace);
    for (number, parameter) in parameters.iter().flat_map(|list| list.split('&')).enumerate() {
        out.push(if number == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, value)) if name.to_ascii_lowercase().contains("password") => {
                let _ = write!(out, "{name}={}", replace(value));
            }
            _ => out.push_str(parameter),
        }
    }
    out
}

fn replace_in_user<'a>(url: &'a str, replace: &mut impl FnMut(&'a str) -> Cow<'a, str>) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        Some((scheme, name, password, host))
    });
    match parts {
        None => url.to_owned(),
        Some((scheme, name, password, host)) => format!("{scheme}://{name}:{}@{host}", replace(password)),
    }
}

/// The text when it is one variable, which tells nothing; else `***`.
fn mask(raw: &str) -> &str {
    let name = raw.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let is_variable = name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    if is_variable { raw } else { MASK }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Environment;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, shown) in [
            ("postgres://u:secret@h:5432/d", "postgres://u:***@h:5432/d"),
            ("postgres://u:${PASSWORD}@h/d", "postgres://u:${PASSWORD}@h/d"),
            ("postgres://u:a${PASSWORD}@h/d", "postgres://u:***@h/d"),
            ("postgres://u:se/cr@et@h/d", "postgres://u:***@h/d"),
            ("postgres://u:se?cret@h/d", "postgres://u:***@h/d"),
            ("postgres://u@h/d?sslmode=require", "postgres://u@h/d?sslmode=require"),
            ("postgres:///d?user=u&password=secret&x=1", "postgres:///d?user=u&password=***&x=1"),
            ("postgres:///d?sslpassword=secret", "postgres:///d?sslpassword=***"),
            ("${WAREHOUSE_URL}", "${WAREHOUSE_URL}"),
            ("file:./data/store", "file:./data/store"),
            ("sqlite:./a@b:c.db", "sqlite:./a@b:c.db"),
        ] {
            assert_eq!(mask_passwords(url), shown);
        }
    }

    #[test]
    fn a_string_that_nobody_declared_is_masked() {
        let mut printable = Printable::default();
        printable.declare("a.name", Printing::Whole);
        printable.declare("a.url", Printing::Url);
        printable.declare("a.url", Printing::Whole);
        let text = Text::plain("x://u:hunter2@h");
        assert_eq!(printable.show("a.name", &text), "x://u:hunter2@h");
        assert_eq!(printable.show("a.url", &text), "x://u:***@h");
        assert_eq!(printable.show("a.key", &text), "***");
        assert_eq!(printable.show("a.key", &Text::variable("NAME", "hunter2")), "${NAME}");
        let name = |is_password| if is_password { "PASSWORD".to_owned() } else { "KEY".to_owned() };
        for (key, raw, exported) in [
            ("a.name", "x://u:hunter2@h", "x://u:hunter2@h"),
            ("a.url", "x://u:hunter2@h?password=hunter3", "x://u:${PASSWORD}@h?password=${PASSWORD}"),
            ("a.url", "x://u:${OWN}@h", "x://u:${OWN}@h"),
            ("a.key", "hunter2", "${KEY}"),
            ("a.key", "${OWN}", "${OWN}"),
        ] {
            let text = Text::interpolate(raw, &Environment::default());
            assert_eq!(printable.with_variables(key, &text, name), exported);
        }
        for (key, text, is_secret, has_mask) in [
            ("a.name", "***", false, false),
            ("a.key", "hunter2", true, false),
            ("a.key", "***", true, true),
            ("a.key", "${NAME}", true, true),
            ("a.url", "x://u:hunter2@h", true, false),
            ("a.url", "x://u:***@h", false, true),
            ("a.url", "x://u:${NAME}@h", false, true),
            ("a.url", "x://u:***@h?password=hunter2", true, true),
            ("a.url", "x://u@h/***", false, false),
            ("a.url", "x://u:@h", true, false),
        ] {
            assert_eq!(printable.is_secret(key, text), is_secret, "{text}");
            assert_eq!(printable.has_mask(key, text), has_mask, "{text}");
        }
    }
}
