//! `larder admin sessions`: list and end the sessions of browsers.

use chrono::{DateTime, Utc};
use reqwest::Method;

use super::{
    args::{ConfigArguments, EndSession, SessionsCommand},
    exit::Exit,
    keys::Changed,
    output::{Failure, print, print_json, print_table},
    remote::{Remote, nothing, segment},
    session,
};
use crate::admin::SessionView;

pub(super) async fn run(config: &ConfigArguments, command: SessionsCommand) -> Result<Exit, Failure> {
    match command {
        SessionsCommand::List { json } => list(config, json).await,
        SessionsCommand::End(arguments) => end(config, arguments).await,
    }
}

async fn list(config: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let mut sessions: Vec<SessionView> = match Remote::of(config)? {
        Some(remote) => remote.list("/admin/v1/sessions", &[], usize::MAX).await?,
        None => session::admin(config).await?.sessions().await?,
    };
    sessions.sort_by_key(|session| std::cmp::Reverse(session.used_at));
    if json {
        print_json(&sessions)?;
    } else if sessions.is_empty() {
        print("no browser is signed in")?;
    } else {
        print_table(&["ID", "NAME", "ROLE", "BEGAN", "LAST USED", "ENDS"], sessions.iter().map(row))?;
    }
    Ok(Exit::Success)
}

fn row(session: &SessionView) -> Vec<String> {
    let minute = |moment: DateTime<Utc>| moment.format("%Y-%m-%d %H:%M").to_string();
    vec![
        session.id.clone(),
        session.name.clone(),
        session.role.to_string(),
        minute(session.created_at),
        minute(session.used_at),
        minute(session.expires_at),
    ]
}

async fn end(config: &ConfigArguments, arguments: EndSession) -> Result<Exit, Failure> {
    let EndSession { actor, id } = arguments;
    if let Some(remote) = Remote::of(config)? {
        let path = format!("/admin/v1/sessions/{}", segment(&id));
        remote.change::<Changed>(Method::DELETE, &path, nothing()).await?;
    } else {
        session::admin(config).await?.end_session(&id, &session::principal(&actor)).await?;
    }
    print(&format!("session {id} has ended; every publisher refuses it within two seconds"))?;
    Ok(Exit::Success)
}
