//! Where rows come from: one read-only query, streamed in one snapshot.

mod settings;

pub use settings::{Query, Settings, SourceKind};
