//! What the error codes of databases mean, and when the database's own words may be shown: one table a kind of
//! database, read by the sources and by the metadata database.

pub mod mysql;
pub mod sqlite;
pub mod sqlstate;

/// What an error means to whoever sent the statement, whatever database it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// What the message of a code can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// A query is parsed and planned: no row was read.
    Planning,
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
    /// Whether the message of an error of this code may be shown. The message of a function of the user may
    /// hold anything under any code; callers leave it out.
    pub fn shows_words(self, phase: Phase) -> bool {
        match phase {
            Phase::Login | Phase::Planning => true,
            Phase::OwnStatement => self.words != Words::Values,
            Phase::Reading => self.words == Words::Fixed,
        }
    }
}

/// Codes of one meaning, each as `code name`.
type Group = (Meaning, Words, &'static [&'static str]);

fn find(table: &[Group], code: &str) -> Option<ResultCode> {
    table.iter().find_map(|&(meaning, words, codes)| {
        let mut pairs = codes.iter().filter_map(|pair| pair.split_once(' '));
        pairs.find(|(found, _)| *found == code).map(|(_, name)| ResultCode { name, meaning, words })
    })
}
