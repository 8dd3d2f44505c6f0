//! Fuzz targets: one function for each entry point of bytes from outside.
//!
//! Compiled for tests and fuzzers only (`--cfg fuzzing`, which cargo-fuzz, AFL and `scripts/fuzz.sh` set), so
//! that no module has to expose internals. A target's function is in a `fuzz.rs` beside the code under test:
//! it panics when an invariant is broken, and returns whether the bytes were accepted. It runs in two ways
//! over the same inputs, `tests/corpora/{corpus}/`:
//!
//! - `cargo test fuzzing` runs every input and a fixed number of seeded mutations of it;
//! - `scripts/fuzz.sh TARGET SECONDS` lets libFuzzer search for new inputs, guided by coverage.
//!
//! An input in a file `accepted-…` must be accepted, one in `refused-…` refused.
//!
//! A new target is a function, one line in the table below, and a directory with at least one input.

#[cfg(test)]
mod mutate;
#[cfg(test)]
mod replay;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name for `scripts/fuzz.sh`.
    pub name: &'static str,
    /// The directory of its inputs below `tests/corpora`; two targets may share one.
    pub corpus: &'static str,
    /// Takes any bytes, panics when an invariant is broken, and returns whether they were accepted.
    pub run: fn(&[u8]) -> bool,
}

/// `NAME, CORPUS, MUTATIONS: FUNCTION;` adds an entry to [`TARGETS`] and a test that replays CORPUS with
/// MUTATIONS of each input: as many as keep an unoptimised test below a second.
macro_rules! targets {
    ($($name:ident, $corpus:literal, $mutations:literal: $run:path;)*) => {
        /// Every target.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), corpus: $corpus, run: $run }),*];

        #[cfg(test)]
        mod tests {
            $(
                #[test]
                fn $name() {
                    super::replay::replay(stringify!($name), $corpus, $mutations, $run);
                }
            )*
        }
    };
}

targets! {
    record_path, "record_path", 80: crate::api::fuzz::record_path;
    query, "query", 1000: crate::api::fuzz::query;
    post_body, "post_body", 1000: crate::api::fuzz::body;
    credential, "credential", 1000: crate::auth::fuzz::credential;
    token, "token", 500: crate::auth::tokens::fuzz::token;
    segment, "segment", 300: crate::segment::fuzz::segment;
    collection, "segment", 200: crate::cache::fuzz::collection;
    catalog_document, "catalog_document", 500: crate::catalog::fuzz::document;
    catalog_head, "catalog_head", 1000: crate::catalog::fuzz::head;
    manifest, "manifest", 500: crate::catalog::fuzz::manifest;
    key_set, "key_set", 1000: crate::catalog::fuzz::key_set;
    node_status, "node_status", 500: crate::catalog::fuzz::status;
    template, "template", 500: crate::liquid::fuzz::template;
    node_state, "node_state", 500: crate::replica::fuzz::state;
}
