//! `larder keys`: create, list, revoke.

use chrono::TimeDelta;

use super::{
    args::{ConfigArguments, CreateKey, RevokeKey},
    exit::Exit,
    output::{Failure, complain, print, print_json, print_table},
    session,
};
use crate::{
    admin::{Admin, Error, KeyChange, KeyState, KeyView, NewKey, Publisher, announced_later},
    app,
    config::Config,
    domain::{duration, keyset::Grant, name::CollectionName},
    support::clock::Clock,
};

/// Longest key name, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

pub(super) async fn create(config: &ConfigArguments, arguments: CreateKey) -> Result<Exit, Failure> {
    let new = requested(&arguments)?;
    let config = session::load(config)?;
    let registry = session::registry(&config)?;
    if let Grant::Collections(names) = &new.grant {
        for name in names.iter().filter(|name| !registry.has(name)) {
            complain(&format!("warning: no sync is named {name}; the key opens it once there is one"));
        }
    }
    let principal = session::principal(&arguments.actor);
    let stored = new.clone();
    let KeyChange { done: key, pending } = change(
        &config,
        async |publisher| publisher.create_key(new, &principal).await,
        async |admin| admin.create_key(stored, &principal).await,
    )
    .await?;
    print(key.expose())?;
    let announced = if pending.is_none() { " and announced" } else { "" };
    complain(&format!(
        "Key {} was created{announced}. The key is shown only once; store it with your secrets.",
        key.id()
    ));
    pending.map_or(Ok(Exit::Success), |pending| Err(pending.into()))
}

fn requested(arguments: &CreateKey) -> Result<NewKey, Failure> {
    let name = arguments.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(Failure::Usage(format!(
            "--name is 1 to {NAME_CHARACTERS_MAX} characters, no control characters"
        )));
    }
    let grant = if arguments.all_collections {
        Grant::AllCollections
    } else {
        let names = arguments.collections.iter().map(|name| {
            CollectionName::new(name)
                .map_err(|error| Failure::Usage(format!("--collection {name:?}: {error}")))
        });
        Grant::Collections(names.collect::<Result<_, _>>()?)
    };
    let expires_at = match &arguments.expires {
        None => None,
        Some(text) => {
            let duration =
                duration::parse(text).map_err(|error| Failure::Usage(format!("--expires: {error}")))?;
            if duration.is_zero() {
                return Err(Failure::Usage("--expires: a key must work for longer than no time".to_owned()));
            }
            let at = TimeDelta::from_std(duration)
                .ok()
                .and_then(|delta| Clock::default().now().checked_add_signed(delta));
            Some(at.ok_or_else(|| Failure::Usage(format!("--expires {text} is too far away")))?)
        }
    };
    Ok(NewKey { name: name.to_owned(), grant, expires_at })
}

pub(super) async fn list(config: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let admin = session::admin(config).await?;
    let keys = admin.keys().await?;
    if admin.has_unannounced_keys().await? {
        complain("warning: the last changes are not announced yet, and not in force on any node");
    }
    if json {
        print_json(&keys)?;
    } else if keys.is_empty() {
        print("no keys yet; larder keys create makes one")?;
    } else {
        print_table(&["ID", "NAME", "OPENS", "CREATED", "EXPIRES", "STATE"], keys.iter().map(row))?;
    }
    Ok(Exit::Success)
}

fn row(key: &KeyView) -> Vec<String> {
    let opens = match &key.grant {
        Grant::AllCollections => "all collections".to_owned(),
        Grant::Collections(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let day = |moment: chrono::DateTime<chrono::Utc>| moment.format("%Y-%m-%d").to_string();
    let state = match key.state {
        KeyState::Valid => "valid",
        KeyState::Expired => "expired",
        KeyState::Revoked => "revoked",
    };
    vec![
        key.id.clone(),
        key.name.clone(),
        opens,
        day(key.created_at),
        key.expires_at.map_or("never".to_owned(), day),
        state.to_owned(),
    ]
}

pub(super) async fn revoke(config: &ConfigArguments, arguments: RevokeKey) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let principal = session::principal(&arguments.actor);
    let key = &arguments.id;
    let KeyChange { done: id, pending } = change(
        &config,
        async |publisher| publisher.revoke_key(key, &principal).await,
        async |admin| admin.revoke_key(key, &principal).await,
    )
    .await?;
    if let Some(pending) = pending {
        print(&format!("key {id} is revoked in metadata"))?;
        return Err(pending.into());
    }
    print(&format!("key {id} is revoked; every region refuses it within two poll intervals"))?;
    Ok(Exit::Success)
}

/// Changes keys with the publishing side, or in metadata alone when the store keeps that from starting.
async fn change<T>(
    config: &Config,
    publish: impl AsyncFnOnce(&Publisher) -> Result<KeyChange<T>, Error>,
    store: impl AsyncFnOnce(&Admin) -> Result<T, Error>,
) -> Result<KeyChange<T>, Failure> {
    match session::publisher(config).await {
        Ok(process) => {
            let done = publish(&process.publisher).await;
            process.stop().await;
            Ok(done?)
        }
        Err(Failure::Admin(error)) => {
            let pending = announced_later(Err(error))?;
            let admin = app::open_admin(config, Clock::default()).await?;
            Ok(KeyChange { done: store(&admin).await?, pending })
        }
        Err(failure) => Err(failure),
    }
}
