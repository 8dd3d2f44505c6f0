//! Error kinds, a closed set, and the table of codes that every error type has.

/// What an error means to its caller. Decides retry, log level, metric label, exit code, and the HTTP status of an admin answer.
#[derive(
    utoipa::ToSchema,
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ErrorKind {
    /// Input or configuration is wrong. A retry without a change is useless.
    Invalid,
    /// No valid credential.
    Unauthenticated,
    /// A valid credential without the permission.
    Forbidden,
    /// It does not exist.
    NotFound,
    /// Another change came first, or the state does not allow the operation.
    Conflict,
    /// A dependency does not answer. A later retry may help.
    Unavailable,
    /// Data is damaged: a wrong checksum, format or content.
    Corrupt,
    /// A bug, or a failing machine (full disk).
    Internal,
}

impl ErrorKind {
    /// The word used in metrics and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Gives an error enum its codes: `"code" Kind: Variant | Variant,` one line a code, and
/// `from: Variant | Variant,` for variants that hold another such error, and `source: Variant,` for those
/// that have it in a field of that name.
///
/// A code is stable: it appears in logs, metrics, run records and answers, and has a section in
/// `docs/errors.md`.
macro_rules! codes {
    ($error:ident {
        $($code:literal $kind:ident: $($variant:ident)|+,)*
        $(from: $($inner:ident)|+,)?
        $(source: $($outer:ident)|+,)?
    }) => {
        impl $error {
            /// The codes of this type's own variants.
            pub const CODES: &[&str] = &[$($code),*];

            /// The stable code, a section of `docs/errors.md`.
            pub fn code(&self) -> &'static str {
                match self {
                    $($(Self::$variant { .. })|+ => $code,)*
                    $($(Self::$inner(error) => error.code(),)+)?
                    $($(Self::$outer { source, .. } => source.code(),)+)?
                }
            }

            /// The kind: what a caller may do about it.
            pub fn kind(&self) -> $crate::domain::error::ErrorKind {
                match self {
                    $($(Self::$variant { .. })|+ => $crate::domain::error::ErrorKind::$kind,)*
                    $($(Self::$inner(error) => error.kind(),)+)?
                    $($(Self::$outer { source, .. } => source.kind(),)+)?
                }
            }
        }
    };
}
pub(crate) use codes;
