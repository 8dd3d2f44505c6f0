//! JSON text: writing strings, and checking and compacting values that a source hands over.

mod escape;

pub use escape::write_string;
