//! `larder serve`: a node, until it is told to end.

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

/// Serves until a signal; reads the configuration again on SIGHUP. A second signal ends at once.
pub(super) async fn until_stopped(server: Server, mut signals: Signals, arguments: &ConfigArguments) -> Exit {
    while signals.stop_or_reload().await {
        reload(&server, arguments);
    }
    info!("ending: requests in flight finish first; a second signal ends at once");
    tokio::select! {
        () = server.stop() => Exit::Success,
        () = signals.stop() => {
            warn!("ended at once by a second signal");
            Exit::Interrupted
        }
    }
}

/// All of the new configuration, or none of it.
fn reload(server: &Server, arguments: &ConfigArguments) {
    match arguments.load() {
        Ok(config) => server.reload(&config),
        Err(faults) => error!(%faults, "the configuration is wrong; the old one stays in force"),
    }
}
