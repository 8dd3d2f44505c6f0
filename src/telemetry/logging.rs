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
use crate::domain::codes;

/// Libraries that handle requests or rows. They log at most warnings, regardless of the filter: at `debug` and
/// `trace` some of them print headers or statements.
const QUIET: [&str; 6] = ["h2", "hyper", "axum", "tower", "sqlx", "rustls"];

/// The object store's client. At `info` it logs every retry, which would fill the log while a store is down; the
/// outcome is logged anyway. It logs at most warnings, unless the filter names it.
const STORE_CLIENT: &str = "object_store";

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is invalid.
    #[error("the log filter is not valid: {0}; write a level such as `info`, or `info,larder=debug`")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Logging was already set up in this process. The first settings stay.
    #[error("logging was set up before in this process")]
    AlreadySet,
}

codes! {
    Error {
        "log_filter_invalid" Invalid: Filter,
        "log_already_set" Conflict: AlreadySet,
    }
}

/// Makes this process log to stderr. Logging is the only global state of a node. A second call in the same process
/// changes nothing and returns [`Error::AlreadySet`].
pub fn init(settings: &Settings) -> Result<(), Error> {
    let colours = std::io::stderr().is_terminal();
    subscriber(settings, std::io::stderr, colours)?.try_init().map_err(|_| Error::AlreadySet)
}

/// Makes a command print this program's own warnings to stderr, one per line. Changes nothing in a process that
/// logs.
pub fn show_warnings() {
    let is_own = |metadata: &Metadata<'_>| {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("larder")
    };
    let own = FilterFn::new(is_own).with_max_level_hint(LevelFilter::WARN);
    let colours = std::io::stderr().is_terminal();
    let lines =
        fmt::layer().with_writer(std::io::stderr).with_ansi(colours).without_time().with_target(false);
    // In a process that logs, the warnings are in its log.
    let _ = tracing_subscriber::registry().with(lines.with_filter(own)).try_init();
}

/// The subscriber that [`init`] installs, writing to `writer`.
pub fn subscriber<W>(
    settings: &Settings,
    writer: W,
    colours: bool,
) -> Result<impl Subscriber + Send + Sync + use<W>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let asked = EnvFilter::builder().parse(&settings.filter).map_err(Error::Filter)?;
    // The hint keeps the cheap global level check. Without it every event is filtered.
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
    // Also matches crates of the same family, such as `hyper_util` and `sqlx_core`.
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
        let subscriber = subscriber(&settings, move || writer.clone(), false).unwrap();
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
    fn lines_have_configured_format_and_level() {
        let text = logged(LogFormat::Text, "info");
        assert!(text.contains("announced collection=\"customer\"") && !text.contains("details"), "{text}");
        let json = logged(LogFormat::Json, "info");
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "announced");
        assert_eq!(first["collection"], "customer");
    }

    #[test]
    fn libraries_that_handle_requests_never_log_below_warn() {
        let text = logged(LogFormat::Text, "trace,h2::codec=trace,sqlx::query=trace");
        assert!(text.contains("details") && text.contains("a warning"), "{text}");
        assert!(!text.contains("a header") && !text.contains("a statement"), "{text}");
    }

    #[test]
    fn retries_of_store_client_are_logged_only_when_filter_names_it() {
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
    fn invalid_filter_and_second_init_are_errors() {
        let settings = Settings { format: LogFormat::Text, filter: "larder=loud".to_owned() };
        assert_eq!(init(&settings).unwrap_err().code(), "log_filter_invalid");
        let settings = Settings { filter: "off".to_owned(), ..settings };
        let _ = init(&settings);
        assert_eq!(init(&settings).unwrap_err().code(), "log_already_set");
    }
}
