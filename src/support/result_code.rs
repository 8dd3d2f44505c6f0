//! What the error codes of databases mean, and when the database's own words may be shown: one table a kind of
//! database, read by the sources and by the metadata database.

use std::{collections::HashMap, sync::LazyLock};

use strum::EnumString;

/// The codes of one kind of database.
type Table = LazyLock<HashMap<&'static str, ResultCode>>;

static SQLSTATES: Table = LazyLock::new(|| read(include_str!("result_code/sqlstate.txt")));
static SQLITE: Table = LazyLock::new(|| read(include_str!("result_code/sqlite.txt")));
static MYSQL: Table = LazyLock::new(|| read(include_str!("result_code/mysql.txt")));

/// What an error means to the sender of the statement, for every kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString)]
pub enum Meaning {
    /// The connection or session is over. A new one may work.
    ConnectionLost,
    /// The server, or the machine, cannot work now: starting, out of connections, memory or disk.
    Unavailable,
    /// The server, or a pooler before it, ends the conversation. `PgBouncer` gives most of its refusals this code.
    PoolerRefused,
    /// A limit of the session, set at the server, ended it.
    SessionTimeout,
    /// Another session, or recovery on a standby, was in the way. The same statement may work again.
    Conflict,
    /// Another session holds a lock.
    Locked,
    /// The statement was cancelled: by its timeout, or by somebody.
    Cancelled,
    /// The password is wrong.
    WrongPassword,
    /// The login is refused for another reason.
    LoginRefused,
    /// The database does not exist.
    UnknownDatabase,
    /// A table, view or schema does not exist.
    UnknownTable,
    /// A column does not exist.
    UnknownColumn,
    /// The statement does not parse.
    Syntax,
    /// A right is missing.
    PermissionDenied,
    /// A write where nothing can be written.
    ReadOnly,
    /// The statement asks for what the database does not do.
    Statement,
    /// A value did not fit, or a function failed: other data may pass.
    Data,
    /// A constraint is broken.
    Constraint,
    /// Stored data is damaged, or is no database.
    Damaged,
    /// The file, or one that belongs to it, cannot be opened.
    FileUnreadable,
    /// Reading or writing the file failed.
    FileFailed,
    /// A writer that ended early left a journal: the file must be opened once for writing.
    HotJournal,
    /// A bug, or a code that no table has.
    Other,
}

impl Meaning {
    /// The meaning of a code that comes in `phase`. Functions of a query can raise the codes of a login, too; then they
    /// say nothing about the source's user, password and database.
    #[must_use]
    pub fn within(self, phase: Phase) -> Self {
        let is_of_login = matches!(self, Self::WrongPassword | Self::LoginRefused | Self::UnknownDatabase);
        match phase {
            Phase::Planning | Phase::Describing | Phase::Reading if is_of_login => Self::Statement,
            _ => self,
        }
    }
}

/// What the message of a code can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
pub enum Words {
    /// A text of the database with at most sizes and names of the schema in it: never a value of a row.
    Fixed,
    /// A name that the statement gives. A query can make a name of a row's value (`value::regclass`).
    Names,
    /// Perhaps a value of a row.
    Values,
}

/// What was going on when an error came. Decides whether a row's value can be in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The login: no statement was sent.
    Login,
    /// A query is parsed and its names are looked up: nothing is evaluated.
    Planning,
    /// A query is planned, without a row of its own: functions that are said to be immutable run, and may read rows
    /// all the same.
    Describing,
    /// A statement of our own, which makes no name of a value.
    OwnStatement,
    /// A query of the user reads rows.
    Reading,
}

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultCode {
    /// The name that the database's manual has for it; empty for a code that it does not have.
    pub name: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// What its message can hold.
    pub words: Words,
}

impl ResultCode {
    /// A SQLSTATE. One that the table does not have, as a function or another server may use, means what its
    /// class means (SQL:2016, 24.1), and its message may hold anything.
    pub fn of_sqlstate(code: &str) -> Self {
        Self::find(&SQLSTATES, code, &format!("{}000", code.get(..2).unwrap_or_default()))
    }

    /// A result code of SQLite. An extended code that the table does not have means what its primary code, the
    /// lowest byte, means, and its message may hold anything.
    pub fn of_sqlite(code: &str) -> Self {
        let primary = code.parse::<i32>().map(|code| (code & 0xff).to_string());
        Self::find(&SQLITE, code, &primary.unwrap_or_default())
    }

    /// An error number of MySQL or MariaDB. One that the table does not have may mean anything.
    pub fn of_mysql(number: u16) -> Self {
        Self::find(&MYSQL, &number.to_string(), "")
    }

    fn find(table: &HashMap<&str, Self>, code: &str, class: &str) -> Self {
        table.get(code).copied().unwrap_or_else(|| {
            let meaning = table.get(class).map_or(Meaning::Other, |class| class.meaning);
            Self { name: "", meaning, words: Words::Values }
        })
    }

    /// Whether the message of an error of this code may be shown. The message of a function of the user may
    /// hold anything under any code; callers leave it out.
    pub fn shows_words(self, phase: Phase) -> bool {
        match phase {
            Phase::Login | Phase::Planning => true,
            Phase::OwnStatement | Phase::Describing => self.words != Words::Values,
            Phase::Reading => self.words == Words::Fixed,
        }
    }
}

/// The codes of a file: `[Meaning Words]` before a group of them, then `code name`.
fn read(file: &'static str) -> HashMap<&'static str, ResultCode> {
    let (mut meaning, mut words) = (Meaning::Other, Words::Values);
    let mut table = HashMap::new();
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').unwrap_or(line).split_once(' ') {
            None => {}
            Some((group, rest)) if line.starts_with('[') => {
                meaning = group.parse().expect("a meaning");
                words = rest.trim_end_matches(']').parse().expect("a kind of words");
            }
            Some((code, name)) => {
                let known = table.insert(code, ResultCode { name, meaning, words });
                debug_assert_eq!(known, None, "{code}");
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use Meaning::{Conflict, ConnectionLost, Damaged, FileFailed, FileUnreadable, HotJournal, Locked, Other};

    #[test]
    fn codes_of_a_login_say_nothing_about_it_within_a_query() {
        for code in ["28P01", "28000", "3D000"] {
            let meaning = ResultCode::of_sqlstate(code).meaning;
            assert_eq!(meaning.within(Phase::Login), meaning, "{code}");
            assert_eq!(meaning.within(Phase::Reading), Meaning::Statement, "{code}");
        }
        assert_eq!(Conflict.within(Phase::Reading), Conflict);
    }

    #[test]
    fn every_code_is_complete_and_stands_once() {
        for (table, count) in [(&SQLSTATES, 263), (&SQLITE, 113)] {
            assert_eq!(table.len(), count);
        }
        assert!(SQLSTATES.iter().all(|(code, found)| code.len() == 5 && !found.name.is_empty()));
        for (code, found) in SQLITE.iter() {
            let primary = SQLITE[(code.parse::<i32>().unwrap() & 0xff).to_string().as_str()];
            assert!(found.name.starts_with(primary.name), "{} is no {}", found.name, primary.name);
        }
    }

    /// The list that an installed server was made from. Tests need one anyway.
    #[test]
    fn no_code_of_an_installed_server_is_missing() {
        let versions = fs::read_dir("/usr/share/postgresql").into_iter().flatten().flatten();
        for list in versions.filter_map(|it| fs::read_to_string(it.path().join("errcodes.txt")).ok()) {
            let lines = list.lines().filter(|line| !line.starts_with('#') && !line.starts_with("Section"));
            for line in lines {
                let words: Vec<_> = line.split_whitespace().collect();
                if let [code, _, _, name] = words[..] {
                    // Names that PL/pgSQL has twice differ between the two.
                    assert!(!ResultCode::of_sqlstate(code).name.is_empty(), "{code} {name}");
                }
            }
        }
    }

    #[test]
    fn codes_that_no_table_has_mean_what_their_class_means_and_show_no_words() {
        for (code, meaning) in [
            ("08XYZ", ConnectionLost),
            ("53UUU", Meaning::Unavailable),
            ("42ZZZ", Meaning::Statement),
            ("40ABC", Conflict),
            ("U0001", Other),
            ("", Other),
            ("é", Other),
            ("4é", Other),
        ] {
            let found = ResultCode::of_sqlstate(code);
            assert_eq!(found, ResultCode { name: "", meaning, words: Words::Values }, "{code}");
        }
        for (code, meaning) in
            [("25605", Locked), ("25610", FileFailed), ("25611", Damaged), ("77", Other), ("", Other)]
        {
            let found = ResultCode::of_sqlite(code);
            assert_eq!(found, ResultCode { name: "", meaning, words: Words::Values }, "{code}");
        }
        assert_eq!(ResultCode::of_sqlite("1544").meaning, FileUnreadable);
        assert_eq!(ResultCode::of_sqlite("776").meaning, HotJournal);
    }

    #[test]
    fn words_are_shown_where_no_value_can_be_in_them() {
        use Phase::{Describing, Login, OwnStatement, Planning, Reading};
        for (code, shown) in [
            ("40001", &[Login, Planning, Describing, OwnStatement, Reading][..]),
            ("57014", &[Login, Planning, Describing, OwnStatement, Reading]),
            // `value::regclass`, `to_tsquery(value)` and `date_trunc(value, ...)` name what a row holds.
            ("42P01", &[Login, Planning, Describing, OwnStatement]),
            ("42601", &[Login, Planning, Describing, OwnStatement]),
            ("0A000", &[Login, Planning, Describing, OwnStatement]),
            ("3D000", &[Login, Planning, Describing, OwnStatement]),
            // `currval(value)`, `pg_read_file(value)`, `set_config(value, ...)` and slots do so, too.
            ("55000", &[Login, Planning, Describing, OwnStatement]),
            ("55006", &[Login, Planning, Describing, OwnStatement]),
            ("55P02", &[Login, Planning, Describing, OwnStatement]),
            ("24000", &[Login, Planning, Describing, OwnStatement]),
            ("58030", &[Login, Planning, Describing, OwnStatement]),
            ("58000", &[Login, Planning, Describing, OwnStatement]),
            ("53000", &[Login, Planning, Describing, OwnStatement]),
            ("53100", &[Login, Planning, Describing, OwnStatement]),
            ("53200", &[Login, Planning, Describing, OwnStatement]),
            ("55P04", &[Login, Planning]),
            ("22P02", &[Login, Planning]),
            // `get_bit(text, value)`.
            ("2202E", &[Login, Planning]),
            ("P0001", &[Login, Planning]),
            ("08XYZ", &[Login, Planning]),
        ] {
            let code = ResultCode::of_sqlstate(code);
            let phases = [Login, Planning, Describing, OwnStatement, Reading];
            let found: Vec<_> = phases.into_iter().filter(|phase| code.shows_words(*phase)).collect();
            assert_eq!(found, shown, "{code:?}");
        }
    }
}
