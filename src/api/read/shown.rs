//! How a served version is shown over HTTP: its header values and its counters, made once per
//! version and kept, so that a request formats nothing and looks no label up.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chrono::SecondsFormat;
use hyper::{
    HeaderMap,
    header::{CACHE_CONTROL, HeaderName, HeaderValue},
};

use crate::{
    api::{codes::Answered, error::NO_STORE},
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

/// One served version as it is shown.
#[derive(Debug)]
pub(super) struct Shown {
    served: Arc<Served>,
    version: HeaderValue,
    as_of: HeaderValue,
    cache_control: HeaderValue,
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
        Self {
            served: Arc::clone(served),
            version: manifest.version.0.into(),
            as_of: text(&served.data_as_of.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            cache_control: configured.map_or(NO_STORE, text),
            indexes: manifest
                .indexes
                .iter()
                .map(|index| (index.name.clone(), counted(index.name.as_str())))
                .collect(),
            other: metrics.requests(collection, OTHER, Answered::OF_NO_INDEX),
        }
    }

    /// `X-Data-Version` and `X-Data-As-Of`: on hits and on misses; and `X-Data-Stale` when the data is
    /// older than the caller accepts.
    pub(super) fn add_data_headers(&self, is_stale: bool, headers: &mut HeaderMap) {
        headers.insert(DATA_VERSION, self.version.clone());
        headers.insert(DATA_AS_OF, self.as_of.clone());
        if is_stale {
            headers.insert(DATA_STALE, HeaderValue::from_static("true"));
        }
    }

    /// `Cache-Control` of records.
    pub(super) fn add_cache_control(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
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
