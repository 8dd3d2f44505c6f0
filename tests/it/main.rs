//! Whole-program tests.

// `cfg(test)` tells the linter that helpers are test code too.
#[cfg(test)]
mod publication;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod support;
