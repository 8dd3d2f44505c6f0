//! Small things every floor may use: clock, randomness, backoff, secrets, shutdown.

pub mod backoff;
pub mod clock;
pub mod random;
pub mod secret;
pub mod shutdown;
