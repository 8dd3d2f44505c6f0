//! Settings of logging.

use crate::settings::{Declaration, Section};

/// The format of log lines and the filter that selects them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// A level (`info`) or a filter (`info,larder::replica=debug`).
    pub filter: String,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// The section of these settings.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("log");

    /// Reads `[log]`.
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let format = section
            .set("format")
            .and_then(|item| item.one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
        let filter = section.set("filter").and_then(|item| {
            item.parsed("a log filter", |text| match tracing_subscriber::EnvFilter::builder().parse(text) {
                Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
                _ => {
                    Err("write a level, \"info\", or levels by module, \"info,larder::replica=debug\""
                        .to_owned())
                }
            })
        });
        Some(Self { format: format?, filter: filter? })
    }
}
