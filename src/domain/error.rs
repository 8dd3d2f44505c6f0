//! The closed set of error kinds: what a caller may do about an error.

/// What an error means to whoever meets it; drives retry, log level, metric label and exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Input or configuration is wrong; trying again without a change is useless.
    Invalid,
    /// No valid credential.
    Unauthenticated,
    /// A valid credential without the right.
    Forbidden,
    /// It does not exist.
    NotFound,
    /// Somebody else was first.
    Conflict,
    /// Something outside does not answer; trying again later may help.
    Unavailable,
    /// Bytes that are not what they should be.
    Corrupt,
    /// A bug, or a machine that fails (disk full).
    Internal,
}

impl ErrorKind {
    /// The word used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}
