//! Log lines on stderr, as text or JSON.

use std::io::IsTerminal;

use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, FilterFn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{LogFormat, Settings};
use crate::domain::error::ErrorKind;

/// Libraries that see requests or rows. Whatever the filter says, they log warnings at most: at
/// `debug` and below some of them print headers or statements.
const QUIET: [&str; 6] = ["h2", "hyper", "axum", "tower", "sqlx", "rustls"];

/// The object store's client. At `info` it logs every attempt that it makes again: a store that is down
/// would fill the log, which has the outcome anyway. It logs warnings at most, unless the filter names it.
const STORE_CLIENT: &str = "object_store";

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("the log filter is not valid: {source}; write a level such as `info`, or `info,larder=debug`")]
    Filter {
        /// What the parser found.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// This process logs already; the first setting stays.
    #[error("logging was set up before in this process")]
    AlreadySet,
}

impl Error {
    /// What the error means to whoever meets it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Filter { .. } => ErrorKind::Invalid,
            Self::AlreadySet => ErrorKind::Conflict,
        }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "log_filter_invalid",
            Self::AlreadySet => "log_already_set",
        }
    }
}

/// Makes this process log to stderr. The one global thing of a node: a second call in the same
/// process changes nothing and answers [`Error::AlreadySet`].
pub fn init(settings: &Settings) -> Result<(), Error> {
    let colours = std::io::stderr().is_terminal();
    build(settings, std::io::stderr, colours)?.try_init().map_err(|_| Error::AlreadySet)
}

/// Makes a command show this program's own warnings on stderr, a line each. Changes nothing in a process
/// that logs.
pub fn show_warnings() {
    let is_own = |metadata: &Metadata<'_>| {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("larder")
    };
    let own = FilterFn::new(is_own).with_max_level_hint(LevelFilter::WARN);
    let colours = std::io::stderr().is_terminal();
    let lines =
        fmt::layer().with_writer(std::io::stderr).with_ansi(colours).without_time().with_target(false);
    // In a process that logs they stand in its log.
    let _ = tracing_subscriber::registry().with(lines.with_filter(own)).try_init();
}

/// What [`init`] installs, writing to `writer` without colours.
pub fn subscriber<W>(settings: &Settings, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    build(settings, writer, false)
}

fn build<W>(
    settings: &Settings,
    writer: W,
    colours: bool,
) -> Result<impl Subscriber + Send + Sync + use<W>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let asked = EnvFilter::builder().parse(&settings.filter).map_err(|source| Error::Filter { source })?;
    // The hint keeps the cheap global level check: without it every event is looked at.
    let shows_store = settings.filter.contains(STORE_CLIENT);
    let is_fit =
        move |metadata: &Metadata<'_>| is_fit_to_log(metadata) && (shows_store || !is_retry(metadata));
    let quiet = FilterFn::new(is_fit).with_max_level_hint(LevelFilter::TRACE);
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(asked.and(quiet))))
}

fn is_fit_to_log(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    // `hyper_util` and `sqlx_core` are of the family.
    let family = library.split('_').next().unwrap_or_default();
    *metadata.level() <= tracing::Level::WARN || !QUIET.contains(&family)
}

fn is_retry(metadata: &Metadata<'_>) -> bool {
    *metadata.level() > tracing::Level::WARN && metadata.target().split("::").next() == Some(STORE_CLIENT)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = Settings { format, filter: filter.to_owned() };
        let subscriber = subscriber(&settings, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(collection = "customer", "announced");
            tracing::debug!("details");
            tracing::debug!(target: "h2::codec", "a header");
            tracing::trace!(target: "sqlx::query", "a statement");
            tracing::debug!(target: "sqlx_core::config", "a statement");
            tracing::warn!(target: "hyper", "a warning");
            tracing::info!(target: "object_store::client::retry", "another attempt");
            tracing::warn!(target: "object_store::aws", "a careless option");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_have_the_shape_and_the_level_that_was_asked_for() {
        let text = logged(LogFormat::Text, "info");
        assert!(text.contains("announced collection=\"customer\"") && !text.contains("details"), "{text}");
        let json = logged(LogFormat::Json, "info");
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "announced");
        assert_eq!(first["collection"], "customer");
    }

    #[test]
    fn libraries_that_see_requests_stay_quiet_whatever_the_filter_says() {
        let text = logged(LogFormat::Text, "trace,h2::codec=trace,sqlx::query=trace");
        assert!(text.contains("details") && text.contains("a warning"), "{text}");
        assert!(!text.contains("a header") && !text.contains("a statement"), "{text}");
    }

    #[test]
    fn attempts_of_the_store_s_client_are_logged_when_the_filter_names_it() {
        for (filter, attempts, warnings) in [
            ("info", false, true),
            ("trace", false, true),
            ("error", false, false),
            ("warn,object_store=info", true, true),
            ("info,object_store::client=debug", true, true),
        ] {
            let text = logged(LogFormat::Text, filter);
            assert_eq!(text.contains("another attempt"), attempts, "{filter}: {text}");
            assert_eq!(text.contains("a careless option"), warnings, "{filter}: {text}");
        }
    }

    #[test]
    fn a_wrong_filter_is_an_error_and_a_second_start_is_no_panic() {
        let settings = Settings { format: LogFormat::Text, filter: "larder=loud".to_owned() };
        assert_eq!(init(&settings).unwrap_err().code(), "log_filter_invalid");
        let settings = Settings { filter: "off".to_owned(), ..settings };
        let _ = init(&settings);
        assert_eq!(init(&settings).unwrap_err().code(), "log_already_set");
    }
}
