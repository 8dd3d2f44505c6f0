//! The story's part on leases, and what SQLite's file locks add.

use std::{
    io::BufRead,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use larder::{
    metadata::{Error, Lease, LeaseOutcome, Metadata, Settings},
    support::clock::Clock,
};

use super::{MINUTE, clock, sqlite};

async fn acquire(metadata: &Metadata, lease: &str, holder: &str, ttl: Duration) -> Lease {
    match metadata.acquire_lease(lease, holder, ttl).await.unwrap() {
        LeaseOutcome::Held(lease) => lease,
        LeaseOutcome::HeldElsewhere { holder, expires_in } => panic!("held by {holder} for {expires_in:?}"),
    }
}

async fn refused(metadata: &Metadata, lease: &str, holder: &str) -> (String, Duration) {
    match metadata.acquire_lease(lease, holder, MINUTE).await.unwrap() {
        LeaseOutcome::Held(lease) => panic!("two holders: {lease:?}"),
        LeaseOutcome::HeldElsewhere { holder, expires_in } => (holder, expires_in),
    }
}

pub(super) async fn one_after_another(metadata: &Metadata, other: &Metadata) {
    let customer = "sync:customer";
    let first = acquire(metadata, customer, "node a", MINUTE).await;
    assert_eq!((first.name.as_str(), first.holder.as_str(), first.fencing), (customer, "node a", 1));
    let (holder, expires_in) = refused(other, customer, "node b").await;
    assert_eq!(holder, "node a");
    assert!(expires_in > MINUTE / 2 && expires_in <= MINUTE, "{expires_in:?}");
    refused(other, customer, "node a").await;
    refused(metadata, customer, "node a").await;
    let apart = acquire(other, "housekeeping", "node b", MINUTE).await;
    assert_eq!(apart.fencing, 1, "leases are apart");

    assert!(metadata.renew_lease(&first, MINUTE * 10).await.unwrap());
    assert!(refused(other, customer, "node b").await.1 > MINUTE * 5, "renewal moves the expiry");

    metadata.release_lease(&first).await.unwrap();
    metadata.release_lease(&first).await.unwrap();
    assert!(!metadata.renew_lease(&first, MINUTE).await.unwrap(), "a released lease is lost");
    let second = acquire(metadata, customer, "node a", MINUTE).await;
    assert_eq!(second.fencing, 2, "the same process may take it again");
    assert!(!metadata.renew_lease(&first, MINUTE).await.unwrap(), "the first holding stays lost");
    metadata.release_lease(&first).await.unwrap();
    assert!(metadata.renew_lease(&second, MINUTE).await.unwrap(), "its release does not touch the second");
    metadata.release_lease(&second).await.unwrap();

    // Expired at once, by the database's clock.
    let third = acquire(other, customer, "node b", Duration::ZERO).await;
    assert_eq!(third.fencing, 3);
    assert!(!other.renew_lease(&third, MINUTE).await.unwrap(), "an expired lease is lost");
    drop(third);
    let fourth = acquire(metadata, customer, "node a", MINUTE).await;
    assert_eq!(fourth.fencing, 4, "expiry hands it on and the number rises");

    for bad in ["", "a/b", "../x", &"x".repeat(200)] {
        let error = metadata.acquire_lease(bad, "node a", MINUTE).await.unwrap_err();
        assert!(matches!(error, Error::InvalidLeaseName), "{error}");
    }
}

pub(super) async fn competing_for_one_lease(metadata: &Metadata, other: &Metadata) {
    for round in 1..=5 {
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let metadata = if number % 2 == 0 { metadata.clone() } else { other.clone() };
                tokio::spawn(async move {
                    metadata.acquire_lease("sync:contended", &format!("task {number}"), MINUTE).await.unwrap()
                })
            })
            .collect();
        let mut held = Vec::new();
        for task in tasks {
            if let LeaseOutcome::Held(lease) = task.await.unwrap() {
                held.push(lease);
            }
        }
        assert_eq!(held.len(), 1, "one winner");
        assert_eq!(held[0].fencing, round);
        metadata.release_lease(&held[0]).await.unwrap();
    }
}

#[tokio::test]
async fn a_sqlite_lease_that_was_dropped_is_free_and_links_lead_to_the_same_lock() {
    let root = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(&sqlite(&root), clock()).await.unwrap();
    let link = root.path().join("link.db");
    std::os::unix::fs::symlink(root.path().join("metadata.db"), &link).unwrap();
    let linked = Metadata::open(&Settings::Sqlite { path: link }, clock()).await.unwrap();
    let lease = acquire(&metadata, "sync:customer", "node a", MINUTE).await;
    refused(&linked, "sync:customer", "node b").await;
    drop(lease);
    assert_eq!(acquire(&linked, "sync:customer", "node b", MINUTE).await.fencing, 2);
}

/// Tells the child process below which file to use.
const CHILD_FILE: &str = "LARDER_TEST_METADATA_FILE";

/// The child process of the test below; without its variable there is nothing to do.
#[tokio::test]
async fn hold_a_lease_until_killed() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let settings = Settings::Sqlite { path: PathBuf::from(path) };
    let metadata = Metadata::open(&settings, Clock::default()).await.unwrap();
    let _lease = acquire(&metadata, "sync:customer", "the child", MINUTE * 60).await;
    println!("\nheld");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_holder_of_a_sqlite_lease_frees_it_at_once() {
    let root = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(&sqlite(&root), clock()).await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "metadata::leases::hold_a_lease_until_killed", "--nocapture"])
        .env(CHILD_FILE, root.path().join("metadata.db"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"), "the child took the lease");
    assert_eq!(refused(&metadata, "sync:customer", "the parent").await.0, "the child");

    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let lease = loop {
        match metadata.acquire_lease("sync:customer", "the parent", MINUTE).await.unwrap() {
            LeaseOutcome::Held(lease) => break lease,
            LeaseOutcome::HeldElsewhere { .. } => {
                assert!(Instant::now() < deadline, "a dead process still holds the lease");
                tokio::task::yield_now().await;
            }
        }
    };
    assert_eq!(lease.fencing, 2);
}
