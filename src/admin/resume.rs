//! Letting a paused sync run by its schedule again.

use super::{ATTEMPTS_MAX, Pause, Principal, error::Error, publisher::Publisher};
use crate::{
    catalog::{AnnounceError, Change},
    domain::CollectionName,
};

impl Publisher {
    /// Ends the pause of a sync and gives it; `None` when the sync had none. A server that runs the sync
    /// notices within two seconds.
    ///
    /// # Errors
    /// [`Error::UnknownSync`] for a name that is neither configured nor paused.
    pub async fn resume(&self, name: &CollectionName, principal: &Principal) -> Result<Option<Pause>, Error> {
        if self.pause(name).await?.is_none() {
            self.registry.find(name.as_str())?;
            return Ok(None);
        }
        let act = Box::pin(self.end_pause(name));
        self.audited(principal, "sync.resume", name, act, |ended| match ended {
            Some(pause) => pause.to_string(),
            None => "it was resumed meanwhile".to_owned(),
        })
        .await
    }

    async fn end_pause(&self, name: &CollectionName) -> Result<Option<Pause>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(pause) = self.pause(name).await? else { return Ok(None) };
            let change = Change::Resume { name: name.clone(), pause: pause.clone() };
            match self.announcer.announce(change).await {
                Ok(_) => return Ok(Some(pause)),
                Err(AnnounceError::Superseded) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AnnounceError::Superseded.into())
    }

    /// The pause of a sync.
    pub(super) async fn pause(&self, name: &CollectionName) -> Result<Option<Pause>, Error> {
        let newest = self.catalog.newest_of(&self.authority).await?;
        Ok(newest.and_then(|mut document| document.pauses.remove(name)))
    }
}
