//! JSON text: writes strings, and checks and compacts the values of a source.

mod compact;
mod escape;
mod float;
mod members;
mod number;
mod scan;
mod squeeze;

pub use compact::{Compactor, compact};
pub use escape::{read_string, write_string};
pub use float::{double, single};
pub use number::{NUMBER_DIGITS_MAX, number, write_decimal};
pub use scan::{depth, elements, members, unescaped};
pub use squeeze::squeeze;
