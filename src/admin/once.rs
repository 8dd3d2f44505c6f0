//! Requests with an idempotency key: each is worked on once.

use serde_json::Value;
use tracing::warn;

use super::{Admin, error::Error};
use crate::{domain::Digest, metadata::Claim, support::random};

/// The key of a request that may be sent again.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// The id of the admin key that sends it.
    pub holder: String,
    /// The key, as the client chose it.
    pub name: String,
    /// Digest of the request.
    pub request: Digest,
}

impl RequestKey {
    /// A name for a request that nobody else uses.
    pub fn new_name() -> String {
        random::uuid().simple().to_string()
    }
}

impl Admin {
    /// Works on a request once: `act` gives the answer, and what of it is kept for a request with the same key. The
    /// second value says whether the answer is such a repeated one. Without a key `act` always runs.
    ///
    /// # Errors
    /// [`Error::RequestUnderWay`], [`Error::IdempotencyKeyReused`]; those of `act`, after which the key may be used again.
    pub async fn once(
        &self,
        key: Option<RequestKey>,
        act: impl Future<Output = Result<(Value, Value), Error>>,
    ) -> Result<(Value, bool), Error> {
        let Some(RequestKey { holder, name, request }) = key else {
            return Ok((act.await?.0, false));
        };
        match self.metadata.claim_request(&holder, &name, request, self.clock.now()).await? {
            Claim::New => {}
            Claim::Answered(answer) => return Ok((serde_json::from_str(&answer).unwrap_or_default(), true)),
            Claim::UnderWay => return Err(Error::RequestUnderWay),
            Claim::OtherRequest => return Err(Error::IdempotencyKeyReused),
        }
        let done = act.await;
        let stored = match &done {
            Ok((_, kept)) => self.metadata.answer_request(&holder, &name, &kept.to_string()).await,
            Err(_) => self.metadata.release_request(&holder, &name).await,
        };
        if let Err(error) = stored {
            warn!(code = error.code(), %error, "the answer to a request with an Idempotency-Key could not be stored");
        }
        Ok((done?.0, false))
    }
}
