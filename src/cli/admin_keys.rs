//! `larder admin keys`: create, list, revoke.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::json;

use super::{
    args::{AdminKeysCommand, ConfigArguments, CreateAdminKey, RevokeAdminKey},
    exit::Exit,
    keys::{Changed, Created, expiry, key_name},
    output::{Failure, complain, print, print_json, print_table},
    remote::{Remote, nothing, segment},
    session,
};
use crate::{
    admin::{AdminKey, AdminKeyView, NewAdminKey},
    support::{
        clock::Clock,
        secret::{ExposeSecret, SecretString},
    },
};

pub(super) async fn run(config: &ConfigArguments, command: AdminKeysCommand) -> Result<Exit, Failure> {
    match command {
        AdminKeysCommand::Create(arguments) => create(config, arguments).await,
        AdminKeysCommand::List { json } => list(config, json).await,
        AdminKeysCommand::Revoke(arguments) => revoke(config, arguments).await,
    }
}

async fn create(config: &ConfigArguments, arguments: CreateAdminKey) -> Result<Exit, Failure> {
    let CreateAdminKey { actor, name, role, expires } = arguments;
    let new = NewAdminKey { name: key_name(&name)?, role, expires_at: expiry(expires.as_deref())? };
    let (id, key) = if let Some(remote) = Remote::of(config)? {
        let NewAdminKey { name, role, expires_at } = new;
        let body = json!({ "name": name, "role": role, "expires_at": expires_at });
        remote.change::<Created>(Method::POST, "/admin/v1/admin-keys", body).await?.whole()?
    } else {
        let principal = session::principal(&actor);
        let key = session::admin(config).await?.create_admin_key(new, &principal).await?;
        (key.id().to_owned(), SecretString::from(key.expose().to_owned()))
    };
    print(key.expose_secret())?;
    complain(&format!("Admin key {id} was created. It is shown only once; store it with your secrets."));
    Ok(Exit::Success)
}

async fn list(config: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let keys = match Remote::of(config)? {
        Some(remote) => {
            let mut keys: Vec<AdminKeyView> = remote.list("/admin/v1/admin-keys", &[], usize::MAX).await?;
            keys.sort_by_key(|key| key.created_at);
            keys
        }
        None => session::admin(config).await?.admin_keys().await?,
    };
    if json {
        print_json(&keys)?;
    } else if keys.is_empty() {
        print("no admin keys yet; the first start of a publisher makes one, or larder admin keys create")?;
    } else {
        let now = Clock::default().now();
        let heading = ["ID", "NAME", "ROLE", "CREATED", "BY", "EXPIRES", "LAST USED", "STATE"];
        print_table(&heading, keys.iter().map(|key| row(key, now)))?;
    }
    Ok(Exit::Success)
}

fn row(key: &AdminKeyView, now: DateTime<Utc>) -> Vec<String> {
    let day = |moment: DateTime<Utc>| moment.format("%Y-%m-%d").to_string();
    vec![
        key.id.clone(),
        key.name.clone(),
        key.role.to_string(),
        day(key.created_at),
        key.created_by.clone(),
        key.expires_at.map_or("never".to_owned(), day),
        key.last_used_at.map_or("-".to_owned(), day),
        key.state(now).as_str().to_owned(),
    ]
}

async fn revoke(config: &ConfigArguments, arguments: RevokeAdminKey) -> Result<Exit, Failure> {
    let id = if let Some(remote) = Remote::of(config)? {
        let path = format!("/admin/v1/admin-keys/{}", segment(AdminKey::id_in(&arguments.id)));
        remote.change::<Changed>(Method::DELETE, &path, nothing()).await?.id
    } else {
        let principal = session::principal(&arguments.actor);
        session::admin(config).await?.revoke_admin_key(&arguments.id, &principal).await?
    };
    print(&format!("admin key {id} is revoked; every publisher refuses it within two seconds"))?;
    Ok(Exit::Success)
}
