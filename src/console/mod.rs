//! The pages of the web console: what the use cases give, as HTML. `api/console` answers requests with them.
//!
//! Pages need no JavaScript. `maud` escapes every text, and the `Content-Security-Policy` of [`layout`] lets no script
//! of a text run.

mod admin_keys;
pub mod assets;
mod audit;
mod form;
mod key_forms;
mod keys;
mod layout;
mod nodes;
mod overview;
mod sessions;
mod sign_in;
mod state;
mod table;
mod words;

pub use admin_keys::{ADMIN_KEYS, AdminKeysPage, NewAdminKeyPage, revoke_admin_key_path};
pub use audit::AuditPage;
pub use form::{Faults, Fields, Form, REQUEST};
pub use key_forms::{NewKeyPage, RevokePage, RotateKeyPage, SecretPage};
pub use keys::{KEYS, KeyPage, KeysPage, key_path};
pub use layout::{CONTENT_SECURITY_POLICY, Visitor, refusal, reload};
pub use nodes::{NODES, NodePage, NodesPage, node_path};
pub use overview::{COLLECTIONS_MAX, Overview};
pub use sessions::{SESSIONS, SessionsPage};
pub use sign_in::SignInPage;

/// The path of the first page.
pub const HOME: &str = "/console";
/// Where the form of every page ends the session.
pub const SIGN_OUT_PATH: &str = "/console/sign-out";
/// The path of the audit log.
pub const AUDIT: &str = "/console/audit";
