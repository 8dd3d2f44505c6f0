//! Text that must not be printed: passwords, connection URLs.

pub use secrecy::{ExposeSecret, SecretString};
