//! Who asks for a change, and from where.

use std::fmt;

/// Longest name of a principal, in characters: `user@host` of any system fits.
const CHARACTERS_MAX: usize = 128;
/// How the name of who signed in at the identity provider begins.
const IDENTITY: &str = "oidc:";

/// The actor and address that request a change. Every use case that changes something takes one, and the audit log
/// records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    address: Option<String>,
}

impl Principal {
    /// A person or program at a command line, such as `jane@host`: `cli:jane@host`.
    pub fn command_line(name: &str) -> Self {
        Self { name: format!("cli:{}", shortened(name)), address: None }
    }

    /// The holder of an admin key, over HTTP from `address`: `key:deploy bot (4f9k2Lq0XyZ1)`.
    pub fn admin_key(name: &str, id: &str, address: impl fmt::Display) -> Self {
        Self { name: format!("key:{} ({id})", shortened(name)), address: Some(address.to_string()) }
    }

    /// A browser at `address` whose session began by a link that `name` created: `session:cli:jane@host (4f9k2Lq0XyZ1)`.
    pub fn session(name: &str, id: &str, address: impl fmt::Display) -> Self {
        Self { name: format!("session:{} ({id})", shortened(name)), address: Some(address.to_string()) }
    }

    /// A person at `address` who signed in at the identity provider, in a session: `oidc:jane@example.com (4f9k2Lq0XyZ1)`.
    pub fn identity(name: &str, session: &str, address: impl fmt::Display) -> Self {
        let name = format!("{} ({session})", Self::identity_name(name));
        Self { name, address: Some(address.to_string()) }
    }

    /// The name of a session that a person with this name at the identity provider has begun.
    pub fn identity_name(name: &str) -> String {
        format!("{IDENTITY}{}", shortened(name.strip_prefix(IDENTITY).unwrap_or(name)))
    }

    /// A browser at `address` that is not signed in.
    pub fn visitor(address: impl fmt::Display) -> Self {
        Self { name: "visitor".to_owned(), address: Some(address.to_string()) }
    }

    /// A part of the program that acts by itself.
    pub fn internal(name: &'static str) -> Self {
        Self { name: name.to_owned(), address: None }
    }

    /// As the audit log has it.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The address that the request came from; `None` for a command and for the program itself.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A name as it may be printed: bounded, without control characters.
fn shortened(name: &str) -> String {
    name.trim().chars().take(CHARACTERS_MAX).map(printable).collect()
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

    #[test]
    fn the_holder_of_an_admin_key_has_an_address() {
        let key = Principal::admin_key("deploy\nbot", "4f9k2Lq0XyZ1", "10.0.0.7");
        assert_eq!((key.as_str(), key.address()), ("key:deploy?bot (4f9k2Lq0XyZ1)", Some("10.0.0.7")));
        assert_eq!(Principal::command_line("jane").address(), None);
    }
}
