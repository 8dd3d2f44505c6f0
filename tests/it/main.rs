//! Whole-program tests.

mod metadata;
