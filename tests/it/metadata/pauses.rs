//! The story's part on paused syncs.

use chrono::TimeDelta;
use larder::{
    domain::id::RunId,
    metadata::{Metadata, Pause},
    support::random,
};

use super::{name, noon};

pub(super) async fn paused_and_resumed(metadata: &Metadata, other: &Metadata) {
    let person = name("pause-person");
    let pause = |minute, why: &str| Pause {
        at: noon() + TimeDelta::minutes(minute),
        by: "cli".to_owned(),
        why: why.to_owned(),
        pending: None,
    };
    assert_eq!(metadata.pause(&person).await.unwrap(), None);
    assert_eq!(metadata.resume_sync(&person, "cli", None).await.unwrap(), None);
    let first = pause(1, "rolled back to 41");
    assert_eq!(metadata.pause_sync(&person, &first).await.unwrap(), None);
    assert_eq!(other.pause(&person).await.unwrap(), Some(first.clone()));
    assert_eq!(other.pause(&name("pause-other")).await.unwrap(), None);
    // A later pause replaces it and returns it.
    let second = pause(2, "rolled back to 40\0");
    assert_eq!(other.pause_sync(&person, &second).await.unwrap(), Some(first));
    let ended = metadata.resume_sync(&person, "cli", Some("dropped")).await.unwrap().unwrap();
    assert_eq!((ended.at, ended.why.as_str()), (second.at, "rolled back to 40\u{fffd}"));
    assert_eq!(other.pause(&person).await.unwrap(), None);

    // The pause of a rollback is pending until the announcement is known.
    let pending = name("pause-pending");
    let run = RunId::from_uuid(random::uuid());
    let made = Pause { pending: Some(run), ..pause(3, "rolled back to 39") };
    metadata.pause_sync(&pending, &made).await.unwrap();
    assert_eq!(other.pause(&pending).await.unwrap(), Some(made.clone()));
    assert_eq!(other.syncs_with_pending_pauses().await.unwrap(), std::slice::from_ref(&pending));
    assert!(!other.confirm_pause(&pending, RunId::from_uuid(random::uuid())).await.unwrap(), "another one");
    assert!(other.confirm_pause(&pending, run).await.unwrap());
    assert!(!other.confirm_pause(&pending, run).await.unwrap(), "it is confirmed");
    assert_eq!(metadata.pause(&pending).await.unwrap(), Some(Pause { pending: None, ..made }));
    assert_eq!(metadata.syncs_with_pending_pauses().await.unwrap(), []);

    let log = metadata.audit_log(None, 100).await.unwrap();
    let mut told: Vec<_> = log
        .iter()
        .rev()
        .filter(|entry| entry.subject == "pause-person")
        .map(|entry| (entry.action.as_str(), entry.detail.as_deref().unwrap_or("")))
        .collect();
    let mut expected = vec![
        ("sync.pause", "rolled back to 41"),
        ("sync.pause", "rolled back to 40\u{fffd}"),
        ("sync.resume", "dropped"),
    ];
    // Entries of the same moment keep their order.
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
}
