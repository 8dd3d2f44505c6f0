//! The pages of the web console: what the use cases give, as HTML. `api/console` answers requests with them.
//!
//! Pages need no JavaScript. `maud` escapes every text, and the `Content-Security-Policy` of `layout` lets no script
//! of a text run.

mod admin_keys;
pub mod assets;
mod audit;
mod collection;
mod deleted;
pub mod entry;
mod form;
mod key_forms;
mod keys;
mod layout;
mod nodes;
mod notice;
mod operation;
mod overview;
mod run;
mod sessions;
mod sign_in;
mod state;
mod sync;
mod table;
mod words;

use crate::domain::{CollectionName, RunId};

pub use admin_keys::{ADMIN_KEYS, AdminKeysPage, NewAdminKeyPage, revoke_admin_key_path};
pub use audit::AuditPage;
pub use collection::{CollectionPage, MESSAGE, MESSAGE_KEY, MESSAGE_VALUE, MessagePage, RecordPage, tag_of};
pub use deleted::{DELETED, DeletedPage, RESTORED_VERSION};
pub use form::{Faults, Fields, Form, REQUEST, STATE};
pub use key_forms::{NewKeyPage, RevokePage, RotateKeyPage, SecretPage};
pub use keys::{KEYS, KeyPage, KeysPage, key_path};
pub use layout::{CONTENT_SECURITY_POLICY, Visitor, form_without_session, refusal, reload};
pub use nodes::{NODES, NodePage, NodesPage, node_path};
pub use notice::{Done, Refusal};
pub use operation::OperationPage;
pub use overview::{COLLECTIONS_MAX, Overview};
pub use run::RunPage;
pub use sessions::{SESSIONS, SessionsPage};
pub use sign_in::{SignInPage, signed_in, signed_out};
pub use sync::{PreviewPage, SyncPage, SyncsPage};

/// The path of the first page.
pub const HOME: &str = "/console";
/// Where the form of every page ends the session.
pub const SIGN_OUT_PATH: &str = "/console/sign-out";
/// The path of the audit log.
pub const AUDIT: &str = "/console/audit";
/// The path of the pages of collections.
pub const COLLECTIONS: &str = "/console/collections";
/// The path of the list of syncs; behind it, those of one.
pub const SYNCS: &str = "/console/syncs";
/// The path of the pages of runs.
pub const RUNS: &str = "/console/runs";

/// The path of the pages of what was requested.
pub const OPERATIONS: &str = "/console/operations";

/// The page of a collection. Names need no escapes.
pub fn collection_path(name: &CollectionName) -> String {
    format!("{COLLECTIONS}/{name}")
}

/// The page of a sync.
pub fn sync_path(name: &CollectionName) -> String {
    format!("{SYNCS}/{name}")
}

/// The page of a run.
pub fn run_path(run: RunId) -> String {
    format!("{RUNS}/{run}")
}
