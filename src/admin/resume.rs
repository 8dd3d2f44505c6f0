//! Letting a paused sync run by its schedule again.

use super::{Admin, Pause, Principal, error::Error};
use crate::domain::name::CollectionName;

impl Admin {
    /// Ends the pause of a sync and gives it; `None` when the sync had none. A server that runs the sync
    /// notices within two seconds.
    ///
    /// # Errors
    /// [`Error::UnknownSync`] for a name that is neither configured nor paused.
    pub async fn resume(&self, name: &CollectionName, principal: &Principal) -> Result<Option<Pause>, Error> {
        let ended = self.metadata.resume_sync(name, principal.as_str(), None).await?;
        if ended.is_none() {
            self.registry.find(name.as_str())?;
        }
        Ok(ended)
    }
}
