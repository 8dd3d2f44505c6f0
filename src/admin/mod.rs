//! Every use case. Commands and listeners call this module only, never the parts below it.
//!
//! [`Registry`] has the configured syncs, [`Admin`] what needs the metadata database alone, [`Overview`] what
//! reads the object store, and [`Publisher`] what announces. A use case that changes something takes the
//! [`Principal`] who requests it.

mod access;
mod admin_keys;
mod approve;
mod audit;
mod configured;
mod drop;
mod error;
mod events;
pub mod fleet;
mod housekeeping;
mod key_check;
mod keys;
mod messages;
mod once;
mod operations;
mod overview;
mod pin;
mod publisher;
mod records;
mod registry;
mod repair;
mod resume;
mod rollback;
mod runs;
mod samples;
mod schedule;
mod segment;
mod sources;
mod status;
mod stored;
mod sync;
mod takeover;
mod token;
mod versions;

pub use access::{
    Access, AccessRefusal, BegunSignIn, Grant, LoginLink, ProviderAnswer, SIGN_IN_PATH, SINGLE_SIGN_ON_PATH,
    SessionView, SignIn, SignInError, SingleSignOn, login_path,
};
pub use admin_keys::{AdminKeyView, FIRST_KEY_FILE, NewAdminKey, provide_local_admin_key};
pub use approve::{Approved, REMOVALS_LISTED_MAX};
pub use configured::{Configuration, Configured, ConfiguredModel, EntryView, ManagedBy};
pub use drop::Dropped;
pub use error::{Error, is_of_run};
pub use events::{Event, EventFeed, WATCHERS_MAX, Watcher};
pub use housekeeping::{Housekeeper, HousekeepingRound};
pub use key_check::KeyCheck;
pub use keys::{
    KeyChange, KeyState, KeyView, NewKey, announced_later, check_key_name, check_overlap, expiry, id_in_key,
};
pub use messages::{
    ContentCall, ContentOutcome, MESSAGE_CALLS_MAX, MessageToRender, ReadApi, RenderedMessage,
};
pub use once::RequestKey;
pub use operations::{
    OperationError, OperationKind, OperationResult, OperationView, Operations, RequestedRun,
};
pub use overview::{KeyUses, Overview};
pub use pin::{Pinned, Unpinned};
pub use publisher::{Publisher, resolve_authority};
pub use records::{RecordView, Records};
pub use registry::{CheckedSync, Registry};
pub use repair::{CatalogRepair, LocalCopies, VersionRepair, repair_catalog};
pub use rollback::RolledBack;
pub use runs::RunsFilter;
pub use samples::{MappedRow, SAMPLE_ROWS, Sample, Samples};
pub use schedule::ScheduleView;
pub use segment::{SegmentFileError, read_segment};
pub use sources::{ModelCheck, SourceCheck, Sources, drivers, work_for_source};
pub use status::{CollectionStatus, Status};
pub use stored::{
    Adopted, ConfigurationFile, DeletedEntry, Draft, EntryChange, Expected, Exported, ExportedVariable,
    Import, ImportOptions, Imported, ImportedEntry, Layered, NewStored, OpenEntry, RotatedSecrets, SECRET,
    StoredChanged, StoredState, StoredView, open_entries, secret,
};
pub use sync::{SyncOutcome, SyncRequest};
pub use takeover::TakenOver;
pub use token::{Binding, NewToken, mint_token};
pub use versions::{ServableVersion, VERSIONS_LISTED_MAX};

pub use crate::{
    auth::{AdminKey, ApiKey, oidc::CALLBACK_PATH},
    cache::IndexValue,
    domain::{AdminRole, Principal, catalog::Pause},
    engine::{HeldRemovals, Progress, RunOutcome, Trigger},
    mapping::FIELD_KEYS,
    metadata::{AUDIT_LISTED_MAX, AuditEntry, RUNS_LISTED_MAX},
    settings::Fault,
    source::{QUESTIONS, Query, Question, about, questions, type_names},
};
use crate::{metadata::Metadata, support::clock::Clock};

/// Attempts to make a change before it fails as contended. Each failed attempt means that another change came first.
const ATTEMPTS_MAX: usize = 5;

/// Names for people.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The use cases that need the metadata database alone. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    registry: Registry,
    metadata: Metadata,
    clock: Clock,
}

impl Admin {
    /// Puts the parts together.
    pub fn new(registry: Registry, metadata: Metadata, clock: Clock) -> Self {
        Self { registry, metadata, clock }
    }
}
