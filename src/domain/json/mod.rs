//! JSON text: writing strings, and checking and compacting values that a source hands over.

mod compact;
mod escape;
mod members;
mod number;
mod squeeze;

pub use compact::{Compactor, compact};
pub use escape::{read_string, write_string};
pub use number::{number, write_decimal};
pub use squeeze::squeeze;
