//! `larder serve`: runs a node until a signal ends it.

use tracing::{error, info, warn};

use super::{args::ConfigArguments, exit::Exit, output::Failure, session};
use crate::{
    app::{self, Server, Signals},
    support::clock::Clock,
    telemetry,
};

pub(super) async fn run(arguments: &ConfigArguments) -> Result<Exit, Failure> {
    let config = session::load(arguments)?;
    telemetry::init(&config.telemetry).map_err(anyhow::Error::new)?;
    app::provide_descriptors(config.server.connections_max);
    let signals = Signals::new();
    let server = Server::start(config, Clock::default()).await?;
    Ok(until_stopped(server, signals, arguments).await)
}

/// Serves until a signal, or until a task that the node needs has failed; reads the configuration again on
/// SIGHUP. A second signal ends at once.
pub(super) async fn until_stopped(server: Server, mut signals: Signals, arguments: &ConfigArguments) -> Exit {
    loop {
        tokio::select! {
            is_reload = signals.stop_or_reload() => {
                if !is_reload {
                    break;
                }
                reload(&server, arguments);
            }
            _ = server.failed() => break,
        }
    }
    info!("ending: requests in flight finish first; a second signal ends at once");
    tokio::select! {
        all_ran = server.stop() => if all_ran { Exit::Success } else { Exit::TaskFailed },
        () = signals.stop() => {
            warn!("ended at once by a second signal");
            Exit::Interrupted
        }
    }
}

/// Takes over the new configuration as a whole, or keeps the old one.
fn reload(server: &Server, arguments: &ConfigArguments) {
    match arguments.load() {
        Ok(config) => server.reload(&config),
        Err(faults) => error!(%faults, "the configuration is wrong; the old one stays in force"),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process::Command};

    use clap::Parser;

    use super::*;
    use crate::{
        app::{Supervision, TaskFault, TaskFaults},
        cli::{args::Arguments, panics},
    };

    /// Says to [`node_in_a_process_of_its_own`] that it is that process, and where its configuration is.
    const VARIABLE: &str = "LARDER_TEST_NODE";

    /// Exit codes and panic hooks are the process's own: the test starts itself again as another process.
    #[tokio::test(flavor = "multi_thread")]
    async fn node_in_a_process_of_its_own() {
        let Ok(file) = env::var(VARIABLE) else { return };
        panics::install();
        let arguments = Arguments::try_parse_from(["larder", "--config", &file, "serve"]).unwrap().config;
        let config = arguments.load().unwrap();
        telemetry::init(&config.telemetry).unwrap();
        let (strike, faults) = TaskFaults::channel();
        let supervision = Supervision { faults, ..Supervision::default() };
        let server = Server::start_supervised(config, Clock::default(), supervision).await.unwrap();
        strike.send_replace(Some(("follower".to_owned(), TaskFault::Panic)));
        let exit = until_stopped(server, Signals::new(), &arguments).await;
        std::process::exit(exit as i32);
    }

    #[test]
    fn failed_follower_ends_the_process_with_a_code_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("larder.toml");
        let any = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
        fs::write(&file, format!("[server]\n{any}[log]\nformat = \"json\"\n")).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "cli::serve::tests::node_in_a_process_of_its_own"]);
        let output = command.env(VARIABLE, &file).output().unwrap();
        assert_eq!(output.status.code(), Some(Exit::TaskFailed as i32), "{output:?}");
        let log = String::from_utf8(output.stderr).unwrap();
        let logged = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(logged(&["a bug in larder", "supervisor.rs:"]), "{log}");
        assert!(logged(&["task_failed", "follower"]), "{log}");
        assert!(!log.contains("injected"), "the message of a panic may hold values: {log}");
    }
}
