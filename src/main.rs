//! The door of the binary.
fn main() {}
