//! Who gives a command, for the audit log.

use super::args::ActorArgument;

/// Longest name of an actor, in characters: `user@host` of any system fits.
const CHARACTERS_MAX: usize = 128;

/// Who it is: `cli:jane@host`. A name that was given takes the place of `jane@host`.
pub(super) fn of(argument: &ActorArgument) -> String {
    let given = argument.actor.as_deref().map(str::trim).filter(|name| !name.is_empty());
    format!("cli:{}", fitted(&given.map_or_else(user_at_host, str::to_owned)))
}

/// The user as the login calls it, else its number, and the machine's name.
fn user_at_host() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.trim().is_empty()).then_some(value)
    });
    let user = named.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    format!("{}@{}", user.trim(), rustix::system::uname().nodename().to_string_lossy())
}

/// Printable, and no longer than the bound.
fn fitted(name: &str) -> String {
    let printable = |character: char| {
        // Controls, and marks that change the direction or hide what stands beside them.
        let hidden = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if character.is_control() || hidden { '?' } else { character }
    };
    name.chars().take(CHARACTERS_MAX).map(printable).collect()
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
            assert_eq!(of(&ActorArgument { actor: Some(given.to_owned()) }), expected);
        }
        assert_eq!(of(&ActorArgument { actor: Some("é".repeat(500)) }), format!("cli:{}", "é".repeat(128)));
        for absent in [None, Some(String::new()), Some("  ".to_owned())] {
            let own = of(&ActorArgument { actor: absent });
            let (user, host) = own.strip_prefix("cli:").unwrap().split_once('@').unwrap();
            assert!(!user.is_empty() && !host.is_empty(), "{own}");
        }
    }
}
