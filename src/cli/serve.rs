//! `larder serve`: a node, until it is told to end.

use tracing::{error, info, warn};

use super::{
    args::{ConfigArgument, Serve},
    exit::Exit,
    output::Failure,
    session,
};
use crate::{
    app::{self, Server, Signals},
    config::{self, Environment},
    support::clock::Clock,
    telemetry,
};

pub(super) async fn run(arguments: Serve) -> Result<Exit, Failure> {
    let config = session::load(&arguments.config)?;
    telemetry::init(&config.telemetry).map_err(anyhow::Error::new)?;
    app::provide_descriptors(config.server.connections_max);
    let signals = Signals::new();
    let server = Server::start(config, Clock::default()).await?;
    Ok(until_stopped(server, signals, &arguments.config).await)
}

/// Serves until a signal; reads the configuration again on SIGHUP. A second signal ends at once.
pub(super) async fn until_stopped(server: Server, mut signals: Signals, argument: &ConfigArgument) -> Exit {
    while signals.stop_or_reload().await {
        reload(&server, argument);
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
fn reload(server: &Server, argument: &ConfigArgument) {
    match config::load(Some(&argument.config), &Environment::process(), &argument.overrides()) {
        Ok(config) => server.reload(&config),
        Err(faults) => error!(%faults, "the configuration is wrong; the old one stays in force"),
    }
}
