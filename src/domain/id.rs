//! Identifiers. Each text form has a prefix with its kind, so that one is never mistaken for another.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Text that is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what} id")]
pub struct InvalidId {
    /// The kind that was expected.
    pub what: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $type:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[schema(value_type = String)]
        pub struct $type(Uuid);

        impl $type {
            /// The id with this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.simple())
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .filter(|rest| rest.len() == 32)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or(InvalidId { what: $what })
            }
        }

        serde_by_text!($type);
    };
}

uuid_id!(
    /// One execution of a sync; also of a merge of change segments. Rises with time (UUID v7).
    RunId,
    "run_",
    "run"
);
uuid_id!(
    /// A requested operation that may take long, on the node that works on it.
    OperationId,
    "op_",
    "operation"
);
uuid_id!(
    /// Random, fixed by the first catalog document; ties a store and a metadata database together.
    DeploymentId,
    "dep_",
    "deployment"
);
uuid_id!(
    /// 128 random bits of one metadata database, made by its migration: which database may publish to a catalog.
    MetadataId,
    "meta_",
    "metadata"
);
uuid_id!(
    /// 128 random bits of one node, made once and kept in its `data_dir`.
    NodeId,
    "node_",
    "node"
);
uuid_id!(
    /// 128 random bits of one announcement: how an announcer recognises its own document.
    AnnouncementId,
    "ann_",
    "announcement"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_kind() {
        let run = RunId::from_uuid(Uuid::from_u128(7));
        assert_eq!(run.to_string(), "run_00000000000000000000000000000007");
        assert_eq!(run.to_string().parse(), Ok(run));
        assert!(run.to_string().parse::<DeploymentId>().is_err());
        assert!("run_7".parse::<RunId>().is_err());
    }
}
