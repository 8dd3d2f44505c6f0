//! The header values and counters of a served version. They are made once per version, so that a request
//! formats no header and looks up no label.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chrono::{DateTime, SecondsFormat, Utc};
use hashbrown::HashMap;
use hyper::{
    HeaderMap,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, ORIGIN, VARY},
};
use tower_http::cors::CorsLayer;

use super::{codes::Answered, cors};
use crate::{
    api::http::{
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

/// The version of the collection that answers.
pub(in crate::api) const DATA_VERSION: HeaderName = HeaderName::from_static("x-data-version");
/// When the warehouse was read for that version.
pub(in crate::api) const DATA_AS_OF: HeaderName = HeaderName::from_static("x-data-as-of");
/// `true` if the data is older than the caller accepts.
pub(in crate::api) const DATA_STALE: HeaderName = HeaderName::from_static("x-data-stale");

/// Most headers of an answer: those of a hit that is stale and compressed, for a page of another origin.
const HEADERS_MAX: usize = 10;

/// The headers and counters of one served version.
#[derive(Debug)]
pub(super) struct VersionView {
    served: Arc<Served>,
    /// The headers of a hit, with empty values where each hit has its own.
    hit_headers: HeaderMap,
    indexes: Vec<(IndexName, RequestMetrics)>,
    /// Requests for indexes that the collection does not have.
    other: RequestMetrics,
    /// What adds the headers for pages of other origins, if the collection names any.
    cors: Option<CorsLayer>,
}

impl VersionView {
    fn new(served: &Arc<Served>, metrics: &Metrics) -> Self {
        let manifest = &served.manifest;
        let collection = manifest.collection.as_str();
        let counted = |index: &str| metrics.requests(collection, index, Answered::OF_AN_INDEX);
        let configured = manifest.serving.cache_control.as_deref();
        // A full map would grow before each replacement of a value.
        let mut hit_headers = HeaderMap::with_capacity(HEADERS_MAX);
        hit_headers.extend([
            (CONTENT_TYPE, JSON),
            (ETAG, HeaderValue::from_static("")),
            (CACHE_CONTROL, configured.map_or(NO_STORE, text)),
            (DATA_VERSION, manifest.version.0.into()),
            (DATA_AS_OF, text(&rfc3339(served.data_as_of))),
            (request_id::HEADER, HeaderValue::from_static("")),
        ]);
        let cors = manifest.serving.cors.as_ref().map(cors::layer);
        if cors.is_some() {
            hit_headers.insert(VARY, HeaderValue::from(ORIGIN));
        }
        Self {
            cors,
            served: Arc::clone(served),
            hit_headers,
            indexes: manifest
                .indexes
                .iter()
                .filter(|index| !index.is_order)
                .map(|index| (index.name.clone(), counted(index.name.as_str())))
                .collect(),
            other: metrics.requests(collection, OTHER, Answered::OF_NO_INDEX),
        }
    }

    /// The headers of an answer with content. The map is cloned whole, because inserting one by one hashes
    /// every name.
    pub(super) fn headers(&self, tag: Option<HeaderValue>, id: &RequestId, is_stale: bool) -> HeaderMap {
        let mut headers = self.hit_headers.clone();
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
            if let Some(value) = self.hit_headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        add_stale(is_stale, headers);
    }

    /// What adds the headers for pages of other origins.
    pub(super) const fn cors(&self) -> Option<&CorsLayer> {
        self.cors.as_ref()
    }

    /// The position of the counters of `index`, if the collection has that index.
    pub(super) fn position(&self, index: &str) -> Option<usize> {
        self.indexes.iter().position(|(name, _)| name.as_str() == index)
    }

    /// The answers that were counted.
    fn answered(&self) -> u64 {
        self.indexes.iter().map(|(_, counters)| counters.answered()).sum::<u64>() + self.other.answered()
    }

    /// Counts an answer for the index at `position`, or for none.
    pub(super) fn record(&self, position: Option<usize>, answered: Answered, took: Duration) {
        match position {
            Some(at) => self.indexes[at].1.record(answered.position(), took),
            None => self.other.record(0, took),
        }
    }
}

/// Replaces the time of the version by that of older data in the answer.
pub(super) fn replace_as_of(as_of: Option<DateTime<Utc>>, headers: &mut HeaderMap) {
    if let Some(as_of) = as_of {
        headers.insert(DATA_AS_OF, text(&rfc3339(as_of)));
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Adds `X-Data-Stale` if the data is older than the caller accepts.
fn add_stale(is_stale: bool, headers: &mut HeaderMap) {
    if is_stale {
        headers.insert(DATA_STALE, HeaderValue::from_static("true"));
    }
}

/// `text` as a header value; `NO_STORE` if it has a character that no header may have.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(NO_STORE)
}

/// The newest view of each collection. The map is replaced only for a new collection; a new version
/// replaces the view in its slot.
#[derive(Debug, Default)]
pub(super) struct VersionViews(ArcSwap<HashMap<CollectionName, Arc<ArcSwap<VersionView>>>>);

impl VersionViews {
    /// The answers that were counted, by collection.
    pub(super) fn answered(&self) -> HashMap<CollectionName, u64> {
        self.0.load().iter().map(|(name, slot)| (name.clone(), slot.load().answered())).collect()
    }

    /// The view of `served`: kept from an earlier request, or made now.
    pub(super) fn of(&self, served: &Arc<Served>, metrics: &Metrics) -> Arc<VersionView> {
        let name = &served.manifest.collection;
        if let Some(slot) = self.0.load().get(name) {
            let kept = slot.load_full();
            if Arc::ptr_eq(&kept.served, served) {
                return kept;
            }
            let made = Arc::new(VersionView::new(served, metrics));
            slot.store(Arc::clone(&made));
            return made;
        }
        let made = Arc::new(VersionView::new(served, metrics));
        let slot = Arc::new(ArcSwap::new(Arc::clone(&made)));
        self.0.rcu(|map| {
            let mut map = HashMap::clone(map);
            // Drop collections that only this map still holds: they have left the catalog.
            map.retain(|_, slot| Arc::strong_count(&slot.load().served) > 1);
            map.insert(name.clone(), Arc::clone(&slot));
            map
        });
        made
    }
}
