//! What may happen to a request.

use super::{bucket::Request, chance::Chance, hub::Who};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing unusual.
    Done,
    /// It fails and has no effect.
    Fail,
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is done twice, as a client that retries does; the second answer comes back.
    Twice,
    /// It fails, and is done a while later all the same.
    Late,
    /// It is done, and no answer ever comes.
    Hang,
    /// It is not done, and no answer ever comes.
    NeverArrives,
    /// One byte of what is read is another one.
    Corrupt,
    /// What is read ends half way, though its length was said to be the whole.
    Truncate,
    /// An earlier state of the object is read.
    Stale,
}

/// A fault that fits the request.
pub(super) fn fate(who: Who, request: &Request, chance: &mut Chance) -> Fate {
    let may_be_stale = matches!(who, Who::Replica(_));
    let (weights, fates): (&[u64], &[Fate]) = match request {
        Request::Put { is_creation, .. } => (
            // An upload is waited for much longer than a creation, in which little happens.
            if *is_creation { &[25, 25, 20, 15, 8, 7] } else { &[29, 29, 20, 20, 1, 1] },
            &[Fate::Fail, Fate::LoseAnswer, Fate::Twice, Fate::Late, Fate::Hang, Fate::NeverArrives],
        ),
        // Where SHA-256 tells what is damaged: not of catalog documents, nor of manifests that are listed.
        Request::Get { path, .. } if !path.starts_with("catalog/") && who != Who::Keeper => {
            (&[60, 10, 15, 15], &[Fate::Fail, Fate::Hang, Fate::Corrupt, Fate::Truncate])
        }
        Request::Get { path, .. } if may_be_stale && path == "catalog/head" => {
            (&[30, 10, 60], &[Fate::Fail, Fate::Hang, Fate::Stale])
        }
        Request::Get { .. } | Request::List { .. } => (&[85, 15], &[Fate::Fail, Fate::Hang]),
        Request::Delete { .. } => (&[50, 50], &[Fate::Fail, Fate::LoseAnswer]),
    };
    fates[chance.weighed(weights)]
}

/// How long a request is on its way.
pub(super) fn delay_ms(request: &Request, is_calm: bool, chance: &mut Chance) -> u64 {
    let is_creation = matches!(request, Request::Put { is_creation: true, .. });
    match chance.weighed(&[85, 15]) {
        _ if is_calm => chance.within(1, 5),
        1 if is_creation => chance.within(500, 12_000),
        1 => chance.within(50, 3_000),
        _ => chance.within(1, 30),
    }
}
