//! Who asks for a change.

use std::fmt;

/// Longest name of a principal, in characters: `user@host` of any system fits.
const CHARACTERS_MAX: usize = 128;

/// Who asks for a change: every use case that changes something takes one, and the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(String);

impl Principal {
    /// A person or program at a command line, such as `jane@host`: `cli:jane@host`.
    pub fn command_line(name: &str) -> Self {
        let name = name.trim();
        Self(format!("cli:{}", name.chars().take(CHARACTERS_MAX).map(printable).collect::<String>()))
    }

    /// A part of the program that acts by itself.
    pub fn internal(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// As the audit log has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Replaces control characters, and marks that change the direction of text or hide their neighbours.
fn printable(character: char) -> char {
    let is_hidden = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if character.is_control() || is_hidden { '?' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        for (given, expected) in [
            ("deploy bot", "cli:deploy bot"),
            (" jane\n\u{1b}[31m ", "cli:jane??[31m"),
            ("a\u{202e}b", "cli:a?b"),
            ("Jürgen", "cli:Jürgen"),
        ] {
            assert_eq!(Principal::command_line(given).as_str(), expected);
        }
        let long = Principal::command_line(&"é".repeat(500));
        assert_eq!(long.as_str(), format!("cli:{}", "é".repeat(128)));
    }
}
