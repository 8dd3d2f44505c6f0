//! What logging is told.

/// How log lines look and which are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// A level (`info`) or a filter (`info,larder::replica=debug`).
    pub filter: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
