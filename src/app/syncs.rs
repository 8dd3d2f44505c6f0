//! The loops of the syncs: one supervised task each, restarted when the configuration changes.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

use super::supervisor::Supervisor;
use crate::{
    scheduler::{ScheduledSync, Scheduler},
    support::shutdown::Shutdown,
};

/// Runs a loop for each of `syncs` until `stop`, which cancels active runs. A new value replaces all loops; active
/// runs finish with their old configuration.
pub(super) async fn run(
    scheduler: Scheduler,
    mut syncs: watch::Receiver<Arc<Vec<ScheduledSync>>>,
    supervisor: Supervisor,
    stop: Shutdown,
) {
    // Loops of earlier configurations, which end after their active run. The lease of a sync keeps its old and new
    // loop from running at the same time.
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
        // The supervisor has logged how it ended.
        let _ = one.await;
    }
}
