//! A model's query as one SQL statement: quoting names, finding the end, refusing a second one.
//!
//! The text is put between parentheses later, so a semicolon in it must not end the statement
//! there. The server checks the grammar; only quotes and comments are recognised here.

use super::{
    Increment, KeyQuery, Query, cursor_places,
    error::{Error, cause},
};
use crate::domain::cursor::{CursorValue, TimeForm};

/// The time `text` without its zone.
fn without(text: &str, zone: &str) -> String {
    text.strip_suffix(zone).unwrap_or(text).replace('T', " ")
}

/// A time without the fraction of its seconds, which is zero in the beginning of an increment.
fn without_fraction(time: &str) -> &str {
    time.split_once('.').map_or(time, |(seconds, _)| seconds)
}

/// The lexical features in which SQL databases differ.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent features of a grammar")]
pub(super) struct Dialect {
    /// The quote around an identifier.
    pub(super) identifier_quote: char,
    /// Most parts of a table's name: 2 for `schema.table`.
    pub(super) table_parts_max: usize,
    /// `E'\''` is one string.
    pub(super) has_escape_strings: bool,
    /// A backslash escapes a quote in every string.
    pub(super) has_backslash_escapes: bool,
    /// A backslash escapes a quote in a quoted identifier, too.
    pub(super) escapes_identifiers: bool,
    /// What begins a comment to the end of the line.
    pub(super) line_comments: &'static [&'static str],
    /// `'''...'''` and three double quotes are strings, with lone quotes inside.
    pub(super) has_triple_quotes: bool,
    /// `$tag$ ... $tag$` is a string.
    pub(super) has_dollar_quotes: bool,
    /// A comment `/* */` may hold another one.
    pub(super) nests_comments: bool,
    /// `` ` ` `` and `[ ]` quote identifiers, too.
    pub(super) has_other_quotes: bool,
    /// How a time is written.
    pub(super) times: Times,
    /// A subquery neither begins with `with` nor ends with `order by` alone.
    pub(super) has_strict_subqueries: bool,
    /// The type as which keys are compared byte by byte, where texts that differ in case or in white space at the end
    /// may else be equal.
    pub(super) key_type: Option<&'static str>,
}

/// How a database wants a time that is compared with a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// A string, in the form in which the database prints times.
    Text,
    /// A string without a zone, which is that of the session: UTC.
    WithoutZone,
    /// `timestamp '...'` and `date '...'`.
    Typed,
    /// A call that reads ISO 8601, for ClickHouse.
    Parsed,
    /// A string of ISO 8601 with a `T` and without a fraction, which SQL Server makes a value of the column's type: it would
    /// convert a column of `datetime` to `datetime2`. With a zone a cast, since not every type of time takes such a string.
    Iso,
    /// As `Typed`, but a time without a zone has a type of its own: Databricks would convert a column of it.
    TypedWithoutZone,
    /// As `Typed`, but a time without a zone is a date: Oracle would convert a column of dates.
    OracleDate,
}

impl Times {
    /// `value` as an expression.
    fn literal(self, value: &CursorValue) -> String {
        let text = value.text();
        let Some(form) = value.time_form() else {
            // ClickHouse takes a longer number for a float, which is another one; a text becomes the column's type.
            let is_long = text.parse::<i64>().is_err() && text.parse::<u64>().is_err();
            return if is_long && matches!(self, Self::Parsed) {
                format!("'{text}'")
            } else {
                text.to_owned()
            };
        };
        match (self, form) {
            (Self::Text, _) | (Self::WithoutZone | Self::Parsed | Self::Iso, TimeForm::Date) => {
                format!("'{text}'")
            }
            (Self::WithoutZone, TimeForm::Time { zone, .. }) => {
                format!("'{}'", without(text, zone))
            }
            (Self::TypedWithoutZone, TimeForm::Time { zone: "", .. }) => {
                format!("timestamp_ntz '{}'", without(text, ""))
            }
            (Self::OracleDate, TimeForm::Time { zone: "", .. }) => {
                format!("to_date('{}', 'YYYY-MM-DD HH24:MI:SS')", without_fraction(&without(text, "")))
            }
            (Self::Typed | Self::TypedWithoutZone | Self::OracleDate, TimeForm::Date) => {
                format!("date '{text}'")
            }
            (Self::Typed | Self::TypedWithoutZone | Self::OracleDate, TimeForm::Time { zone, .. }) => {
                let utc = if zone.is_empty() { "" } else { " +00:00" };
                format!("timestamp '{}{utc}'", without(text, zone))
            }
            (Self::Iso, TimeForm::Time { zone: "", .. }) => {
                format!("'{}'", without_fraction(&text.replace(' ', "T")))
            }
            (Self::Iso, TimeForm::Time { .. }) => format!("cast('{text}' as datetimeoffset)"),
            (Self::Parsed, TimeForm::Time { .. }) => format!("parseDateTime64BestEffort('{text}', 9, 'UTC')"),
        }
    }
}

impl Dialect {
    /// Standard SQL: what a database has unless it says something else.
    pub(super) const STANDARD: Self = Self {
        identifier_quote: '"',
        table_parts_max: 3,
        has_escape_strings: false,
        has_backslash_escapes: false,
        escapes_identifiers: false,
        line_comments: &["--"],
        has_triple_quotes: false,
        has_dollar_quotes: false,
        nests_comments: false,
        has_other_quotes: false,
        times: Times::Typed,
        has_strict_subqueries: false,
        key_type: None,
    };

    /// Refuses a table whose name cannot be quoted.
    pub(super) fn check_query(&self, query: &Query) -> Result<(), Error> {
        let name = match query {
            Query::Sql(_) => return Ok(()),
            Query::Table { name, .. } => name,
            Query::Increment(increment) => return self.check_query(&increment.query),
            Query::KeyCounts(key) => return self.check_query(&key.query),
        };
        let is_part = |part: &str| {
            let quote = self.identifier_quote;
            !part.is_empty() && part.trim() == part && !part.contains(|c: char| c == quote || c.is_control())
        };
        if name.split('.').count() <= self.table_parts_max && name.split('.').all(is_part) {
            return Ok(());
        }
        Err(Error::new(cause::TABLE_NAME_INVALID, "this is not the name of a table")
            .with_hint("write \"table\" or \"schema.table\", without quotes; for anything else use `sql`"))
    }

    /// The SQL of `query`: one statement, without a trailing semicolon.
    pub(super) fn statement(&self, query: &Query) -> Result<String, Error> {
        self.check_query(query)?;
        let (name, columns) = match query {
            Query::Sql(text) => return self.single(text).map(str::to_owned),
            Query::Table { name, columns } => (name, columns),
            Query::Increment(increment) => return self.increment(increment),
            Query::KeyCounts(key) => return self.key_counts(key),
        };
        let columns = self.list(columns.as_deref().unwrap_or_default());
        let table: Vec<_> = name.split('.').map(|part| self.quote(part)).collect();
        let sql = format!("select {columns} from {}", table.join("."));
        if sql.contains('\0') { Err(nul_character()) } else { Ok(sql) }
    }

    fn increment(&self, increment: &Increment) -> Result<String, Error> {
        let Increment { query, columns, column, is_text, from } = increment;
        let times = if *is_text { Times::Text } else { self.times };
        let from = times.literal(from);
        let mut inner = self.statement(query)?;
        for place in cursor_places(&inner).unwrap_or_default().into_iter().rev().filter(|_| column.is_none())
        {
            inner.replace_range(place, &from);
        }
        let filter = column.as_ref().map(|column| format!(" where {} >= {from}", self.quote(column)));
        Ok(self.around(&inner, |model| {
            format!("select {} from {model}{}", self.list(columns), filter.unwrap_or_default())
        }))
    }

    /// A query that reads the rows of `inner`: `query` gets what stands behind its `from`.
    pub(super) fn around(&self, inner: &str, query: impl FnOnce(&str) -> String) -> String {
        let mut words = Vec::new();
        if self.has_strict_subqueries {
            words = self.outer_words(inner);
        }
        let is = |word: &(usize, &str), name: &str| word.1.eq_ignore_ascii_case(name);
        let begins_with = words.first().is_some_and(|word| is(word, "with"));
        let last = words.iter().position(|word| begins_with && is(word, "select")).unwrap_or(0);
        let words = &words[last..];
        let any = |words: &[(usize, &str)], names: &[&str]| {
            words.iter().any(|word| names.iter().any(|name| is(word, name)))
        };
        let ordered = words.windows(2).rposition(|pair| is(&pair[0], "order") && is(&pair[1], "by"));
        // All rows, in an order that nobody asks for: only then is it allowed.
        let end = match ordered {
            Some(at) if !any(&words[..at], &["top"]) && !any(&words[at..], &["offset", "for"]) => {
                "\noffset 0 rows"
            }
            _ => "",
        };
        if last == 0 {
            return query(&format!("(\n{inner}{end}\n) larder_model"));
        }
        let (steps, rows) = inner.split_at(words[0].0);
        format!("{steps}, larder_model as (\n{rows}{end}\n)\n{}", query("larder_model"))
    }

    /// The words of `text` that are not between parentheses, and where they stand.
    fn outer_words<'a>(&self, text: &'a str) -> Vec<(usize, &'a str)> {
        let (mut words, mut depth, mut at) = (Vec::new(), 0_usize, 0);
        while at < text.len() {
            let (token, length) = self.next(&text[at..]);
            match &text[at..at + length] {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                word if depth == 0 && token == Token::Other => words.push((at, word)),
                _ => {}
            }
            at += length;
        }
        words
    }

    fn key_counts(&self, KeyQuery { query, column }: &KeyQuery) -> Result<String, Error> {
        let (inner, mut key) = (self.statement(query)?, self.quote(column));
        if let Some(bytes) = self.key_type {
            key = format!("cast({key} as {bytes})");
        }
        Ok(self.around(&inner, |model| {
            format!(
                "select sum(occurrences) as all_rows, \
                 sum(case when key_value is null then occurrences else 0 end) as null_rows, \
                 sum(case when key_value is not null and occurrences > 1 then 1 else 0 end) as repeated_values \
                 from (select key_value, count(*) as occurrences \
                 from (select {key} as key_value from {model}) larder_keys \
                 group by key_value) larder_counts"
            )
        }))
    }

    /// The columns of a `select`: all of them when none is named.
    fn list(&self, columns: &[String]) -> String {
        if columns.is_empty() {
            return "*".to_owned();
        }
        columns.iter().map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// `name` as a quoted identifier.
    pub(super) fn quote(&self, name: &str) -> String {
        let quote = self.identifier_quote;
        let name = if self.escapes_identifiers {
            name.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"))
        } else {
            name.replace(quote, &format!("{quote}{quote}"))
        };
        format!("{quote}{name}{quote}")
    }

    /// `text` up to the end of its only statement.
    fn single<'a>(&self, text: &'a str) -> Result<&'a str, Error> {
        if text.contains('\0') {
            return Err(nul_character());
        }
        let mut end = None;
        let mut is_empty = true;
        let mut at = 0;
        while at < text.len() {
            let (token, length) = self.next(&text[at..]);
            match token {
                Token::Blank => {}
                Token::Semicolon => {
                    end.get_or_insert(at);
                }
                Token::Other if end.is_some() => {
                    let line = text[..at].matches('\n').count() + 1;
                    let message = format!("the SQL has a second statement in line {line}");
                    return Err(Error::new(cause::SEVERAL_STATEMENTS, message)
                        .with_hint("write one select statement"));
                }
                Token::Other => is_empty = false,
            }
            at += length;
        }
        if is_empty {
            return Err(
                Error::new(cause::QUERY_EMPTY, "the SQL is empty").with_hint("write one select statement")
            );
        }
        Ok(&text[..end.unwrap_or(text.len())])
    }

    /// The token at the start of `text`, which is not empty, and its length in bytes.
    fn next(&self, text: &str) -> (Token, usize) {
        let bytes = text.as_bytes();
        let character = text.chars().next().unwrap_or(' ');
        match character {
            ';' => (Token::Semicolon, 1),
            _ if self.line_comments.iter().any(|start| text.starts_with(start)) => {
                (Token::Blank, text.find('\n').map_or(text.len(), |at| at + 1))
            }
            '/' if text.starts_with("/*") => (Token::Blank, comment(bytes, self.nests_comments)),
            'e' | 'E' if self.has_escape_strings && bytes.get(1) == Some(&b'\'') => {
                (Token::Other, 1 + quoted(&bytes[1..], b'\'', true))
            }
            '\'' | '"' if self.has_triple_quotes && bytes.get(1..3) == Some(&[bytes[0]; 2]) => {
                (Token::Other, 3 + triple(&bytes[3..], bytes[0]))
            }
            _ if character == self.identifier_quote => {
                (Token::Other, quoted(bytes, bytes[0], self.escapes_identifiers))
            }
            '\'' | '"' => (Token::Other, quoted(bytes, bytes[0], self.has_backslash_escapes)),
            '`' if self.has_other_quotes => (Token::Other, quoted(bytes, b'`', self.escapes_identifiers)),
            '[' if self.has_other_quotes => (Token::Other, text.find(']').map_or(text.len(), |at| at + 1)),
            '$' if self.has_dollar_quotes => (Token::Other, dollar(text)),
            _ if character.is_ascii_whitespace() => (Token::Blank, 1),
            _ if is_word(character) => {
                (Token::Other, text.find(|other| !is_word(other) && other != '$').unwrap_or(text.len()))
            }
            _ => (Token::Other, character.len_utf8()),
        }
    }
}

fn nul_character() -> Error {
    Error::new(cause::NUL_CHARACTER, "the SQL holds a NUL character").with_hint("remove it")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// White space or a comment.
    Blank,
    Semicolon,
    Other,
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

/// The length of what ends with three quotes; a backslash escapes one.
fn triple(bytes: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            _ if bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => at += 1,
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
    use crate::source::{mysql::DIALECT as MYSQL, postgres::DIALECT as POSTGRES, sqlite::DIALECT as SQLITE};

    const BIGQUERY: Dialect = Dialect { has_triple_quotes: true, escapes_identifiers: true, ..MYSQL };
    const SNOWFLAKE: Dialect = Dialect { has_backslash_escapes: true, ..POSTGRES };

    #[test]
    fn one_statement_is_found() {
        for (dialect, text, expected) in [
            (POSTGRES, "select 1", "select 1"),
            (POSTGRES, "select 1; ", "select 1"),
            (POSTGRES, "select 1;;\n-- done; really", "select 1"),
            (POSTGRES, "select 1 -- a; b\n, 2", "select 1 -- a; b\n, 2"),
            (POSTGRES, "select ';' as \";\" /* ; /* ; */ ; */;", "select ';' as \";\" /* ; /* ; */ ; */"),
            (POSTGRES, "select 'a''; b', E'\\'; c'", "select 'a''; b', E'\\'; c'"),
            (POSTGRES, "select $$;$$, $a$; $$ ;$a$, a$b;", "select $$;$$, $a$; $$ ;$a$, a$b"),
            (POSTGRES, "select 'a\\';", "select 'a\\'"),
            (POSTGRES, "select some'';", "select some''"),
            (SQLITE, "select `;`, [;], ';', \";\";", "select `;`, [;], ';', \";\""),
            (MYSQL, "select 'a\\'; b', \"\\\";\", `;` # ; c\n;", "select 'a\\'; b', \"\\\";\", `;` # ; c\n"),
            (MYSQL, "select v as `a\\` from t -- it's; so", "select v as `a\\` from t -- it's; so"),
            (BIGQUERY, "select v as `a\\`;`;", "select v as `a\\`;`"),
            (SNOWFLAKE, "select 'a\\';', v as \"a\\\" from t;", "select 'a\\';', v as \"a\\\" from t"),
            (SQLITE, "select 1 /* /* ; */;", "select 1 /* /* ; */"),
            (
                BIGQUERY,
                "select '''it's; \\'''; ''', \"\", '' # ;\n;",
                "select '''it's; \\'''; ''', \"\", '' # ;\n",
            ),
        ] {
            assert_eq!(dialect.single(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (dialect, text, code) in [
            (POSTGRES, "", "source_query_empty"),
            (POSTGRES, " -- nothing\n/* here */ ;", "source_query_empty"),
            (POSTGRES, "select 1; select 2", "source_several_statements"),
            (POSTGRES, "select 1) to stdout; drop table x; copy (select 1", "source_several_statements"),
            (POSTGRES, "select 'a\\'; select 2", "source_several_statements"),
            (POSTGRES, "select $1; select $2", "source_several_statements"),
            (SQLITE, "select 1 /* /* */; delete from x /* */ */", "source_several_statements"),
            (MYSQL, "select 'a\\\\'; delete from t", "source_several_statements"),
            (SQLITE, "select $$;$$", "source_several_statements"),
            (POSTGRES, "select '\0'", "source_nul_character"),
        ] {
            assert_eq!(dialect.single(text).unwrap_err().code(), code, "{text}");
        }
        let error = POSTGRES.single("select 1;\n\nselect 2").unwrap_err();
        assert!(error.message().contains("line 3"), "{error}");
    }

    #[test]
    fn tables_are_quoted() {
        let table = |name: &str, columns: Option<&[&str]>| {
            let columns = columns.map(|names| names.iter().map(ToString::to_string).collect());
            SQLITE.statement(&Query::Table { name: name.to_owned(), columns })
        };
        assert_eq!(
            table("public.Customers", Some(&["id", "odd \" name"])).unwrap(),
            "select `id`, `odd \" name` from `public`.`Customers`"
        );
        assert_eq!(table("t", None).unwrap(), "select * from `t`");
        let table_of_mysql =
            Query::Table { name: "shop.Kunde".to_owned(), columns: Some(vec!["a`b".to_owned()]) };
        assert_eq!(MYSQL.statement(&table_of_mysql).unwrap(), "select `a``b` from `shop`.`Kunde`");
        assert_eq!((MYSQL.quote("a\\`"), BIGQUERY.quote("a\\`")), ("`a\\```".into(), "`a\\\\\\``".into()));
        for name in ["", "a..b", ".a", "a.b.c", " a", "a.`b`", "a\0"] {
            assert_eq!(table(name, None).unwrap_err().code(), "source_table_name_invalid", "{name}");
        }
        assert_eq!(table("t", Some(&["\0"])).unwrap_err().code(), "source_nul_character");
    }

    #[test]
    fn subqueries_keep_to_the_rules_of_sql_server() {
        let strict = Dialect { has_strict_subqueries: true, ..SQLITE };
        let around =
            |dialect: Dialect, sql: &str| dialect.around(sql, |model| format!("select id from {model}"));
        for (sql, expected) in [
            ("select * from t", "select id from (\nselect * from t\n) larder_model"),
            (
                "select * from t order by id -- done",
                "select id from (\nselect * from t order by id -- done\noffset 0 rows\n) larder_model",
            ),
            (
                "select * from t for system_time all order by id",
                "select id from (\nselect * from t for system_time all order by id\noffset 0 rows\n) larder_model",
            ),
            (
                "With a as (select 1 as id order by 1 offset 0 rows), b(id) as (select * from a) /* ; */ Select * from b",
                "With a as (select 1 as id order by 1 offset 0 rows), b(id) as (select * from a) /* ; */ , larder_model as (\n\
                 Select * from b\n)\nselect id from larder_model",
            ),
            (
                "with a as (select 1 as id) select * from a Order By id",
                "with a as (select 1 as id) , larder_model as (\nselect * from a Order By id\noffset 0 rows\n)\n\
                 select id from larder_model",
            ),
        ] {
            assert_eq!(around(strict, sql), expected, "{sql}");
        }
        for sql in [
            "select top 5 * from t order by id",
            "select * from t order by id offset 5 rows",
            "select id, row_number() over (order by id) as n from t",
            "select [order by] from t where a = 'order by'",
            "select * from t order by id for json path",
        ] {
            assert_eq!(around(strict, sql), format!("select id from (\n{sql}\n) larder_model"));
        }
        let sql = "with a as (select 1) select * from a order by 1";
        assert_eq!(around(POSTGRES, sql), format!("select id from (\n{sql}\n) larder_model"));
    }

    #[test]
    fn increments_are_read_from_the_cursor_on() {
        let increment = |dialect: Dialect, sql: &str, column: Option<&str>, from: &str| {
            let query = Query::Sql(sql.to_owned());
            let (columns, column) = (vec!["id".to_owned(), "a\"b".to_owned()], column.map(str::to_owned));
            let from = CursorValue::parse(from).unwrap();
            let is_text = column.as_deref() == Some("written");
            let increment = Increment { query, columns, column, is_text, from };
            dialect.statement(&Query::Increment(Box::new(increment)))
        };
        assert_eq!(
            increment(POSTGRES, "select * from t -- all;", Some("at"), "2026-01-01T00:00:00Z").unwrap(),
            "select \"id\", \"a\"\"b\" from (\nselect * from t -- all;\n) larder_model where \"at\" >= '2026-01-01T00:00:00Z'"
        );
        assert_eq!(
            increment(SQLITE, "select * from log where n > {{cursor}} and {{ cursor }} > 0", None, "7")
                .unwrap(),
            "select `id`, `a\"b` from (\nselect * from log where n > 7 and 7 > 0\n) larder_model"
        );
        let typed = Dialect { times: Times::Parsed, ..POSTGRES };
        let written = increment(typed, "select 1", Some("written"), "2026-01-01T00:00:00Z").unwrap();
        assert!(written.ends_with("where \"written\" >= '2026-01-01T00:00:00Z'"), "{written}");
        for (times, from, expected) in [
            (Times::Text, "2026-01-01 00:00:00", "'2026-01-01 00:00:00'"),
            (Times::WithoutZone, "2026-01-01T00:00:00Z", "'2026-01-01 00:00:00'"),
            (Times::WithoutZone, "2026-01-01", "'2026-01-01'"),
            (Times::Typed, "2026-01-01T00:00:00", "timestamp '2026-01-01 00:00:00'"),
            (Times::Typed, "2026-01-01T00:00:00Z", "timestamp '2026-01-01 00:00:00 +00:00'"),
            (Times::Typed, "2026-01-01", "date '2026-01-01'"),
            (
                Times::Parsed,
                "2026-01-01T00:00:00Z",
                "parseDateTime64BestEffort('2026-01-01T00:00:00Z', 9, 'UTC')",
            ),
            (Times::Iso, "2026-01-01T00:00:00Z", "cast('2026-01-01T00:00:00Z' as datetimeoffset)"),
            (Times::Iso, "2026-01-01 00:00:00.000", "'2026-01-01T00:00:00'"),
            (Times::Iso, "2026-01-01", "'2026-01-01'"),
            (Times::Iso, "42", "42"),
            (Times::Parsed, "18446744073709551615", "18446744073709551615"),
            (Times::Parsed, "18446744073709551616", "'18446744073709551616'"),
            (Times::Parsed, "-9223372036854775809", "'-9223372036854775809'"),
            (Times::Text, "18446744073709551616", "18446744073709551616"),
            (Times::TypedWithoutZone, "2026-01-01T00:00:00", "timestamp_ntz '2026-01-01 00:00:00'"),
            (Times::TypedWithoutZone, "2026-01-01T00:00:00Z", "timestamp '2026-01-01 00:00:00 +00:00'"),
            (Times::TypedWithoutZone, "2026-01-01", "date '2026-01-01'"),
            (
                Times::OracleDate,
                "2026-01-01T00:00:00.000000",
                "to_date('2026-01-01 00:00:00', 'YYYY-MM-DD HH24:MI:SS')",
            ),
            (Times::OracleDate, "2026-01-01T00:00:00Z", "timestamp '2026-01-01 00:00:00 +00:00'"),
        ] {
            assert_eq!(times.literal(&CursorValue::parse(from).unwrap()), expected);
        }
        assert_eq!(cursor_places("a {{ cursor }} {{x}}"), Err("{{x}}".to_owned()));
        assert_eq!(cursor_places("a {{ cursor"), Err("{{ cursor".to_owned()));
    }

    #[test]
    fn the_values_of_a_key_are_counted_in_one_statement() {
        let counting = |dialect: Dialect| {
            let (query, column) = (Query::Sql("select 1 as k -- ;".to_owned()), "a\"b".to_owned());
            dialect.statement(&Query::KeyCounts(Box::new(KeyQuery { query, column }))).unwrap()
        };
        let plain = counting(POSTGRES);
        let inner = "(select \"a\"\"b\" as key_value from (\nselect 1 as k -- ;\n) larder_model) larder_keys";
        assert!(plain.contains(inner) && plain.ends_with("group by key_value) larder_counts"), "{plain}");
        let cast = counting(Dialect { key_type: Some("binary"), ..POSTGRES });
        assert!(cast.contains("(select cast(\"a\"\"b\" as binary) as key_value"), "{cast}");
    }
}
