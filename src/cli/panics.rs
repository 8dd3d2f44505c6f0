//! Reports the place of a panic. Its message may quote a record or a key, and is never printed.

use std::panic::{self, PanicHookInfo};

use super::output::complain;

/// Reports the place of every panic of this process and nothing else: in the log once logging is set up, on
/// stderr before.
pub(super) fn install() {
    panic::set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(
        || "an unknown place".to_owned(),
        |place| format!("{}:{}:{}", place.file(), place.line(), place.column()),
    );
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::dispatcher::has_been_set() {
        tracing::error!(place, thread, "a bug in larder: something panicked; please report the place");
    } else {
        complain(&format!("a bug in larder: thread {thread} panicked at {place}; please report the place"));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::telemetry::{self, LogFormat, Settings};

    /// Says to [`panics_in_a_process_of_its_own`] that it is that process, and how it logs.
    const VARIABLE: &str = "LARDER_TEST_PANIC";
    const SECRET: &str = "jane@example.com";

    /// The hook is the process's own: the test starts itself again as another process.
    #[test]
    fn panics_in_a_process_of_its_own() {
        let Ok(log) = std::env::var(VARIABLE) else { return };
        install();
        if log == "json" {
            let settings = Settings { format: LogFormat::Json, filter: "info".to_owned() };
            telemetry::init(&settings).unwrap();
        }
        let ended = std::thread::Builder::new().name("worker".to_owned()).spawn(|| panic!("{SECRET} is bad"));
        assert!(ended.unwrap().join().is_err());
    }

    #[test]
    fn a_panic_tells_its_place_and_never_its_message() {
        for log in ["none", "json"] {
            let this = std::env::current_exe().unwrap();
            let mut command = Command::new(this);
            command.args(["--exact", "--nocapture", "cli::panics::tests::panics_in_a_process_of_its_own"]);
            let output = command.env(VARIABLE, log).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!text.contains(SECRET), "{text}");
            let place = format!("{}:", file!());
            let reported = text.lines().filter(|line| line.contains(&place)).collect::<Vec<_>>();
            assert_eq!(reported.len(), 1, "{text}");
            assert!(reported[0].contains("a bug in larder") && reported[0].contains("worker"), "{text}");
            assert_eq!(reported[0].starts_with('{'), log == "json", "{text}");
        }
    }
}
