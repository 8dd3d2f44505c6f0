//! Whole-program tests.

mod metadata;
mod support;
