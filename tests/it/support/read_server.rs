//! A server of the read contract with records in a plain map: real listeners, real keys.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use larder::{
    api::{self, Found, Limits, Listener, ReadState, Records, Served},
    auth::{ApiKey, KeyRing},
    domain::{
        digest::Digest,
        id::RunId,
        index::IndexDefinition,
        keyset::{Grant, KeyEntry, KeySet},
        manifest::{Manifest, ServingSettings, Version},
        name::{CollectionName, IndexName, RegionName},
        row::ColumnKind,
    },
    support::{clock::Clock, random, shutdown::Shutdown},
    telemetry::Metrics,
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

/// The partner page's example, as compact JSON.
pub(crate) fn partner_record() -> String {
    let text = include_str!("../fixtures/partner_page_payload.json");
    serde_json::from_str::<serde_json::Value>(text).unwrap().to_string()
}

/// The fingerprint of every record of these tests.
pub(crate) const FINGERPRINT: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-23T10:20:30.5Z".parse().unwrap()
}

/// Records by collection, index and value.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<RwLock<HashMap<String, Slot>>>);

enum Slot {
    Loading,
    Elsewhere(Vec<&'static str>),
    Loaded(Arc<Served>, HashMap<(&'static str, String), String>),
    Broken,
}

impl Shelf {
    fn put(&self, collection: &str, slot: Slot) {
        self.0.write().unwrap().insert(collection.to_owned(), slot);
    }

    /// Serves a collection with these records, each under an index and a value.
    pub(crate) fn load(
        &self,
        collection: &str,
        version: u64,
        serving: ServingSettings,
        records: &[(&'static str, &str, &str)],
    ) {
        let index = |name: &str, kind| IndexDefinition {
            name: IndexName::new(name).unwrap(),
            column: name.to_owned(),
            each: false,
            normalize: vec![],
            kind,
        };
        let manifest = Manifest {
            format: 1,
            collection: CollectionName::new(collection).unwrap(),
            version: Version(version),
            run_id: RunId::from_uuid(random::uuid()),
            created_at: now(),
            data_as_of: now(),
            indexes: vec![index("id", ColumnKind::Integer), index("email", ColumnKind::Text)],
            columns: vec![],
            fields: vec![],
            mapping: Digest::of(b""),
            fingerprint_seed: 0,
            serving,
            segments: vec![],
            records: records.len() as u64,
            left: 0,
        };
        let served = Served { manifest: Arc::new(manifest), data_as_of: now() };
        let records = records
            .iter()
            .map(|&(index, value, body)| ((index, value.to_owned()), body.to_owned()))
            .collect();
        self.put(collection, Slot::Loaded(Arc::new(served), records));
    }

    pub(crate) fn remove(&self, collection: &str) {
        self.0.write().unwrap().remove(collection);
    }
}

impl Records for Shelf {
    fn find(&self, collection: &str, index: &str, value: &str, body: &mut Vec<u8>) -> Found {
        match self.0.read().unwrap().get(collection) {
            None => Found::UnknownCollection,
            Some(Slot::Loading) => Found::Loading,
            Some(Slot::Elsewhere(regions)) => {
                Found::InOtherRegion(regions.iter().map(|name| RegionName::new(name).unwrap()).collect())
            }
            Some(Slot::Broken) => panic!("a bug, on purpose"),
            Some(Slot::Loaded(served, records)) => {
                let served = Arc::clone(served);
                let Some(index) = ["id", "email"].into_iter().find(|&known| known == index) else {
                    return Found::UnknownIndex(served);
                };
                match records.get(&(index, value.to_owned())) {
                    None => Found::Miss(served),
                    Some(record) => {
                        body.extend_from_slice(record.as_bytes());
                        Found::Hit(served, FINGERPRINT)
                    }
                }
            }
        }
    }
}

/// One running server.
pub(crate) struct Server {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) shelf: Shelf,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) ready: watch::Sender<bool>,
    pub(crate) shutdown: Shutdown,
    /// Opens every collection.
    pub(crate) all: ApiKey,
    /// Opens `customer` and `ghost`, which does not exist.
    pub(crate) scoped: ApiKey,
    /// Opens `customer` for an hour from [`now`].
    pub(crate) short: ApiKey,
    listening: JoinHandle<()>,
}

/// Limits that no test reaches by accident.
pub(crate) const RELAXED: Limits = Limits {
    connections_max: 1000,
    header_timeout: Duration::from_secs(60),
    idle_timeout: Duration::from_secs(60),
    grace: Duration::ZERO,
    drain_timeout: Duration::from_secs(60),
};

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(RELAXED)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let (shelf, keys, clock) = (Shelf::default(), KeyRing::new(), Clock::fixed(now()));
        let (metrics, shutdown) = (Metrics::new(), Shutdown::new());
        let (ready, is_ready) = watch::channel(true);
        let any = "127.0.0.1:0".parse().unwrap();
        let state = ReadState::new(
            shelf.clone(),
            keys.clone(),
            clock.clone(),
            metrics.clone(),
            is_ready,
            shutdown.clone(),
        );
        let public = Listener::bind(any, limits, metrics.connections("public")).unwrap();
        let admin = Listener::bind(any, RELAXED, metrics.connections("admin")).unwrap();
        let admin_state = api::AdminState {
            metrics,
            clock: clock.clone(),
            status: Arc::new(|| json!({ "collections": ["customer"] })),
        };
        let (public_address, admin_address) = (public.local_addr(), admin.local_addr());
        tokio::spawn(admin.serve(api::admin(admin_state), shutdown.clone()));
        let listening = tokio::spawn(public.serve(api::public(state), shutdown.clone()));
        let server = Self {
            public: public_address,
            admin: admin_address,
            shelf,
            keys,
            clock,
            ready,
            shutdown,
            all: ApiKey::generate(),
            scoped: ApiKey::generate(),
            short: ApiKey::generate(),
            listening,
        };
        server.fill();
        server
    }

    fn fill(&self) {
        let record = partner_record();
        let customer = [("id", "12345", record.as_str()), ("email", "jane+tag@ex.com", r#"{"a":1}"#)];
        self.shelf.load("customer", 7, ServingSettings::default(), &customer);
        self.shelf.put("later", Slot::Loading);
        self.shelf.put("abroad", Slot::Elsewhere(vec!["eu-west-1", "ap-south-1"]));
        self.shelf.put("broken", Slot::Broken);
        let named = |name| CollectionName::new(name).unwrap();
        let some = Grant::Collections(vec![named("customer"), named("ghost")]);
        let hour = Some(now() + chrono::TimeDelta::hours(1));
        let entry = |key: &ApiKey, grant, expires_at| KeyEntry {
            id: key.id().to_owned(),
            sha256: key.digest(),
            name: "test".to_owned(),
            grant,
            created_at: now(),
            expires_at,
        };
        let keys = vec![
            entry(&self.all, Grant::AllCollections, None),
            entry(&self.scoped, some.clone(), None),
            entry(&self.short, some, hour),
        ];
        self.keys.replace(&KeySet { revision: 1, keys, refused: 0 });
    }

    /// The header line of the key that opens everything.
    pub(crate) fn bearer(&self) -> String {
        bearer(&self.all)
    }

    /// Waits until the public listener has ended.
    pub(crate) async fn ended(&mut self) {
        super::http::soon("end of the listener", &mut self.listening).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A header line.
pub(crate) fn bearer(key: &ApiKey) -> String {
    format!("Authorization: Bearer {}\r\n", key.expose())
}
