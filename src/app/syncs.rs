//! The loops of the syncs: one supervised task each, started anew when the configuration changes.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

use super::supervisor::Supervisor;
use crate::{
    scheduler::{ScheduledSync, Scheduler},
    support::shutdown::Shutdown,
};

/// Runs a loop for each of `syncs`, until `stop`; runs under way are then cancelled. A new value replaces
/// all loops; runs under way end as they began.
pub(super) async fn run(
    scheduler: Scheduler,
    mut syncs: watch::Receiver<Arc<Vec<ScheduledSync>>>,
    supervisor: Supervisor,
    stop: Shutdown,
) {
    // Loops of an earlier configuration that end with the run they are in. They hold up nobody: the
    // lease keeps a sync's old and new loop apart.
    let mut ending: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let retire = stop.child_token();
        let scheduled = Arc::clone(&syncs.borrow_and_update());
        let loops = scheduled.iter().map(|sync| {
            let name = format!("sync.{}", sync.spec.collection);
            let sync_loop = scheduler.clone().sync_loop(sync.clone(), retire.clone(), stop.clone());
            supervisor.spawn_restartable(name, retire.clone(), move || sync_loop.clone().run())
        });
        ending.extend(loops);
        tokio::select! {
            Ok(()) = syncs.changed() => {}
            () = stop.cancelled() => break,
        }
        retire.cancel();
        ending.retain(|one| !one.is_finished());
    }
    for one in ending {
        // It ended; the supervisor has told how.
        let _ = one.await;
    }
}
