//! SQLSTATE, the five-character code of an SQL server's error
//! (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

/// Classes whose messages name objects of the schema, settings and logins, never values of rows:
/// connection, authorisation, database name, syntax and privileges, resources, operator intervention.
const CLASSES_WITHOUT_VALUES: [&str; 6] = ["08", "28", "3D", "42", "53", "57"];

/// The class of a code: its first two characters. Empty for what is no SQLSTATE.
pub fn class(code: &str) -> &str {
    code.get(..2).unwrap_or_default()
}

/// Whether the message of an error with this code can be shown: it never holds a value of a row.
pub fn has_safe_message(code: &str) -> bool {
    CLASSES_WITHOUT_VALUES.contains(&class(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_any_form_have_a_class() {
        for (code, expected, is_safe) in [
            ("42P01", "42", true),
            ("22P02", "22", false),
            ("", "", false),
            ("é", "é", false),
            ("4é", "", false),
        ] {
            assert_eq!((class(code), has_safe_message(code)), (expected, is_safe), "{code}");
        }
    }
}
