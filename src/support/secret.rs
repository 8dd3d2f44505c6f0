//! Text that is never printed: passwords, connection URLs.

pub use secrecy::{ExposeSecret, SecretString};
