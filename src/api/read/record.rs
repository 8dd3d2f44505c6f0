//! One record by one value of one index.

use std::borrow::Cow;

use hyper::HeaderMap;

use super::{
    answer::{Content, Origin, RecordAnswer, hit, miss},
    codes::Code,
    compose::Composition,
    freshness::OnStale,
    handler::Admitted,
    join::Limits,
    state::ReadState,
    values::{opens_record, text_to_look_up},
};
use crate::{
    api::http::error::Error,
    cache::{Collection, Lookup, Served},
    segment,
};

/// Looks a record up. The value is `Ok` from the path, where the hash of a private identifier is, and `Err` from a body,
/// where the identifier itself is.
pub(super) fn look_up(
    collection: &Collection,
    state: &ReadState,
    admitted: &Admitted<'_>,
    value: Result<&str, &str>,
    headers: &HeaderMap,
) -> RecordAnswer {
    // Read before the record: the record may be of a later version than the reported one, never of an older.
    let served = collection.state();
    let inner = state.inner();
    let Admitted { caller, path, parameters, .. } = admitted;
    let composition = Composition::of(inner, caller, &served, parameters);
    let composition = composition.as_ref().map(Option::as_ref);
    let own = served.data_as_of;
    let as_of = composition.ok().flatten().map_or(own, |composition| composition.data_as_of(own));
    let is_stale = parameters.freshness.is_stale(as_of, || inner.clock.now());
    let text = match value {
        Ok(value) => Ok(Cow::Borrowed(value)),
        Err(value) => text_to_look_up(&served.manifest, &path.index, value, &inner.secrets.load()),
    };
    let content = match (composition, text) {
        (Err(error), _) => Err(error.clone()),
        (_, Err(code)) => Err(code.into()),
        (Ok(composition), Ok(text)) => {
            let is_blank = value.unwrap_or_else(|value| value).trim().is_empty();
            let one = One { collection, state, admitted, served: &served, composition, is_stale, is_blank };
            one.content(&text, headers)
        }
    };
    RecordAnswer::of_collection(content, || {
        let view = inner.views.of(&served, &inner.metrics);
        let index = view.position(&path.index);
        Origin { view, index, is_stale, as_of: Some(as_of).filter(|as_of| *as_of != own) }
    })
}

/// One look-up.
struct One<'a> {
    collection: &'a Collection,
    state: &'a ReadState,
    admitted: &'a Admitted<'a>,
    served: &'a Served,
    composition: Option<&'a Composition>,
    is_stale: bool,
    /// The value comes from a template that was left blank.
    is_blank: bool,
}

impl One<'_> {
    fn content(&self, text: &str, headers: &HeaderMap) -> Result<Content, Error<Code>> {
        let Self { admitted, served, composition, .. } = self;
        let compress_min_bytes = self.state.inner().limits.compress_min_bytes;
        let on_miss = &served.manifest.serving.on_miss;
        let fields = composition.map(Composition::fields);
        let missed = |code| miss(code, self.is_blank, on_miss, fields, compress_min_bytes, headers);
        let (rights, secrets) =
            (admitted.caller.rights(&admitted.path.collection), self.state.inner().secrets.load());
        if !opens_record(rights, &served.manifest, text, &secrets) {
            return Err(Code::Forbidden.into());
        }
        // Filled only by a hit, at the record's exact length; the same bytes go to the socket.
        let mut body = Vec::new();
        let lookup = if admitted.is_throttled {
            Lookup::Miss
        } else {
            self.collection.lookup(&admitted.path.index, text, &mut body)
        };
        match lookup {
            Lookup::UnknownIndex => Err(Code::IndexNotFound.into()),
            Lookup::Unreadable(error) => {
                let collection = served.manifest.collection.as_str();
                tracing::error!(collection, %error, "a stored record cannot be read");
                Err(Code::Internal.into())
            }
            Lookup::Hit { .. } | Lookup::Miss
                if self.is_stale && admitted.parameters.freshness.on_stale == OnStale::Miss =>
            {
                missed(Code::DataStale)
            }
            Lookup::Hit { fingerprint } => {
                let (body, fingerprint) = self.composed(body, fingerprint)?;
                Ok(hit(body, fingerprint, compress_min_bytes, headers, admitted.is_conditional))
            }
            Lookup::Miss => missed(Code::RecordNotFound),
        }
    }

    /// The body of the answer, and what its entity tag is made of.
    fn composed(&self, record: Vec<u8>, fingerprint: u128) -> Result<(Vec<u8>, u128), Error<Code>> {
        let Some(composition) = self.composition else { return Ok((record, fingerprint)) };
        let mut body = Vec::with_capacity(record.len());
        composition.append(&record, &mut Limits::of_record(), &mut body)?;
        let tag = segment::content_tag(self.served.manifest.fingerprint_seed, &body);
        Ok((body, tag))
    }
}
