//! The caller's limit on the age of the data: `?max_age=15m&on_stale=serve|miss`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::codes::Code;
use crate::domain::duration;

/// The parameter for the oldest data that is accepted.
pub(in crate::api) const MAX_AGE: &str = "max_age";
/// The parameter for the answer when the data is older.
pub(in crate::api) const ON_STALE: &str = "on_stale";

/// The answer when the data is older than the caller accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum OnStale {
    /// The record, with `X-Data-Stale`.
    Serve,
    /// A miss; the default with `max_age`.
    Miss,
}

impl OnStale {
    /// Every choice by its word.
    pub(in crate::api) const WORDS: [(&'static str, Self); 2] =
        [("serve", Self::Serve), ("miss", Self::Miss)];

    fn of(word: &str) -> Result<Self, Code> {
        let choice = Self::WORDS.iter().find(|(known, _)| *known == word);
        choice.map(|(_, choice)| *choice).ok_or(Code::InvalidParameter)
    }
}

/// The parameters of one request; without them data of any age is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    max_age: Option<Duration>,
    pub(super) on_stale: OnStale,
}

impl Freshness {
    /// Reads the parameters of a query. A known parameter that occurs twice is refused like one with an
    /// invalid value. Others are ignored, whatever they hold.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Code> {
        let (mut max_age, mut on_stale) = (None, None);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let is_second = match &*name {
                MAX_AGE => {
                    let age = duration::parse(&value).map_err(|_| Code::InvalidParameter)?;
                    max_age.replace(age).is_some()
                }
                ON_STALE => on_stale.replace(OnStale::of(&value)?).is_some(),
                _ => false,
            };
            if is_second {
                return Err(Code::InvalidParameter);
            }
        }
        Ok(Self { max_age, on_stale: on_stale.unwrap_or(OnStale::Miss) })
    }

    /// Whether data of `as_of` is too old for the caller. The clock is read only with `max_age`.
    pub(super) fn is_stale(&self, as_of: DateTime<Utc>, now: impl FnOnce() -> DateTime<Utc>) -> bool {
        // An age that is too large to represent is never exceeded.
        let max_age = self.max_age.and_then(|age| TimeDelta::from_std(age).ok());
        max_age.is_some_and(|max_age| now() - as_of > max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_read_and_others_ignored() {
        let minutes = |n: u64| Some(Duration::from_secs(60 * n));
        for (query, expected) in [
            (None, Ok((None, OnStale::Miss))),
            (Some(""), Ok((None, OnStale::Miss))),
            (Some("a=1&b=%zz&fields&&=&%FF=%FF"), Ok((None, OnStale::Miss))),
            (Some("max_age=15m"), Ok((minutes(15), OnStale::Miss))),
            (Some("x=1&max_age=15m&on_stale=serve"), Ok((minutes(15), OnStale::Serve))),
            (Some("on_stale=miss&max%5Fage=15%6D"), Ok((minutes(15), OnStale::Miss))),
            (Some("on_stale=serve"), Ok((None, OnStale::Serve))),
            (
                Some("max_age=106751991167d"),
                Ok((Some(Duration::from_hours(106_751_991_167 * 24)), OnStale::Miss)),
            ),
            (Some("max_age"), Err(Code::InvalidParameter)),
            (Some("max_age="), Err(Code::InvalidParameter)),
            (Some("max_age=15"), Err(Code::InvalidParameter)),
            (Some("max_age=-1s"), Err(Code::InvalidParameter)),
            (Some("max_age=99999999999999999999d"), Err(Code::InvalidParameter)),
            (Some("max_age=1s&max_age=1s"), Err(Code::InvalidParameter)),
            (Some("on_stale=Serve"), Err(Code::InvalidParameter)),
            (Some("on_stale="), Err(Code::InvalidParameter)),
            (Some("on_stale=miss&on_stale=miss"), Err(Code::InvalidParameter)),
        ] {
            let read = Freshness::of(query).map(|freshness| (freshness.max_age, freshness.on_stale));
            assert_eq!(read, expected, "{query:?}");
        }
    }

    #[test]
    fn data_is_stale_if_it_is_older_than_max_age() {
        let as_of = DateTime::UNIX_EPOCH;
        let at = |ms| as_of + TimeDelta::milliseconds(ms);
        let freshness = Freshness::of(Some("max_age=10s")).unwrap();
        for (now_ms, expected) in [(-5000, false), (0, false), (10_000, false), (10_001, true)] {
            assert_eq!(freshness.is_stale(as_of, || at(now_ms)), expected, "{now_ms}");
        }
        let zero = Freshness::of(Some("max_age=0s")).unwrap();
        assert!(zero.is_stale(as_of, || at(1)));
        for any_age in [None, Some("max_age=106751991167d")] {
            assert!(
                !Freshness::of(any_age).unwrap().is_stale(as_of, || DateTime::<Utc>::MAX_UTC),
                "{any_age:?}"
            );
        }
    }
}
