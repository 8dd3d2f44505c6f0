//! `larder keys`: create, list, revoke.

use chrono::TimeDelta;

use super::{
    actor,
    args::{ConfigArguments, CreateKey, RevokeKey},
    exit::Exit,
    output::{Failure, complain, print, print_json, print_table},
    session,
};
use crate::{
    admin::NewKey,
    app,
    domain::{duration, keyset::Grant, name::CollectionName},
    metadata::StoredKey,
    support::clock::Clock,
};

/// Longest key name, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

pub(super) async fn create(config: &ConfigArguments, arguments: CreateKey) -> Result<Exit, Failure> {
    let new = wanted(&arguments)?;
    let config = session::load(config)?;
    if let Grant::Collections(names) = &new.grant {
        for name in names.iter().filter(|name| config.sync(name).is_none()) {
            complain(&format!("warning: no sync is named {name}; the key opens it once there is one"));
        }
    }
    let process = session::publisher(&config).await?;
    let created = process.publisher.create_key(new, &actor::of(&arguments.actor)).await;
    process.stop().await;
    let key = created?;
    print(key.expose())?;
    complain(&format!(
        "Key {} was created and announced. It is shown this once; keep it where secrets are kept.",
        key.id()
    ));
    Ok(Exit::Success)
}

fn wanted(arguments: &CreateKey) -> Result<NewKey, Failure> {
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
                return Err(Failure::Usage(
                    "--expires: a key that works for no time is of no use".to_owned(),
                ));
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
    let config = session::load(config)?;
    let clock = Clock::default();
    let metadata = app::open_metadata(&config, clock.clone()).await?;
    let list = metadata.keys().await?;
    if json {
        let keys: Vec<serde_json::Value> = list
            .keys
            .iter()
            .map(|key| {
                let entry = &key.entry;
                serde_json::json!({
                    "id": entry.id, "name": entry.name, "grant": entry.grant, "created_at": entry.created_at,
                    "expires_at": entry.expires_at, "revoked_at": key.revoked_at,
                })
            })
            .collect();
        print_json(&keys)?;
        return Ok(Exit::Success);
    }
    if list.keys.is_empty() {
        print("no keys yet; larder keys create makes one")?;
        return Ok(Exit::Success);
    }
    let mut rows = vec![["ID", "NAME", "OPENS", "CREATED", "EXPIRES", "STATE"].map(str::to_owned).to_vec()];
    let now = clock.now();
    rows.extend(list.keys.iter().map(|key| row(key, now)));
    print_table(&rows)?;
    Ok(Exit::Success)
}

fn row(key: &StoredKey, now: chrono::DateTime<chrono::Utc>) -> Vec<String> {
    let entry = &key.entry;
    let opens = match &entry.grant {
        Grant::AllCollections => "all collections".to_owned(),
        Grant::Collections(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let day = |moment: chrono::DateTime<chrono::Utc>| moment.format("%Y-%m-%d").to_string();
    let state = match (key.revoked_at, entry.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        _ => "valid",
    };
    vec![
        entry.id.clone(),
        entry.name.clone(),
        opens,
        day(entry.created_at),
        entry.expires_at.map_or("never".to_owned(), day),
        state.to_owned(),
    ]
}

pub(super) async fn revoke(config: &ConfigArguments, arguments: RevokeKey) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    // The whole key is taken too: who holds one has no other way to name it.
    let id = arguments.id.strip_prefix("lrd_").unwrap_or(&arguments.id);
    let id = id.split('_').next().unwrap_or(id).to_owned();
    let process = session::publisher(&config).await?;
    let revoked = process.publisher.revoke_key(&id, &actor::of(&arguments.actor)).await;
    process.stop().await;
    revoked?;
    print(&format!("key {id} is revoked; every region refuses it within two poll intervals"))?;
    Ok(Exit::Success)
}
