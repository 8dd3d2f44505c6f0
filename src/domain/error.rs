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

/// Gives an error enum its codes: `"code" Kind: Variant | Variant,` one line a code, and
/// `from: Variant | Variant,` for variants that hold another such error.
///
/// A code is stable: it appears in logs, metrics, run records and answers, and has a section in
/// `docs/errors.md`.
macro_rules! codes {
    ($error:ident {
        $($code:literal $kind:ident: $($variant:ident)|+,)*
        $(from: $($inner:ident)|+,)?
    }) => {
        impl $error {
            /// The codes of this type's own variants.
            pub const CODES: &[&str] = &[$($code),*];

            /// The stable code, a section of `docs/errors.md`.
            pub fn code(&self) -> &'static str {
                match self {
                    $($(Self::$variant { .. })|+ => $code,)*
                    $($(Self::$inner(error) => error.code(),)+)?
                }
            }

            /// What a caller may do about it.
            pub fn kind(&self) -> $crate::domain::error::ErrorKind {
                match self {
                    $($(Self::$variant { .. })|+ => $crate::domain::error::ErrorKind::$kind,)*
                    $($(Self::$inner(error) => error.kind(),)+)?
                }
            }
        }
    };
}
pub(crate) use codes;
