//! The possible outcomes of a request.

use super::{bucket::Request, hub::Who};
use crate::support::chance::Chance;

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// No fault.
    Done,
    /// It fails and has no effect.
    Fail,
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is carried out twice, like a retry; the second answer arrives.
    Twice,
    /// It fails, and is carried out later nevertheless.
    Late,
    /// It is carried out, and no answer ever arrives.
    Hang,
    /// It is not carried out, and no answer ever arrives.
    NeverArrives,
    /// One bit of the object is flipped.
    Corrupt,
    /// Half of the object arrives, with the length of the whole.
    Truncate,
    /// An earlier state of the object arrives.
    Stale,
}

/// Chooses a fault that is possible for the request.
pub(super) fn choose_outcome(who: Who, request: &Request, chance: &mut Chance) -> RequestOutcome {
    let may_be_stale = matches!(who, Who::Replica(_));
    let (weights, outcomes): (&[u64], &[RequestOutcome]) = match request {
        Request::Put { is_creation, .. } => (
            // Clients wait much longer for an upload than for a creation, and little happens meanwhile.
            if *is_creation { &[25, 25, 20, 15, 8, 7] } else { &[29, 29, 20, 20, 1, 1] },
            &[
                RequestOutcome::Fail,
                RequestOutcome::LoseAnswer,
                RequestOutcome::Twice,
                RequestOutcome::Late,
                RequestOutcome::Hang,
                RequestOutcome::NeverArrives,
            ],
        ),
        // Where SHA-256 detects damage: not for catalog documents, nor for manifests that are listed.
        Request::Get { path, .. } if !path.starts_with("catalog/") && who != Who::Housekeeper => (
            &[60, 10, 15, 15],
            &[RequestOutcome::Fail, RequestOutcome::Hang, RequestOutcome::Corrupt, RequestOutcome::Truncate],
        ),
        Request::Get { path, .. } if may_be_stale && path == "catalog/head" => {
            (&[30, 10, 60], &[RequestOutcome::Fail, RequestOutcome::Hang, RequestOutcome::Stale])
        }
        Request::Get { .. } | Request::List { .. } => {
            (&[85, 15], &[RequestOutcome::Fail, RequestOutcome::Hang])
        }
        Request::Delete { .. } => (&[50, 50], &[RequestOutcome::Fail, RequestOutcome::LoseAnswer]),
    };
    outcomes[chance.weighed(weights)]
}

/// The delay of a request.
pub(super) fn delay_ms(request: &Request, is_calm: bool, chance: &mut Chance) -> u64 {
    let is_creation = matches!(request, Request::Put { is_creation: true, .. });
    match chance.weighed(&[85, 15]) {
        _ if is_calm => chance.within(1, 5),
        1 if is_creation => chance.within(500, 12_000),
        1 => chance.within(50, 3_000),
        _ => chance.within(1, 30),
    }
}
