//! JSON text: writing strings, and checking and compacting values that a source hands over.

mod compact;
mod escape;
mod members;
mod number;
mod scan;
mod squeeze;

pub use compact::{Compactor, compact};
pub use escape::{read_string, write_string};
pub use number::{NUMBER_DIGITS_MAX, number, write_decimal};
pub use scan::{depth, elements, members, unescaped};
pub use squeeze::squeeze;
