//! Notes when API keys are used: on the node's board, from which its status goes to the store, and in a file, so that
//! a restart forgets nothing.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use chrono::{DateTime, SubsecRound, Utc};
use tracing::warn;

use crate::{
    auth::KeyRing,
    config::Config,
    domain::label::Label,
    status::Board,
    support::{clock::Clock, private_file, shutdown::Shutdown},
};

/// The name of the file in the node's directory.
const FILE: &str = "key_usage.json";
/// Poll intervals after which used keys are noted.
const POLLS: u32 = 5;

/// The task that notes uses of keys.
#[derive(Clone)]
pub(super) struct KeyUsage {
    keys: KeyRing,
    board: Board,
    clock: Clock,
    file: PathBuf,
    interval: Duration,
}

impl KeyUsage {
    /// A task that looks for used keys of `keys`, with its file in the node's directory.
    pub(super) fn new(config: &Config, keys: KeyRing, board: Board, clock: Clock) -> Self {
        let (file, interval) = (config.node.data_dir.join(FILE), config.replica.poll_interval * POLLS);
        Self { keys, board, clock, file, interval }
    }

    /// Runs until `stop`, and notes the last uses then.
    pub(super) async fn run(self, stop: Shutdown) {
        self.load().await;
        let mut is_failing = false;
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stop.cancelled() => {}
            }
            let noted = self.note().await;
            if let Err(error) = &noted
                && !is_failing
            {
                let file = self.file.display();
                warn!(%file, error = %error.kind(), "cannot save when keys were last used; a restart loses it");
            }
            is_failing = noted.is_err();
        }
    }

    /// Takes over what the file has. A file that cannot be read counts as empty: it is for people only.
    async fn load(&self) {
        let read = tokio::fs::read(&self.file).await;
        let read =
            read.ok().and_then(|bytes| serde_json::from_slice::<BTreeMap<Label, DateTime<Utc>>>(&bytes).ok());
        let known = read.unwrap_or_default();
        self.board.update(|status| {
            for (id, at) in known {
                status.note_used_keys([id], at);
            }
        });
    }

    /// Notes the keys that were used since the last call.
    async fn note(&self) -> io::Result<()> {
        let ids: Vec<Label> = self.keys.take_used().iter().map(|id| Label::fitted(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let now = self.clock.now().trunc_subsecs(0);
        self.board.update(|status| status.note_used_keys(ids, now));
        let bytes = self.board.view(|status| serde_json::to_vec(&status.keys_used))?;
        let (file, unfinished) = (self.file.clone(), self.file.with_extension("new"));
        let write = move || {
            private_file::options()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&unfinished)?
                .write_all(&bytes)?;
            std::fs::rename(&unfinished, &file)
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }
}
