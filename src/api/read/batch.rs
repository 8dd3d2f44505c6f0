//! Many records by values of one index: `POST /v1/collections/{collection}/records/{index}/batch`.
//!
//! The whole answer is built before its first byte is sent: the status depends on its size, and all of its records must
//! be of one version. The size limit of an answer bounds the memory; the listener sends it piece by piece.

use chrono::{DateTime, Utc};
use hashbrown::HashSet;
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{Origin, RecordAnswer, records},
    body::text,
    codes::Code,
    compose::Composition,
    freshness::OnStale,
    handler::Admitted,
    join::Limits,
    state::ReadState,
    values::{opens_record, text_to_look_up},
};
use crate::{
    api::http::error::{Detail, Error},
    cache::{Collection, Lookup, Served},
    domain::{bounded::list, json},
};

/// Most values of one request.
pub(in crate::api) const VALUES_MAX: usize = 1000;
/// Largest body, in bytes: a thousand index values of 1 KiB.
pub(in crate::api) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest answer, in bytes: a thousand records of usual size, or eight of the largest.
pub(in crate::api) const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Quotes, colon, comma and the end of an answer, around a value and its record.
const MEMBER_BYTES: usize = 8;

/// Values whose records are touched before they are read: their bytes fit a core's own cache.
const TOUCHED_AT_ONCE: usize = 128;

/// The values in `body`, as a look-up by POST reads one: strings, numbers, booleans, null.
pub(super) fn values(body: &[u8]) -> Result<Vec<String>, Error<Code>> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow, deserialize_with = "list::<_, _, VALUES_MAX>")]
        values: Vec<&'a RawValue>,
    }
    let read = || -> Option<Vec<String>> {
        // serde also reads a struct from an array.
        let object = Some(body).filter(|body| body.trim_ascii_start().starts_with(b"{"))?;
        let batch: Batch<'_> = serde_json::from_slice(object).ok()?;
        batch.values.into_iter().map(|value| text(value.get())).collect()
    };
    read().ok_or_else(|| {
        let message = format!(
            "the body has no list of at most {VALUES_MAX} values to look up; send {{\"values\":[\"...\"]}} as JSON, \
             with strings, numbers or booleans"
        );
        Error::new(Code::InvalidBody, Detail::Message(message))
    })
}

/// Answers a request for the records of `values`.
pub(super) fn look_up(
    collection: &Collection,
    state: &ReadState,
    admitted: &Admitted<'_>,
    values: &[String],
    headers: &HeaderMap,
) -> RecordAnswer {
    let (served, answer) = collection.read_at_once(|served| {
        (served.clone(), Batch { collection, state, admitted, served }.answer(values))
    });
    let inner = state.inner();
    let as_of = answer.as_ref().map_or(served.data_as_of, |answered| answered.1);
    let is_stale = admitted.parameters.freshness.is_stale(as_of, || inner.clock.now());
    let content = match answer {
        Ok(_) if is_stale && admitted.parameters.freshness.on_stale == OnStale::Miss => {
            Err(Code::DataStale.into())
        }
        Ok((answer, _)) => Ok(records(answer, inner.limits.compress_min_bytes, headers)),
        Err(error) => Err(error),
    };
    RecordAnswer::of_collection(content, || {
        let view = inner.views.of(&served, &inner.metrics);
        let index = view.position(&admitted.path.index);
        Origin { view, index, is_stale, as_of: Some(as_of).filter(|as_of| *as_of != served.data_as_of) }
    })
}

/// One attempt to answer.
struct Batch<'a> {
    collection: &'a Collection,
    state: &'a ReadState,
    admitted: &'a Admitted<'a>,
    served: &'a Served,
}

impl Batch<'_> {
    /// An object with the record of each value, or null, and the time of the oldest data in it.
    fn answer(&self, values: &[String]) -> Result<(Vec<u8>, DateTime<Utc>), Error<Code>> {
        let Self { admitted, served, .. } = self;
        let inner = self.state.inner();
        let composition = Composition::of(inner, &admitted.caller, served, &admitted.parameters)?;
        let mut limits = Limits::new(ANSWER_BYTES_MAX);
        let mut seen = HashSet::with_capacity(values.len());
        let (mut answer, mut record) = (vec![b'{'], Vec::new());
        self.check_index()?;
        for (at, value) in values.iter().enumerate().filter(|(_, value)| seen.insert(value.as_str())) {
            if answer.len() > 1 {
                answer.push(b',');
            }
            json::write_string(&mut answer, value.as_bytes());
            answer.push(b':');
            if at.is_multiple_of(TOUCHED_AT_ONCE) {
                let next = values[at..].iter().take(TOUCHED_AT_ONCE).map(String::as_str);
                self.collection.touch(&admitted.path.index, next);
            }
            let is_found = self.find(value, &mut record)?;
            let member = value.len() + record.len() + MEMBER_BYTES;
            if answer.capacity() - answer.len() < member {
                // Reserves space for the others, which have about this size: growth in steps copies twice as much.
                answer.reserve(member.saturating_mul(values.len() - at).min(ANSWER_BYTES_MAX));
            }
            match (is_found, &composition) {
                (false, _) => answer.extend_from_slice(b"null"),
                (true, None) => answer.extend_from_slice(&record),
                (true, Some(composition)) => composition.append(&record, &mut limits, &mut answer)?,
            }
            limits.check(&answer)?;
        }
        answer.push(b'}');
        let as_of = served.data_as_of;
        Ok((answer, composition.map_or(as_of, |composition| composition.data_as_of(as_of))))
    }

    /// Refuses an index that the collection does not have, also when there are no values.
    fn check_index(&self) -> Result<(), Error<Code>> {
        match self.collection.lookup(&self.admitted.path.index, "", &mut Vec::new()) {
            Lookup::UnknownIndex => Err(Code::IndexNotFound.into()),
            _ => Ok(()),
        }
    }

    /// Writes the record of `value` into `record`; returns whether there is one. A caller over its rate limit gets none.
    fn find(&self, value: &str, record: &mut Vec<u8>) -> Result<bool, Error<Code>> {
        let index = &self.admitted.path.index;
        let (manifest, secrets) = (&self.served.manifest, self.state.inner().secrets.load());
        let text = text_to_look_up(manifest, index, value, &secrets)?;
        let rights = self.admitted.caller.rights(&self.admitted.path.collection);
        if !opens_record(rights, manifest, &text, &secrets) {
            return Err(Code::Forbidden.into());
        }
        if self.admitted.is_throttled {
            return Ok(false);
        }
        match self.collection.lookup(index, &text, record) {
            Lookup::Hit { .. } => Ok(true),
            Lookup::Miss => Ok(false),
            Lookup::UnknownIndex => Err(Code::IndexNotFound.into()),
            Lookup::Unreadable(error) => {
                let collection = self.served.manifest.collection.as_str();
                tracing::error!(collection, %error, "a stored record cannot be read");
                Err(Code::Internal.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_scalars() {
        for (body, expected) in [
            (r#"{"values":[]}"#, Some(&[][..])),
            (
                r#" {"a":{},"values":["x","\u00e9",12345,1e2,true,null,"x"]} "#,
                Some(&["x", "é", "12345", "100", "true", "", "x"]),
            ),
            (r#"{"values":{}}"#, None),
            (r#"{"values":"x"}"#, None),
            (r#"{"values":[["x"]]}"#, None),
            (r#"{"values":[{}]}"#, None),
            (r#"{"values":["x"],"values":[]}"#, None),
            (r#"[["x"]]"#, None),
            (r#"{"value":"x"}"#, None),
            ("", None),
        ] {
            let read = values(body.as_bytes()).ok();
            let expected = expected.map(|values| values.iter().map(|&value| value.to_owned()).collect());
            assert_eq!(read, expected, "{body}");
        }
        let many = |count: usize| format!("{{\"values\":[{}]}}", vec!["1"; count].join(","));
        assert_eq!(values(many(VALUES_MAX).as_bytes()).unwrap().len(), VALUES_MAX);
        assert!(values(many(VALUES_MAX + 1).as_bytes()).is_err());
        let deep = format!("{{\"values\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(values(deep.as_bytes()).is_err());
    }
}
