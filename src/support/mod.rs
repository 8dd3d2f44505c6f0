//! Small parts that every layer may use: clock, randomness, backoff, blocking work, result codes of databases,
//! secrets, shutdown, file locks, connections to servers.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub mod allocator;
pub mod background;
pub mod backoff;
pub mod blocking;
pub mod clock;
pub(crate) mod connection_words;
pub mod file_lock;
pub mod private_file;
pub(crate) mod protocol;
pub mod random;
pub(crate) mod relay;
pub mod result_code;
pub mod secret;
pub mod shutdown;
pub(crate) mod tcp;
