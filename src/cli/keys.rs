//! `larder keys`: create, list, rotate, revoke.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::json;

use super::{
    args::{ConfigArguments, CreateKey, KeyLimitArguments, RevokeKey, RotateKey},
    exit::Exit,
    output::{Failure, complain, print, print_json, print_table},
    remote::{Refused, Remote, nothing, segment},
    session,
};
use crate::{
    admin::{
        self, Admin, Error, KeyChange, KeyState, KeyUses, KeyView, NewKey, Publisher, announced_later,
        check_key_name, id_in_key,
    },
    app,
    config::Config,
    domain::{
        ErrorKind,
        fields::FieldLimit,
        keyset::{KeyLimits, RateLimit, Scope},
        limits::{COLLECTION_LIMITS_MAX, FIELD_PATHS_MAX, INDEXES_MAX, NETWORKS_MAX},
        name::CollectionName,
    },
    support::{
        clock::Clock,
        secret::{ExposeSecret, SecretString},
    },
};

pub(super) async fn create(config: &ConfigArguments, arguments: &CreateKey) -> Result<Exit, Failure> {
    let new = requested(arguments)?;
    if let Some(remote) = Remote::of(config)? {
        let NewKey { name, grant, expires_at, limits } = new;
        let body = json!({ "name": name, "grant": grant, "expires_at": expires_at, "limits": limits });
        let mut created: Created = remote.change(Method::POST, "/admin/v1/keys", body).await?;
        let pending = created.pending.take();
        warn(&created.warnings);
        let (id, key) = created.whole()?;
        return show_created(&id, key.expose_secret(), pending.map(pending_failure));
    }
    let config = session::load(config)?;
    warn(&new.warnings(&session::registry(&config).await?));
    let principal = session::principal(&arguments.actor);
    let stored = new.clone();
    let KeyChange { done: key, pending } = change(
        &config,
        async |publisher| publisher.create_key(new, &principal).await,
        async |admin| admin.create_key(stored, &principal).await,
    )
    .await?;
    show_created(key.id(), key.expose(), pending.map(Failure::from))
}

fn show_created(id: &str, key: &str, pending: Option<Failure>) -> Result<Exit, Failure> {
    print(key)?;
    let announced = if pending.is_none() { " and announced" } else { "" };
    complain(&format!(
        "Key {id} was created{announced}. The key is shown only once; store it with your secrets."
    ));
    pending.map_or(Ok(Exit::Success), Err)
}

/// A new key or secret, as a server answers.
#[derive(serde::Deserialize)]
pub(super) struct Created {
    id: String,
    key: Option<String>,
    #[serde(default)]
    pending: Option<Refused>,
    #[serde(default)]
    warnings: Vec<String>,
}

impl Created {
    /// Its id and its whole text.
    pub(super) fn whole(self) -> Result<(String, SecretString), Failure> {
        let key = self.key.ok_or_else(|| anyhow::anyhow!("the server has not sent the key"))?;
        Ok((self.id, SecretString::from(key)))
    }
}

/// A changed key, as a server answers.
#[derive(serde::Deserialize)]
pub(super) struct Changed {
    pub(super) id: String,
    #[serde(default)]
    pending: Option<Refused>,
}

/// Why a change is not announced yet.
fn pending_failure(pending: Refused) -> Failure {
    Failure::Remote(Refused { kind: Some(ErrorKind::Unavailable), ..pending })
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
}

fn requested(arguments: &CreateKey) -> Result<NewKey, Failure> {
    let name = key_name(&arguments.name)?;
    let grant = if arguments.all_collections {
        Scope::AllCollections
    } else {
        let names = arguments.collections.iter().map(|name| {
            CollectionName::new(name)
                .map_err(|error| Failure::Usage(format!("--collection {name:?}: {error}")))
        });
        Scope::Collections(names.collect::<Result<_, _>>()?)
    };
    let expires_at = expiry(arguments.expires.as_deref())?;
    Ok(NewKey { name, grant, expires_at, limits: limits(&arguments.limits)? })
}

/// The name of a key, as it is stored.
pub(super) fn key_name(name: &str) -> Result<String, Failure> {
    check_key_name(name).map_err(|fault| Failure::Usage(format!("--{fault}")))
}

/// When a key expires that is valid for so long from now.
pub(super) fn expiry(expires: Option<&str>) -> Result<Option<DateTime<Utc>>, Failure> {
    admin::expiry(expires, Clock::default().now())
        .map_err(|fault| Failure::Usage(format!("--expires: {fault}")))
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
        if !FieldLimit::add(&mut limits, name, limit) {
            return Err(Failure::Usage(format!(
                "--field-of and --without-field-of cannot both be given for {name}"
            )));
        }
    }
    if limits.values().any(|limit| limit.paths().len() > FIELD_PATHS_MAX)
        || limits.len() > COLLECTION_LIMITS_MAX
    {
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
    let keys = match Remote::of(arguments)? {
        Some(remote) => listed(&remote).await?,
        None => read(arguments).await?,
    };
    if json {
        print_json(&keys)?;
    } else if keys.is_empty() {
        print("no keys yet; larder keys create makes one")?;
    } else {
        let now = Clock::default().now();
        let heading = ["ID", "NAME", "OPENS", "CREATED", "EXPIRES", "STATE", "LAST USED"];
        print_table(&heading, keys.iter().map(|key| row(key, now)))?;
    }
    Ok(Exit::Success)
}

/// The keys of a server, oldest first.
async fn listed(remote: &Remote) -> Result<Vec<KeyView>, Failure> {
    /// What the answer has beside its page.
    #[derive(serde::Deserialize)]
    struct Listed {
        has_unannounced_changes: bool,
    }
    let mut keys: Vec<KeyView> = remote.list("/admin/v1/keys", &[], usize::MAX).await?;
    keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let state: Listed = remote.get("/admin/v1/keys", &[("limit", "1")]).await?;
    warn_unannounced(state.has_unannounced_changes);
    Ok(keys)
}

fn warn_unannounced(is_so: bool) {
    if is_so {
        complain("warning: the last changes are not announced yet, and not in force on any node");
    }
}

/// The keys of the metadata database, oldest first.
async fn read(arguments: &ConfigArguments) -> Result<Vec<KeyView>, Failure> {
    let config = session::load(arguments)?;
    let admin = app::open_admin(&config, Clock::default()).await?;
    let mut keys = admin.keys().await?;
    warn_unannounced(admin.has_unannounced_keys().await?);
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
    Ok(keys)
}

async fn last_uses(config: &Config) -> Result<KeyUses, Error> {
    app::open_overview(config, Clock::default())?.key_uses().await
}

fn row(key: &KeyView, now: DateTime<Utc>) -> Vec<String> {
    let day = |moment: DateTime<Utc>| moment.format("%Y-%m-%d").to_string();
    let state = match (key.state(now), key.previous_secret_until) {
        (KeyState::Valid, Some(end)) => format!("valid; old secret until {}", end.format("%Y-%m-%d %H:%M")),
        (state, _) => state.as_str().to_owned(),
    };
    let used = key.last_used.iter().map(|(region, at)| format!("{} {region}", at.format("%Y-%m-%d %H:%M")));
    vec![
        key.id.clone(),
        key.name.clone(),
        key.opens(),
        day(key.created_at),
        key.expires_at.map_or("never".to_owned(), day),
        state,
        if key.last_used.is_empty() { "-".to_owned() } else { used.collect::<Vec<_>>().join(", ") },
    ]
}

pub(super) async fn rotate(config: &ConfigArguments, arguments: RotateKey) -> Result<Exit, Failure> {
    let RotateKey { id, overlap, .. } = &arguments;
    if let Some(remote) = Remote::of(config)? {
        let path = format!("/admin/v1/keys/{}/rotate", segment(id_in_key(id)));
        let body = json!({ "overlap": format!("{}s", overlap.as_secs()) });
        let mut rotated: Created = remote.change(Method::POST, &path, body).await?;
        let pending = rotated.pending.take();
        let (id, key) = rotated.whole()?;
        return show_rotated(&id, key.expose_secret(), *overlap, pending.map(pending_failure));
    }
    let config = session::load(config)?;
    let principal = session::principal(&arguments.actor);
    let KeyChange { done: key, pending } = change(
        &config,
        async |publisher| publisher.rotate_key(id, *overlap, &principal).await,
        async |admin| admin.rotate_key(id, *overlap, &principal).await,
    )
    .await?;
    show_rotated(key.id(), key.expose(), *overlap, pending.map(Failure::from))
}

fn show_rotated(id: &str, key: &str, overlap: Duration, pending: Option<Failure>) -> Result<Exit, Failure> {
    print(key)?;
    complain(&format!(
        "Key {id} has a new secret, shown only once; nodes know it within two poll intervals of its announcement. The old \
         one works until {}.",
        (Clock::default().now() + overlap).format("%Y-%m-%d %H:%M:%S UTC")
    ));
    pending.map_or(Ok(Exit::Success), Err)
}

pub(super) async fn revoke(config: &ConfigArguments, arguments: RevokeKey) -> Result<Exit, Failure> {
    let key = &arguments.id;
    if let Some(remote) = Remote::of(config)? {
        let path = format!("/admin/v1/keys/{}", segment(id_in_key(key)));
        let Changed { id, pending } = remote.change(Method::DELETE, &path, nothing()).await?;
        return show_revoked(&id, pending.map(pending_failure));
    }
    let config = session::load(config)?;
    let principal = session::principal(&arguments.actor);
    let KeyChange { done: id, pending } = change(
        &config,
        async |publisher| publisher.revoke_key(key, &principal).await,
        async |admin| admin.revoke_key(key, &principal).await,
    )
    .await?;
    show_revoked(&id, pending.map(Failure::from))
}

fn show_revoked(id: &str, pending: Option<Failure>) -> Result<Exit, Failure> {
    if let Some(pending) = pending {
        print(&format!("key {id} is revoked in metadata"))?;
        return Err(pending);
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
