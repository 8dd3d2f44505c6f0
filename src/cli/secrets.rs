//! `larder secrets rotate`: encrypts stored secrets under the newest key.

use reqwest::Method;

use super::{
    args::{ActorArgument, ConfigArguments},
    exit::Exit,
    output::{Failure, complain, counted, print},
    remote::{Remote, nothing},
    session,
};
use crate::{admin::RotatedSecrets, app, support::clock::Clock};

pub(super) async fn rotate(arguments: &ConfigArguments, actor: &ActorArgument) -> Result<Exit, Failure> {
    let rotated: RotatedSecrets = if let Some(remote) = Remote::of(arguments)? {
        remote.change(Method::POST, "/admin/v1/secrets/rotate", nothing()).await?
    } else {
        let config = session::load(arguments)?;
        let admin = app::open_admin(&config, Clock::default()).await?;
        admin.rotate_secrets(&config, &session::principal(actor)).await?
    };
    let RotatedSecrets { secrets, entries, unreadable, versions_unreadable, .. } = rotated;
    match entries.as_slice() {
        [] => print("every secret that can be read is under the newest key already")?,
        entries => print(&format!(
            "{} encrypted under the newest key: {}",
            counted(secrets, "secret"),
            entries.join(", ")
        ))?,
    }
    if versions_unreadable > 0 {
        let versions = counted(versions_unreadable, "earlier version");
        complain(&format!("warning: {versions} cannot be restored: none of the keys reads their secrets"));
    }
    if unreadable.is_empty() {
        complain("Once two poll intervals have passed, the other keys can be removed.");
        return Ok(Exit::Success);
    }
    for fault in &unreadable {
        complain(&fault.to_string());
    }
    complain("The secrets above are as they were; keep the keys that may have encrypted them.");
    Ok(Exit::Failed)
}
