//! Who does what: written down before it is done, and how it ended afterwards.

use tracing::warn;

use super::{error::Error, publisher::Publisher};
use crate::{
    catalog::AnnounceError,
    metadata::{AUDIT_UNFINISHED, AuditEntry},
};

impl Publisher {
    /// Writes down that `actor` is about to do `action` to `subject`, lets `act` do it, and writes down
    /// how it ended: what `told` says of it, or the error's code.
    ///
    /// # Errors
    /// Those of `act`; and metadata's when the log cannot be written: then nothing was done. When only
    /// the end cannot be written the outcome stands, and a warning says so.
    pub(super) async fn audited<T>(
        &self,
        (actor, action): (&str, &str),
        subject: &impl ToString,
        act: impl Future<Output = Result<T, Error>>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T, Error> {
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_string(),
            detail: Some(AUDIT_UNFINISHED.to_owned()),
        };
        let id = self.metadata.audit(&entry).await?;
        let done = act.await;
        let detail = match &done {
            Ok(done) => told(done),
            Err(Error::Announce(error @ AnnounceError::Unknown)) => format!("not known: {}", error.code()),
            Err(error) => format!("failed: {}", error.code()),
        };
        if let Err(error) = self.metadata.audit_ended(id, &detail).await {
            let subject = entry.subject;
            warn!(action, subject, %error, "it is done, and the audit log says only that it was begun");
        }
        done
    }
}
