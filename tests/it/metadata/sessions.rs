//! The story's part on sessions of browsers and their links.

use chrono::{DateTime, TimeDelta, Utc};
use larder::{
    domain::{AdminRole, LoginLinkEntry, Principal, SessionEntry, digest::Digest},
    metadata::{AuditEntry, LOGIN_LINKS_MAX, Metadata, SESSIONS_MAX, SESSIONS_OF_KEY_MAX},
};

use super::noon;

fn session(id: &str, key_id: Option<&str>, at: DateTime<Utc>) -> SessionEntry {
    SessionEntry {
        id: id.to_owned(),
        sha256: Digest::of(id.as_bytes()),
        key_id: key_id.map(str::to_owned),
        parent_id: None,
        subject: None,
        name: "jane\0".to_owned(),
        role: AdminRole::Operator,
        created_at: at,
        used_at: at,
        expires_at: at + TimeDelta::hours(12),
    }
}

fn link(id: &str, at: DateTime<Utc>) -> LoginLinkEntry {
    LoginLinkEntry {
        id: id.to_owned(),
        sha256: Digest::of(id.as_bytes()),
        key_id: None,
        session_id: Some("a session".to_owned()),
        role: AdminRole::Viewer,
        created_at: at,
        created_by: "cli:jane".to_owned(),
        expires_at: at + TimeDelta::minutes(10),
    }
}

fn jane() -> Principal {
    Principal::command_line("jane")
}

fn begun(entry: &SessionEntry) -> AuditEntry {
    AuditEntry::new(entry.created_at, &jane(), "session.begin", &entry.id, None)
}

async fn ids(metadata: &Metadata) -> Vec<String> {
    metadata.sessions().await.unwrap().into_iter().map(|session| session.id).collect()
}

pub(super) async fn links(metadata: &Metadata, other: &Metadata) {
    let (entry, now) = (link("a link", noon()), noon() + TimeDelta::minutes(1));
    metadata.create_login_link(&entry, &jane()).await.unwrap();
    let find = async |at| other.login_link(entry.sha256, at).await.unwrap();
    assert_eq!(find(now).await, Some(entry.clone()));
    assert_eq!(find(entry.expires_at).await, None);
    assert_eq!(other.login_link(Digest::of(b"another"), now).await.unwrap(), None);

    let (first, second) = (session("first", None, now), session("second", None, now));
    let late = session("late", None, entry.expires_at);
    assert!(!metadata.use_login_link("a link", &late, &begun(&late)).await.unwrap());
    let (by_first, by_second) = (begun(&first), begun(&second));
    let both = tokio::join!(
        metadata.use_login_link("a link", &first, &by_first),
        other.use_login_link("a link", &second, &by_second)
    );
    let only = match (both.0.unwrap(), both.1.unwrap()) {
        (true, false) => "first",
        (false, true) => "second",
        used => panic!("{used:?}: one of two uses it"),
    };
    assert_eq!(ids(metadata).await, [only]);
    assert_eq!(metadata.sessions().await.unwrap()[0].name, "jane\u{fffd}");
    assert_eq!(find(now).await, None);
    let log = metadata.audit_log(Some(only), 10).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["session.begin"]);

    for number in 0..=i64::try_from(LOGIN_LINKS_MAX).unwrap() {
        let at = now + TimeDelta::seconds(number);
        metadata.create_login_link(&link(&format!("link {number}"), at), &jane()).await.unwrap();
    }
    let is_there =
        async |id: &str| metadata.login_link(Digest::of(id.as_bytes()), now).await.unwrap().is_some();
    assert!(!is_there("link 0").await && is_there("link 1").await, "the oldest one ends");
    let ended = AuditEntry::new(now, &jane(), "session.end", only, None);
    assert!(metadata.end_session(only, &ended).await.unwrap());
    assert!(!metadata.end_session(only, &ended).await.unwrap());
    assert_eq!(metadata.audit_log(Some(only), 10).await.unwrap().len(), 2, "an end is audited once");
}

pub(super) async fn bounds_and_end(metadata: &Metadata) {
    let now = noon() + TimeDelta::hours(1);
    let begin = async |id: String, key: &str, at| {
        let entry = session(&id, Some(key).filter(|key| !key.is_empty()), at);
        metadata.begin_session(&entry, &begun(&entry)).await.unwrap();
    };
    begin("of a link".to_owned(), "", now).await;
    for number in 0..=i64::try_from(SESSIONS_OF_KEY_MAX).unwrap() {
        begin(format!("{number}"), "one", now + TimeDelta::seconds(number)).await;
    }
    let known = ids(metadata).await;
    assert_eq!(known.len(), SESSIONS_OF_KEY_MAX + 1);
    assert!(!known.contains(&"0".to_owned()), "the one that was used least recently ends: {known:?}");
    for number in known.len()..=SESSIONS_MAX {
        begin(format!("other {number}"), &format!("key {number}"), now + TimeDelta::minutes(1)).await;
    }
    let known = ids(metadata).await;
    assert_eq!((known.len(), known.contains(&"of a link".to_owned())), (SESSIONS_MAX, false));

    let later = now + TimeDelta::minutes(30);
    metadata.touch_session("1", later).await.unwrap();
    metadata.touch_session("1", now).await.unwrap();
    let used = metadata.sessions().await.unwrap();
    assert_eq!((used[0].id.as_str(), used[0].used_at), ("1", later), "the latest use counts");
    let idle = TimeDelta::hours(1);
    metadata.prune_sessions(later + TimeDelta::minutes(45), idle).await.unwrap();
    assert_eq!(ids(metadata).await, ["1"], "the others were idle");
    metadata.touch_session("1", now + TimeDelta::hours(12)).await.unwrap();
    metadata.prune_sessions(now + TimeDelta::hours(12), idle).await.unwrap();
    assert_eq!(ids(metadata).await, ["1"]);
    metadata.prune_sessions(now + TimeDelta::hours(12) + TimeDelta::seconds(1), idle).await.unwrap();
    assert_eq!(ids(metadata).await, [""; 0], "twelve hours are over");
}
