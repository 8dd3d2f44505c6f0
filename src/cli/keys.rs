//! `larder keys`: create, list, rotate, revoke.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroU32,
};

use chrono::TimeDelta;

use super::{
    args::{ConfigArguments, CreateKey, KeyLimitArguments, RevokeKey, RotateKey},
    exit::Exit,
    output::{Failure, complain, print, print_json, print_table},
    session,
};
use crate::{
    admin::{
        Admin, Error, KeyChange, KeyState, KeyUses, KeyView, NewKey, Publisher, Registry, announced_later,
    },
    app,
    config::Config,
    domain::{
        duration,
        fields::FieldLimit,
        keyset::{KeyLimits, RateLimit, Scope},
        limits::{COLLECTION_LIMITS_MAX, FIELD_PATHS_MAX, INDEXES_MAX, NETWORKS_MAX},
        name::CollectionName,
    },
    support::clock::Clock,
};

/// Longest key name, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

pub(super) async fn create(config: &ConfigArguments, arguments: &CreateKey) -> Result<Exit, Failure> {
    let new = requested(arguments)?;
    let config = session::load(config)?;
    warn_of_what_opens_nothing(&new, &session::registry(&config)?);
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

/// Warns of names in the grant and limits of a key that are probably mistyped.
fn warn_of_what_opens_nothing(new: &NewKey, registry: &Registry) {
    if let Scope::Collections(names) = &new.grant {
        for name in names.iter().filter(|name| !registry.has(name)) {
            complain(&format!("warning: no sync is named {name}; the key opens it once there is one"));
        }
    }
    for name in new.limits.indexes.iter().flatten().filter(|name| !registry.has_index(&new.grant, name)) {
        complain(&format!("warning: no collection that the key opens has an index named {name}"));
    }
    for name in new.limits.collection_fields.keys().filter(|name| !new.grant.opens(name.as_str())) {
        complain(&format!("warning: the key does not open {name}, whose fields it limits"));
    }
}

fn requested(arguments: &CreateKey) -> Result<NewKey, Failure> {
    let name = arguments.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(Failure::Usage(format!(
            "--name is 1 to {NAME_CHARACTERS_MAX} characters, no control characters"
        )));
    }
    let grant = if arguments.all_collections {
        Scope::AllCollections
    } else {
        let names = arguments.collections.iter().map(|name| {
            CollectionName::new(name)
                .map_err(|error| Failure::Usage(format!("--collection {name:?}: {error}")))
        });
        Scope::Collections(names.collect::<Result<_, _>>()?)
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
    Ok(NewKey { name: name.to_owned(), grant, expires_at, limits: limits(&arguments.limits)? })
}

fn limits(arguments: &KeyLimitArguments) -> Result<KeyLimits, Failure> {
    let only = at_most("--field", FIELD_PATHS_MAX, &arguments.fields)?.map(FieldLimit::Only);
    let without =
        at_most("--without-field", FIELD_PATHS_MAX, &arguments.without_fields)?.map(FieldLimit::Without);
    let rate = arguments.requests_per_second.map(|per_second| {
        let of =
            |number: u64| u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        RateLimit { per_second: of(per_second), burst: of(arguments.burst.unwrap_or(per_second)) }
    });
    Ok(KeyLimits {
        indexes: at_most("--index", 1 + INDEXES_MAX, &arguments.indexes)?,
        fields: only.or(without),
        collection_fields: collection_fields(arguments)?,
        networks: at_most("--network", NETWORKS_MAX, &arguments.networks)?,
        rate,
        never_throttle_status: arguments.never_throttle_status,
    })
}

/// The limits of `--field-of` and `--without-field-of`, by collection.
fn collection_fields(arguments: &KeyLimitArguments) -> Result<BTreeMap<CollectionName, FieldLimit>, Failure> {
    let mut limits = BTreeMap::new();
    let only = arguments.fields_of.iter().map(|(name, path)| (name, FieldLimit::Only(vec![path.clone()])));
    let without = arguments.without_fields_of.iter();
    let without = without.map(|(name, path)| (name, FieldLimit::Without(vec![path.clone()])));
    for (name, limit) in only.chain(without) {
        match limits.entry(name.clone()) {
            Entry::Vacant(entry) => _ = entry.insert(limit),
            Entry::Occupied(mut entry) => match (entry.get_mut(), limit) {
                (FieldLimit::Only(all), FieldLimit::Only(one))
                | (FieldLimit::Without(all), FieldLimit::Without(one)) => all.extend(one),
                _ => {
                    return Err(Failure::Usage(format!(
                        "--field-of and --without-field-of cannot both be given for {name}"
                    )));
                }
            },
        }
    }
    let has_too_many = limits.values().any(|limit| match limit {
        FieldLimit::Only(paths) | FieldLimit::Without(paths) => paths.len() > FIELD_PATHS_MAX,
    });
    if has_too_many || limits.len() > COLLECTION_LIMITS_MAX {
        return Err(Failure::Usage(format!(
            "--field-of and --without-field-of take at most {FIELD_PATHS_MAX} fields of each of {COLLECTION_LIMITS_MAX} \
             collections"
        )));
    }
    Ok(limits)
}

/// The values of a flag; `None` if it is not given.
fn at_most<T: Clone>(flag: &str, max: usize, values: &[T]) -> Result<Option<Vec<T>>, Failure> {
    if values.len() > max {
        return Err(Failure::Usage(format!("{flag} is given {} times, at most {max}", values.len())));
    }
    Ok((!values.is_empty()).then(|| values.to_vec()))
}

pub(super) async fn list(arguments: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let config = session::load(arguments)?;
    let admin = app::open_admin(&config, Clock::default()).await?;
    let mut keys = admin.keys().await?;
    if admin.has_unannounced_keys().await? {
        complain("warning: the last changes are not announced yet, and not in force on any node");
    }
    if !keys.is_empty() {
        match last_uses(&config).await {
            Ok(mut uses) => {
                for key in &mut keys {
                    key.last_used = uses.remove(&key.id).unwrap_or_default();
                }
            }
            Err(error) => complain(&format!("warning: the last use of keys is not shown: {error}")),
        }
    }
    if json {
        print_json(&keys)?;
    } else if keys.is_empty() {
        print("no keys yet; larder keys create makes one")?;
    } else {
        let heading = ["ID", "NAME", "OPENS", "CREATED", "EXPIRES", "STATE", "LAST USED"];
        print_table(&heading, keys.iter().map(row))?;
    }
    Ok(Exit::Success)
}

async fn last_uses(config: &Config) -> Result<KeyUses, Error> {
    app::open_overview(config, Clock::default())?.key_uses().await
}

fn row(key: &KeyView) -> Vec<String> {
    let day = |moment: chrono::DateTime<chrono::Utc>| moment.format("%Y-%m-%d").to_string();
    let state = match (key.state, key.previous_secret_until) {
        (KeyState::Valid, Some(end)) => format!("valid; old secret until {}", end.format("%Y-%m-%d %H:%M")),
        (KeyState::Valid, None) => "valid".to_owned(),
        (KeyState::Expired, _) => "expired".to_owned(),
        (KeyState::Revoked, _) => "revoked".to_owned(),
    };
    let used = key.last_used.iter().map(|(region, at)| format!("{} {region}", at.format("%Y-%m-%d %H:%M")));
    vec![
        key.id.clone(),
        key.name.clone(),
        key.opens.clone(),
        day(key.created_at),
        key.expires_at.map_or("never".to_owned(), day),
        state,
        if key.last_used.is_empty() { "-".to_owned() } else { used.collect::<Vec<_>>().join(", ") },
    ]
}

pub(super) async fn rotate(config: &ConfigArguments, arguments: RotateKey) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let principal = session::principal(&arguments.actor);
    let RotateKey { id, overlap, .. } = &arguments;
    let KeyChange { done: key, pending } = change(
        &config,
        async |publisher| publisher.rotate_key(id, *overlap, &principal).await,
        async |admin| admin.rotate_key(id, *overlap, &principal).await,
    )
    .await?;
    print(key.expose())?;
    complain(&format!(
        "Key {} has a new secret, shown only once; nodes know it within two poll intervals of its announcement. The old \
         one works until {}.",
        key.id(),
        (Clock::default().now() + *overlap).format("%Y-%m-%d %H:%M:%S UTC")
    ));
    pending.map_or(Ok(Exit::Success), |pending| Err(pending.into()))
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
