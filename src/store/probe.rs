//! Whether a store creates an object only where none is. Announcements stand and fall with it, and
//! there are servers that accept the condition and ignore it.

use bytes::Bytes;
use futures::future::join_all;

use crate::store::client::Store;
use crate::store::error::Error;
use crate::store::paths;
use crate::support::random;

/// Writers that race for one object: a server that looks first and writes then lets several win.
const WRITERS: usize = 8;

impl Store {
    /// Tries the store out with an object of its own, which is removed again.
    ///
    /// # Errors
    /// [`Error::UnconditionalCreate`] when the store must not be used; others when it does not
    /// answer, which leaves the matter open.
    pub async fn check_conditional_create(&self) -> Result<(), Error> {
        if self.is_near() {
            return Ok(()); // The file system's own exclusive link.
        }
        let path = paths::probe(u128::from_le_bytes(random::bytes()));
        let create = |writer: usize| self.create(&path, Bytes::from(format!("writer {writer}")));
        let raced = join_all((0..WRITERS).map(create)).await;
        // Whoever comes once it is there must lose too.
        let late = create(WRITERS).await;
        let removed = self.delete(&path).await;
        judge(raced.into_iter().chain([late]))?;
        removed
    }
}

/// A retried write may be told that its own object exists: no winner at all is fine, two are not.
fn judge(outcomes: impl Iterator<Item = Result<(), Error>>) -> Result<(), Error> {
    let (mut winners, mut writers, mut failure) = (0, 0, None);
    for outcome in outcomes {
        writers += 1;
        match outcome {
            Ok(()) => winners += 1,
            Err(Error::Exists { .. }) => {}
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

    fn judged(outcomes: &str) -> &'static str {
        let outcome = |letter| match letter {
            'w' => Ok(()),
            'e' => Err(Error::Exists { path: "p".into() }),
            _ => Err(Error::Timeout { operation: "write", path: "p".into(), seconds: 10 }),
        };
        judge(outcomes.chars().map(outcome)).map_or_else(|error| error.code(), |()| "fine")
    }

    #[test]
    fn one_winner_at_most() {
        for (outcomes, code) in [
            ("weeeeeeee", "fine"),
            ("eeeeweeee", "fine"),
            ("eeeeeeeee", "fine"),
            ("wweeeeeee", "store_overwrites"),
            ("weeeeeeew", "store_overwrites"),
            ("wwwwwwwww", "store_overwrites"),
            ("wttttttww", "store_overwrites"),
            ("weeteeeee", "store_timeout"),
            ("ttttttttt", "store_timeout"),
        ] {
            assert_eq!(judged(outcomes), code, "{outcomes}");
        }
    }
}
