//! How a served version is shown over HTTP: its header values and its counters, made once per
//! version and kept, so that a request formats nothing and looks no label up.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chrono::SecondsFormat;
use hashbrown::HashMap;
use hyper::{
    HeaderMap,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue},
};

use crate::{
    api::{
        codes::Answered,
        error::{JSON, NO_STORE},
        request_id::{self, RequestId},
    },
    cache::Served,
    domain::name::{CollectionName, IndexName},
    telemetry::{
        Metrics,
        metrics::{OTHER, RequestMetrics},
    },
};

/// The version that answers.
pub(in crate::api) const DATA_VERSION: HeaderName = HeaderName::from_static("x-data-version");
/// When the warehouse was read for it.
pub(in crate::api) const DATA_AS_OF: HeaderName = HeaderName::from_static("x-data-as-of");
/// That it is older than the caller accepts.
pub(in crate::api) const DATA_STALE: HeaderName = HeaderName::from_static("x-data-stale");

/// Most headers of an answer: those of every hit, and of one that is stale and compressed.
const HEADERS_MAX: usize = 9;

/// One served version as it is shown.
#[derive(Debug)]
pub(super) struct Shown {
    served: Arc<Served>,
    /// The headers of a hit, with places for those that each one has of its own.
    of_a_hit: HeaderMap,
    indexes: Vec<(IndexName, RequestMetrics)>,
    /// Requests for indexes that the collection does not have.
    other: RequestMetrics,
}

impl Shown {
    fn new(served: &Arc<Served>, metrics: &Metrics) -> Self {
        let manifest = &served.manifest;
        let collection = manifest.collection.as_str();
        let counted = |index: &str| metrics.requests(collection, index, Answered::OF_AN_INDEX);
        let configured = manifest.serving.cache_control.as_deref();
        // A full map would grow before each value that takes the place of another.
        let mut of_a_hit = HeaderMap::with_capacity(HEADERS_MAX);
        of_a_hit.extend([
            (CONTENT_TYPE, JSON),
            (ETAG, HeaderValue::from_static("")),
            (CACHE_CONTROL, configured.map_or(NO_STORE, text)),
            (DATA_VERSION, manifest.version.0.into()),
            (DATA_AS_OF, text(&served.data_as_of.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
            (request_id::HEADER, HeaderValue::from_static("")),
        ]);
        Self {
            served: Arc::clone(served),
            of_a_hit,
            indexes: manifest
                .indexes
                .iter()
                .map(|index| (index.name.clone(), counted(index.name.as_str())))
                .collect(),
            other: metrics.requests(collection, OTHER, Answered::OF_NO_INDEX),
        }
    }

    /// The headers of an answer with content. Copied as a whole: to put them in one by one would hash
    /// every name.
    pub(super) fn headers(&self, tag: Option<HeaderValue>, id: &RequestId, is_stale: bool) -> HeaderMap {
        let mut headers = self.of_a_hit.clone();
        match tag {
            Some(tag) => headers.insert(ETAG, tag),
            None => headers.remove(ETAG),
        };
        headers.insert(request_id::HEADER, id.header());
        add_stale(is_stale, &mut headers);
        headers
    }

    /// `X-Data-Version`, `X-Data-As-Of` and `X-Data-Stale` of a miss.
    pub(super) fn add_data_headers(&self, is_stale: bool, headers: &mut HeaderMap) {
        for name in [DATA_VERSION, DATA_AS_OF] {
            if let Some(value) = self.of_a_hit.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        add_stale(is_stale, headers);
    }

    /// Where the counters of `index` are, when the collection has it.
    pub(super) fn position(&self, index: &str) -> Option<usize> {
        self.indexes.iter().position(|(name, _)| name.as_str() == index)
    }

    /// Counts an answer under the index at `position`, or under none.
    pub(super) fn record(&self, position: Option<usize>, answered: Answered, took: Duration) {
        match position {
            Some(at) => self.indexes[at].1.record(answered.place(), took),
            None => self.other.record(0, took),
        }
    }
}

/// `X-Data-Stale`, when the data is older than the caller accepts.
fn add_stale(is_stale: bool, headers: &mut HeaderMap) {
    if is_stale {
        headers.insert(DATA_STALE, HeaderValue::from_static("true"));
    }
}

/// A header value of a text from outside; one that cannot stand in a header is the default.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(NO_STORE)
}

/// What is shown now, by collection. The map grows with a new collection only; a new version takes
/// the place of the old one.
#[derive(Debug, Default)]
pub(super) struct ShownMap(ArcSwap<HashMap<CollectionName, Arc<ArcSwap<Shown>>>>);

impl ShownMap {
    /// How `served` is shown: kept from the last request, or made now.
    pub(super) fn of(&self, served: &Arc<Served>, metrics: &Metrics) -> Arc<Shown> {
        let name = &served.manifest.collection;
        if let Some(place) = self.0.load().get(name) {
            let kept = place.load_full();
            if Arc::ptr_eq(&kept.served, served) {
                return kept;
            }
            let made = Arc::new(Shown::new(served, metrics));
            place.store(Arc::clone(&made));
            return made;
        }
        let made = Arc::new(Shown::new(served, metrics));
        let place = Arc::new(ArcSwap::new(Arc::clone(&made)));
        self.0.rcu(|map| {
            let mut map = HashMap::clone(map);
            // Collections that nothing else holds any more have left the catalog.
            map.retain(|_, place| Arc::strong_count(&place.load().served) > 1);
            map.insert(name.clone(), Arc::clone(&place));
            map
        });
        made
    }
}
