//! Probes of a store: whether it creates an object only where none exists, and what time it is by its clock.
//! Announcements depend on the former, and some servers accept the condition and ignore it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use object_store::path::Path;

use super::{client::Store, error::Error};
use crate::support::random;

/// Directory of the objects that probe a store.
pub(crate) const PROBES: &str = "probe";
/// The object that shows the store's time. It is overwritten, always with the same content.
pub(crate) const CLOCK: &str = "probe/clock";
/// Writers that race for one object: a server that checks first and writes later lets several win.
const WRITERS: usize = 8;

impl Store {
    /// The present time by the store's clock, which last-modified times are of: that of an object just written. It is
    /// never ahead of that clock, and behind by a second at most beside the duration of two requests.
    pub(crate) async fn now(&self) -> Result<DateTime<Utc>, Error> {
        let path = Path::from(CLOCK);
        self.put(&path, Bytes::from_static(b"clock")).await?;
        self.modified(&path).await?.ok_or_else(|| Error::Missing(path.to_string()))
    }

    /// Probes the store with a temporary object.
    ///
    /// # Errors
    /// [`Error::UnconditionalCreate`] when the store must not be used. Others when the store does not answer;
    /// the question is open then.
    pub async fn check_conditional_create(&self) -> Result<(), Error> {
        if self.is_local() {
            return Ok(()); // The file system creates links exclusively.
        }
        let path = Path::from(format!("{PROBES}/{:032x}", u128::from_le_bytes(random::bytes())));
        let create = |writer: usize| self.create(&path, Bytes::from(format!("writer {writer}")));
        let raced = join_all((0..WRITERS).map(create)).await;
        // A writer that comes after the object exists must lose too.
        let late = create(WRITERS).await;
        let deleted = self.delete(&path).await;
        evaluate(raced.into_iter().chain([late]))?;
        deleted
    }
}

/// Allows one winner at most. No winner is sound: the store may report to a retried write that its own
/// object exists.
fn evaluate(outcomes: impl Iterator<Item = Result<(), Error>>) -> Result<(), Error> {
    let (mut winners, mut writers, mut failure) = (0, 0, None);
    for outcome in outcomes {
        writers += 1;
        match outcome {
            Ok(()) => winners += 1,
            Err(Error::Exists(_)) => {}
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        _ if winners > 1 => Err(Error::UnconditionalCreate { winners, writers }),
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(outcomes: &str) -> &'static str {
        let outcome = |letter| match letter {
            'w' => Ok(()),
            'e' => Err(Error::Exists("p".into())),
            _ => Err(Error::Timeout { operation: "write", path: "p".into(), seconds: 10 }),
        };
        evaluate(outcomes.chars().map(outcome)).map_or_else(|error| error.code(), |()| "sound")
    }

    #[test]
    fn a_store_with_two_winners_is_refused() {
        for (outcomes, code) in [
            ("weeeeeeee", "sound"),
            ("eeeeweeee", "sound"),
            ("eeeeeeeee", "sound"),
            ("wweeeeeee", "store_overwrites"),
            ("weeeeeeew", "store_overwrites"),
            ("wwwwwwwww", "store_overwrites"),
            ("wttttttww", "store_overwrites"),
            ("weeteeeee", "store_timeout"),
            ("ttttttttt", "store_timeout"),
        ] {
            assert_eq!(code_of(outcomes), code, "{outcomes}");
        }
    }
}
