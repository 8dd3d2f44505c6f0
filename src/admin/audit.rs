//! The audit log: an action is written down before it begins, and its outcome after it.

use chrono::{DateTime, Utc};
use tracing::warn;

use super::{Admin, Principal, error::Error, publisher::Publisher};
use crate::{
    catalog::AnnounceError,
    metadata::{AUDIT_UNFINISHED, AuditEntry},
};

impl Admin {
    /// The newest entries, of one collection or key id or of all, newest first; 1,000 at most.
    pub async fn audit_log(&self, subject: Option<&str>, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        Ok(self.metadata.audit_log(subject, limit).await?)
    }
}

impl Admin {
    /// Writes that rows of `subject` are about to be shown: by a query, or a preview. Neither the query nor a row is
    /// written.
    ///
    /// # Errors
    /// Metadata's; then nothing may be shown.
    pub async fn audit_read(
        &self,
        principal: &Principal,
        action: &str,
        subject: &impl ToString,
    ) -> Result<(), Error> {
        self.metadata.audit(&AuditEntry::new(self.clock.now(), principal, action, subject, None)).await?;
        Ok(())
    }

    /// Entries before the one at `before` (`None`: the newest), of one collection or key id or of all, newest first,
    /// each with its place for the next page.
    pub async fn audit_before(
        &self,
        subject: Option<&str>,
        before: Option<(DateTime<Utc>, u64)>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditEntry)>, Error> {
        Ok(self.metadata.audit_before(subject, before, limit).await?)
    }
}

impl Publisher {
    /// Writes an audit entry for `action`, runs `act`, and completes the entry: with what `describe` says
    /// of the outcome, or with the error's code.
    ///
    /// # Errors
    /// Those of `act`. Metadata's when the entry cannot be written: then `act` does not run. When only the
    /// completion fails, the action has taken effect, and a warning says so.
    pub(super) async fn audited<T>(
        &self,
        principal: &Principal,
        action: &str,
        subject: &impl ToString,
        act: impl Future<Output = Result<T, Error>>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<T, Error> {
        let begun = Some(AUDIT_UNFINISHED.to_owned());
        let entry = AuditEntry::new(self.clock.now(), principal, action, subject, begun);
        let id = self.metadata.audit(&entry).await?;
        let done = act.await;
        let detail = match &done {
            Ok(done) => describe(done),
            Err(Error::Announce(error @ AnnounceError::Unknown)) => format!("not known: {}", error.code()),
            Err(error) => format!("failed: {}", error.code()),
        };
        if let Err(error) = self.metadata.audit_ended(id, &detail).await {
            let subject = entry.subject;
            warn!(action, subject, %error, "the action ended, and its outcome could not be written to the audit log");
        }
        done
    }
}
