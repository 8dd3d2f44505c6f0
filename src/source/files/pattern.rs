//! Patterns of names: `*` and `?` within a part of a path, `**` for any number of parts.

/// Longest pattern, in bytes, and most stars of one: bounds the work of a match.
const BYTES_MAX: usize = 1024;
const STARS_MAX: usize = 8;

/// A name, or a pattern of names, below a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// `None` for what leads out of the place, or names nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_good = text.len() <= BYTES_MAX
            && text.matches('*').count() <= STARS_MAX
            && !text.contains(|character: char| character.is_control() || character == '\\')
            && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && text.split('/').all(|part| part == "**" || !part.contains("**"));
        is_good.then(|| Self(text.to_owned()))
    }

    /// Every file that a star can match.
    pub(super) fn all() -> Self {
        Self("**/*".to_owned())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is the name of one file.
    pub(super) fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// The directories before the first part with a star or question mark; empty when there are none.
    pub(super) fn root(&self) -> &str {
        let star = self.0.find(['*', '?']).unwrap_or(self.0.len());
        self.0[..star].rfind('/').map_or("", |end| &self.0[..end])
    }

    /// Whether a name matches. Names that begin with a dot or an underscore are of programs that write
    /// (`_SUCCESS`, `.part.crc`): a star does not match them.
    pub(super) fn is_match(&self, name: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let name: Vec<&str> = name.split('/').collect();
        parts_match(&pattern, &name)
    }

    /// Whether it means a file of this name, or may mean one below a directory of this name.
    pub(super) fn may_mean(&self, name: &str, is_directory: bool) -> bool {
        if is_directory { self.may_match_below(name) } else { self.is_match(name) }
    }

    /// Whether a name in a directory, or further below it, can match.
    fn may_match_below(&self, directory: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let directory: Vec<&str> = directory.split('/').collect();
        let parts_max = pattern.len() - usize::from(!self.0.ends_with("**"));
        (1..=parts_max).any(|parts| parts_match(&pattern[..parts], &directory))
    }
}

fn parts_match(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (["**", rest @ ..], _) => {
            parts_match(rest, name)
                || matches!(name, [first, others @ ..] if !is_hidden(first) && parts_match(pattern, others))
        }
        ([first, pattern @ ..], [part, name @ ..]) => {
            let is_allowed = !first.starts_with(['*', '?']) || !is_hidden(part);
            is_allowed && part_matches(first.as_bytes(), part.as_bytes()) && parts_match(pattern, name)
        }
        _ => false,
    }
}

fn is_hidden(part: &str) -> bool {
    part.starts_with(['.', '_'])
}

fn part_matches(pattern: &[u8], part: &[u8]) -> bool {
    match (pattern, part) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=part.len()).any(|skipped| part_matches(rest, &part[skipped..])),
        ([b'?', rest @ ..], [_, ..]) => {
            // A question mark is one character, of up to four bytes.
            let length = 1 + part[1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
            part_matches(rest, &part[length..])
        }
        ([wanted, rest @ ..], [found, others @ ..]) => wanted == found && part_matches(rest, others),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, expected) in [
            ("a.csv", "a.csv", true),
            ("*.csv", "a.csv", true),
            ("*.csv", "a/b.csv", false),
            ("*.csv", ".a.csv", false),
            ("_a.csv", "_a.csv", true),
            ("2026/*/part-?.parquet", "2026/01/part-é.parquet", true),
            ("2026/*/part-?.parquet", "2026/01/part-10.parquet", false),
            ("**/*.csv", "a.csv", true),
            ("**/*.csv", "a/b/c.csv", true),
            ("**/*.csv", "a/_temporary/c.csv", false),
            ("a/**/c", "a/c", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().is_match(name), expected, "{pattern} {name}");
        }
        for (pattern, directory, expected) in [
            ("*.csv", "a", false),
            ("a*/*.csv", "ab", true),
            ("a*/*.csv", "b", false),
            ("a*/*.csv", "ab/c", false),
            ("**/*.csv", "a/b", true),
            ("**/*.csv", "a/_b", false),
            ("a/**", "a/b/c", true),
            ("a/**/b/*.csv", "a/x/y", true),
            ("a/**/b/*.csv", "c", false),
        ] {
            let found = Pattern::parse(pattern).unwrap().may_match_below(directory);
            assert_eq!(found, expected, "{pattern} {directory}");
        }
        assert_eq!(Pattern::parse("2026/01/part-*.csv").unwrap().root(), "2026/01");
        assert_eq!(Pattern::parse("*.csv").unwrap().root(), "");
        for text in ["", "/a", "a//b", "../a", "a/./b", "a\nb", "a**", "a\\b"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
