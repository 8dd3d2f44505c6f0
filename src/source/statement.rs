//! A model's query as one SQL statement: quoting names, finding the end, refusing a second one.
//!
//! The text is put between parentheses later, so a semicolon in it must not end the statement
//! there. The server reads the grammar; here only quotes and comments are told apart.

use super::{Error, Query};

/// Whose quotes and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `E'\''`, `$tag$ $tag$`, comments nest.
    Postgres,
    /// `` ` ` ``, `[ ]`, comments do not nest.
    Sqlite,
}

/// The SQL of `query`: one statement, without a trailing semicolon.
pub(super) fn sql(query: &Query, dialect: Dialect) -> Result<String, Error> {
    match query {
        Query::Sql(text) => single(text, dialect).map(str::to_owned),
        Query::Table { name, columns } => table(name, columns.as_deref()),
    }
}

fn table(name: &str, columns: Option<&[String]>) -> Result<String, Error> {
    let parts: Vec<_> = name.split('.').collect();
    if parts.len() > 3 || parts.iter().any(|part| part.trim().is_empty()) {
        return Err(Error::TableName { name: name.to_owned() });
    }
    let columns = match columns {
        None => "*".to_owned(),
        Some([]) => return Err(Error::NoColumns),
        Some(columns) => columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", "),
    };
    let table = parts.into_iter().map(quote).collect::<Vec<_>>().join(".");
    let sql = format!("select {columns} from {table}");
    if sql.contains('\0') { Err(Error::NulCharacter) } else { Ok(sql) }
}

/// `name` as a quoted identifier of SQL.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn single(text: &str, dialect: Dialect) -> Result<&str, Error> {
    if text.contains('\0') {
        return Err(Error::NulCharacter);
    }
    let mut end = None;
    let mut is_empty = true;
    let mut at = 0;
    while at < text.len() {
        let (token, length) = next(&text[at..], dialect);
        match token {
            Token::Blank => {}
            Token::Semicolon => {
                end.get_or_insert(at);
            }
            Token::Other if end.is_some() => {
                let line = text[..at].matches('\n').count() + 1;
                return Err(Error::SeveralStatements { line });
            }
            Token::Other => is_empty = false,
        }
        at += length;
    }
    if is_empty { Err(Error::EmptyQuery) } else { Ok(&text[..end.unwrap_or(text.len())]) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// White space or a comment.
    Blank,
    Semicolon,
    Other,
}

/// The token at the start of `text`, which is not empty, and its length in bytes.
fn next(text: &str, dialect: Dialect) -> (Token, usize) {
    let bytes = text.as_bytes();
    let postgres = dialect == Dialect::Postgres;
    let character = text.chars().next().unwrap_or(' ');
    match character {
        ';' => (Token::Semicolon, 1),
        '-' if text.starts_with("--") => (Token::Blank, text.find('\n').map_or(text.len(), |at| at + 1)),
        '/' if text.starts_with("/*") => (Token::Blank, comment(bytes, postgres)),
        'e' | 'E' if postgres && bytes.get(1) == Some(&b'\'') => {
            (Token::Other, 1 + quoted(&bytes[1..], b'\'', true))
        }
        '\'' | '"' => (Token::Other, quoted(bytes, bytes[0], false)),
        '`' if !postgres => (Token::Other, quoted(bytes, b'`', false)),
        '[' if !postgres => (Token::Other, text.find(']').map_or(text.len(), |at| at + 1)),
        '$' if postgres => (Token::Other, dollar(text)),
        _ if character.is_ascii_whitespace() => (Token::Blank, 1),
        _ if is_word(character) => {
            (Token::Other, text.find(|other| !is_word(other) && other != '$').unwrap_or(text.len()))
        }
        _ => (Token::Other, character.len_utf8()),
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii()
}

fn comment(bytes: &[u8], nests: bool) -> usize {
    let mut depth = 1;
    let mut at = 2;
    while depth > 0 && at < bytes.len() {
        if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else if nests && bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    at
}

/// The length of what begins and ends with `quote`; a doubled quote stands for itself.
fn quoted(bytes: &[u8], quote: u8, backslash: bool) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        if backslash && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

/// The length of a dollar-quoted string, or of a lone dollar sign (a parameter).
fn dollar(text: &str) -> usize {
    let tag = text[1..].find('$').map(|at| &text[..at + 2]);
    match tag {
        Some(tag)
            if tag[1..tag.len() - 1].chars().all(is_word)
                && !tag[1..].starts_with(|first: char| first.is_ascii_digit()) =>
        {
            text[tag.len()..].find(tag).map_or(text.len(), |at| at + 2 * tag.len())
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_is_found() {
        use Dialect::{Postgres, Sqlite};
        for (dialect, text, expected) in [
            (Postgres, "select 1", "select 1"),
            (Postgres, "select 1; ", "select 1"),
            (Postgres, "select 1;;\n-- done; really", "select 1"),
            (Postgres, "select 1 -- a; b\n, 2", "select 1 -- a; b\n, 2"),
            (Postgres, "select ';' as \";\" /* ; /* ; */ ; */;", "select ';' as \";\" /* ; /* ; */ ; */"),
            (Postgres, "select 'a''; b', E'\\'; c'", "select 'a''; b', E'\\'; c'"),
            (Postgres, "select $$;$$, $a$; $$ ;$a$, a$b;", "select $$;$$, $a$; $$ ;$a$, a$b"),
            (Postgres, "select 'a\\';", "select 'a\\'"),
            (Postgres, "select some'';", "select some''"),
            (Sqlite, "select `;`, [;], ';', \";\";", "select `;`, [;], ';', \";\""),
            (Sqlite, "select 1 /* /* ; */;", "select 1 /* /* ; */"),
        ] {
            assert_eq!(single(text, dialect).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        use Dialect::{Postgres, Sqlite};
        for (dialect, text, code) in [
            (Postgres, "", "source_query_empty"),
            (Postgres, " -- nothing\n/* here */ ;", "source_query_empty"),
            (Postgres, "select 1; select 2", "source_several_statements"),
            (Postgres, "select 1) to stdout; drop table x; copy (select 1", "source_several_statements"),
            (Postgres, "select 'a\\'; select 2", "source_several_statements"),
            (Postgres, "select $1; select $2", "source_several_statements"),
            (Sqlite, "select 1 /* /* */; delete from x /* */ */", "source_several_statements"),
            (Sqlite, "select $$;$$", "source_several_statements"),
            (Postgres, "select '\0'", "source_nul_character"),
        ] {
            assert_eq!(single(text, dialect).unwrap_err().code(), code, "{text}");
        }
        assert!(matches!(
            single("select 1;\n\nselect 2", Postgres),
            Err(Error::SeveralStatements { line: 3 })
        ));
    }

    #[test]
    fn tables_are_quoted() {
        let columns = ["id".to_owned(), "odd \" name".to_owned()];
        assert_eq!(
            table("public.Customers", Some(&columns)).unwrap(),
            r#"select "id", "odd "" name" from "public"."Customers""#
        );
        assert_eq!(table("t", None).unwrap(), r#"select * from "t""#);
        for name in ["", "a..b", ".a", "a.b.c.d"] {
            assert_eq!(table(name, None).unwrap_err().code(), "source_table_name_invalid", "{name}");
        }
    }
}
