//! Replaces `${NAME}` inside a string from the environment; `$${` stands for `${`.

use super::{Environment, nearest};

/// A string as written, and with its variables replaced.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// As in the file, with `${NAME}`.
    pub(crate) raw: String,
    /// With variables replaced.
    pub(crate) value: String,
    /// Whether any of `value` came from the environment.
    pub(crate) from_environment: bool,
    /// Variables that could not be replaced; reported when the string is read.
    pub(crate) problems: Vec<Problem>,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(***)")
    }
}

/// Why a variable could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) missing_variable: Option<String>,
}

impl Text {
    /// A string without variables.
    pub(crate) fn plain(value: &str) -> Self {
        // Escaped, so that it reads back as the same string.
        let raw = value.replace("${", "$${");
        Self { raw, value: value.to_owned(), from_environment: false, problems: Vec::new() }
    }

    /// A string that is the value of one variable.
    pub(crate) fn variable(name: &str, value: &str) -> Self {
        let raw = format!("${{{name}}}");
        Self { raw, value: value.to_owned(), from_environment: true, problems: Vec::new() }
    }

    /// Replaces the variables of `raw`.
    pub(crate) fn interpolate(raw: &str, env: &Environment) -> Self {
        let mut text = Self {
            raw: raw.to_owned(),
            value: String::with_capacity(raw.len()),
            from_environment: false,
            problems: Vec::new(),
        };
        let mut rest = raw;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                text.value.push_str(before);
                text.value.push_str("${");
                rest = &from[2..];
                continue;
            }
            text.value.push_str(before);
            if let Some(after) = from.strip_prefix("${{") {
                // A dollar sign before a template's output: `${{ price }}`.
                text.value.push_str("${{");
                rest = after;
                continue;
            }
            let Some((name, after)) = from[2..].split_once('}').filter(|(name, _)| is_name(name)) else {
                text.problems.push(malformed());
                return text;
            };
            if let Some(value) = env.get(name) {
                text.value.push_str(value);
                text.from_environment = true;
            } else {
                text.problems.push(missing(name, env));
            }
            rest = after;
        }
        text.value.push_str(rest);
        text
    }
}

/// The names of the variables in `raw`.
pub(crate) fn variables(raw: &str) -> impl Iterator<Item = String> {
    let text = Text::interpolate(raw, &Environment::default());
    text.problems.into_iter().filter_map(|problem| problem.missing_variable)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn malformed() -> Problem {
    Problem {
        message: "\"${\" is not followed by a variable's name and \"}\"".to_owned(),
        hint: Some("write \"${NAME}\" for a variable, \"$${\" for the characters themselves".to_owned()),
        missing_variable: None,
    }
}

fn missing(name: &str, env: &Environment) -> Problem {
    let near = nearest::nearest(name, env.names().collect::<Vec<_>>());
    Problem {
        message: format!("the environment variable {name} is not set"),
        hint: Some(match near {
            Some(near) => format!("{near} is set; was that meant?"),
            None => format!("set {name} in the environment of larder"),
        }),
        missing_variable: Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_escapes_kept() {
        let env: Environment = [("A", "1"), ("B_2", "${A}"), ("EMPTY", "")].into_iter().collect();
        for (raw, value, from_environment) in [
            ("plain", "plain", false),
            ("${A}", "1", true),
            ("x${A}y${A}", "x1y1", true),
            ("${B_2}", "${A}", true),
            ("$${A}", "${A}", false),
            ("$$${A}", "$${A}", false),
            ("$$body$$", "$$body$$", false),
            ("${EMPTY}", "", true),
            ("$5 {A}", "$5 {A}", false),
            ("${{ A }}$${{ A }}", "${{ A }}${{ A }}", false),
        ] {
            let text = Text::interpolate(raw, &env);
            assert_eq!((text.value.as_str(), text.from_environment), (value, from_environment), "{raw}");
            assert!(text.problems.is_empty(), "{raw}");
        }
        for raw in ["${", "${}", "${A", "${1}", "${A-B}", "${MISSING} ${ALSO}"] {
            assert!(!Text::interpolate(raw, &env).problems.is_empty(), "{raw}");
        }
        assert_eq!(Text::interpolate("${MISSING} ${ALSO}", &env).problems.len(), 2);
        assert_eq!(variables("${A}$${B}${{C}} ${D}").collect::<Vec<_>>(), ["A", "D"]);
    }

    #[test]
    fn plain_text_reads_back() {
        for value in ["a", "${A}", "$${A}", "$"] {
            let text = Text::plain(value);
            assert_eq!(Text::interpolate(&text.raw, &Environment::default()).value, value, "{value}");
        }
    }
}
