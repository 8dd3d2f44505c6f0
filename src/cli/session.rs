//! What commands open: the configuration, and through `app` what their use case needs.

use super::{
    args::{ActorArgument, Change, ConfigArguments},
    output::{Failure, complain},
};
use crate::{
    admin::{Admin, Error, Layered, Principal, Publisher, Registry, TakenOver},
    app::{self, PublisherProcess},
    config::Config,
    domain::{CollectionName, RegionName},
    support::clock::Clock,
    telemetry,
};

/// Loads the configuration; every fault at once.
pub(super) fn load(arguments: &ConfigArguments) -> Result<Config, Failure> {
    arguments.load().map_err(Failure::Configuration)
}

/// Opens what the use cases of the metadata database need.
pub(super) async fn admin(arguments: &ConfigArguments) -> Result<Admin, Failure> {
    Ok(app::open_admin(&load(arguments)?, Clock::default()).await?)
}

/// The same, as far as there is a metadata database that answers. Warns when it does not.
pub(super) async fn admin_if_publisher(config: &Config) -> Option<Admin> {
    match app::open_admin(config, Clock::default()).await {
        Ok(admin) => Some(admin),
        Err(Error::NoMetadata) => None,
        Err(error) => {
            complain(&format!("warning: runs and held runs are not shown: {error}"));
            None
        }
    }
}

/// The configuration file with the stored entries; without them, and with a warning, when the metadata database does not
/// answer.
pub(super) async fn layered(config: &Config) -> Layered {
    match app::open_layered(config, Clock::default()).await {
        Ok(layered) => layered,
        Err(error) => {
            if !matches!(error, Error::NoMetadata) {
                complain(&format!("warning: stored sources, models and syncs are not known: {error}"));
            }
            app::without_stored(config)
        }
    }
}

/// The syncs, stored ones included.
pub(super) async fn registry(config: &Config) -> Result<Registry, Failure> {
    let registry = app::open_registry(config)?;
    registry.replace(layered(config).await.syncs);
    Ok(registry)
}

/// The publishing side of this process, whose warnings are shown from now on.
pub(super) async fn publisher(config: &Config) -> Result<PublisherProcess, Failure> {
    telemetry::show_warnings();
    Ok(PublisherProcess::start(config, Clock::default(), false).await?)
}

/// Runs one use case of the publishing side, and ends that side.
pub(super) async fn publish<T>(
    config: &Config,
    act: impl AsyncFnOnce(&Publisher) -> Result<T, Error>,
) -> Result<T, Failure> {
    let process = publisher(config).await?;
    let done = act(&process.publisher).await;
    process.stop().await;
    Ok(done?)
}

/// Makes the metadata database of `config` the one that publishes.
pub(super) async fn take_over(config: &Config, principal: &Principal) -> Result<TakenOver, Failure> {
    telemetry::show_warnings();
    let process = PublisherProcess::start(config, Clock::default(), true).await?;
    let done = Box::pin(process.publisher.take_over(principal)).await;
    process.stop().await;
    Ok(done?)
}

/// The collection that a command changes, and who gives the command.
pub(super) fn change(arguments: &Change) -> Result<(CollectionName, Principal), Failure> {
    let Change { name, actor, .. } = arguments;
    Ok((collection(name)?, principal(actor)))
}

/// The collection of this name.
pub(super) fn collection(name: &str) -> Result<CollectionName, Failure> {
    CollectionName::new(name).map_err(|error| Failure::Usage(format!("{name:?}: {error}")))
}

pub(super) fn region(text: &str) -> Result<RegionName, Failure> {
    RegionName::new(text).map_err(|error| Failure::Usage(format!("--region {text:?}: {error}")))
}

/// Who gives the command: the name of `--actor`, else the system's `user@host`.
pub(super) fn principal(argument: &ActorArgument) -> Principal {
    let given = argument.actor.as_deref().filter(|name| !name.trim().is_empty());
    Principal::command_line(&given.map_or_else(user_at_host, str::to_owned))
}

/// The user as the login calls it, else its number, and the machine's name.
fn user_at_host() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.trim().is_empty()).then_some(value)
    });
    let user = named.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    format!("{}@{}", user.trim(), rustix::system::uname().nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_without_an_actor_is_given_by_user_at_host() {
        let of = |actor: Option<&str>| principal(&ActorArgument { actor: actor.map(str::to_owned) });
        assert_eq!(of(Some("deploy bot")).as_str(), "cli:deploy bot");
        for absent in [None, Some(""), Some("  ")] {
            let own = of(absent);
            let (user, host) = own.as_str().strip_prefix("cli:").unwrap().split_once('@').unwrap();
            assert!(!user.is_empty() && !host.is_empty(), "{own}");
        }
    }
}
