//! Both listeners with real keys, over collections that are built in memory.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use larder::{
    admin::{
        Access, Configured, EventFeed, FIRST_KEY_FILE, Operations, Overview, Records, Samples,
        fleet::FleetReader, provide_local_admin_key,
    },
    api::{self, Limits, Listener, ReadLimits, ReadState, Readiness, tls::Tls},
    auth::{ApiKey, Authenticator, KeyRing},
    cache::{Cache, Collection, Slot},
    catalog::{Ages, StatusStore},
    domain::{
        digest::Digest,
        id::RunId,
        index::IndexDefinition,
        keyset::{KeyEntry, KeyLimits, KeySet, Scope},
        manifest::{Manifest, SegmentKind, SegmentReference, ServingSettings, Version},
        name::{CollectionName, IndexName, RegionName},
        record::{IndexValues, RecordFlags},
        row::ColumnKind,
    },
    segment::{
        Codec, Dictionaries, Entry, IndexColumn, Segment, SegmentBuffer, SegmentBuilder, SegmentHeader,
    },
    status::Board,
    support::{clock::Clock, random, shutdown::Shutdown},
    telemetry::Metrics,
};
use object_store::memory::InMemory;
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::watch, task::JoinHandle};

use super::{admin, board::board, catalog::catalog_over};

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

/// One record: id, e-mail address, body.
pub(crate) type Row<'a> = (&'a str, Option<&'a str>, &'a str);

/// The collections of a server.
#[derive(Clone, Default)]
pub(crate) struct Collections(Cache);

impl Collections {
    /// Builds a collection of these records and serves it.
    pub(crate) fn load(&self, collection: &str, version: u64, serving: ServingSettings, rows: &[Row<'_>]) {
        let name = CollectionName::new(collection).unwrap();
        let segment = segment(&name, rows);
        let manifest = manifest(&name, version, serving, &segment);
        let collection = Collection::build(Arc::new(manifest), vec![Arc::new(segment)], 1).unwrap();
        self.put(name.as_str(), Slot::Loaded(Arc::new(collection)));
    }

    pub(crate) fn put(&self, collection: &str, slot: Slot) {
        self.0.replace(&CollectionName::new(collection).unwrap(), slot);
    }

    pub(crate) fn remove(&self, collection: &str) {
        self.0.remove(collection);
    }
}

fn segment(collection: &CollectionName, rows: &[Row<'_>]) -> Segment {
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: collection.clone(),
        kind: SegmentKind::Base,
        secondary: vec![IndexColumn { name: IndexName::new("email").unwrap(), each: false }],
        codec: Codec::Plain,
        embed_dictionary: false,
    });
    for &(key, email, body) in rows {
        let mut values = IndexValues::default();
        if let Some(email) = email {
            values.push(1, email);
        }
        let (flags, body) = (RecordFlags::default(), Some(body.as_bytes()));
        builder.push(Entry { key, fingerprint: FINGERPRINT, flags, body, values: &values }).unwrap();
    }
    let mut file = Vec::new();
    builder.finish(&mut file).unwrap();
    Segment::parse(SegmentBuffer::from(file), &mut Dictionaries::new()).unwrap()
}

fn manifest(
    collection: &CollectionName,
    version: u64,
    serving: ServingSettings,
    segment: &Segment,
) -> Manifest {
    let index = |name: &str, kind| IndexDefinition::plain(IndexName::new(name).unwrap(), name, kind);
    let reference = SegmentReference {
        object: "segments/1".to_owned(),
        sha256: Digest::of(b""),
        bytes: segment.byte_len() as u64,
        rows: u64::from(segment.rows()),
        deletes: 0,
        kind: SegmentKind::Base,
        version: Version(version),
    };
    Manifest {
        format: 1,
        collection: collection.clone(),
        version: Version(version),
        run_id: RunId::from_uuid(random::uuid()),
        created_at: now(),
        data_as_of: now(),
        indexes: vec![index("id", ColumnKind::Integer), index("email", ColumnKind::Text)],
        columns: vec![],
        fields: vec![],
        mapping: Digest::of(b""),
        configuration: None,
        fingerprint_seed: 0,
        serving,
        records: u64::from(segment.rows()),
        segments: vec![reference],
        left: 0,
        cursor: None,
    }
}

/// One running server.
pub(crate) struct Server {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) collections: Collections,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) board: Board,
    pub(crate) shutdown: Shutdown,
    /// Grants all collections.
    pub(crate) all: ApiKey,
    /// Grants `customer` and `ghost`, which does not exist.
    pub(crate) scoped: ApiKey,
    /// Grants both until an hour after [`now`].
    pub(crate) short: ApiKey,
    listening: JoinHandle<()>,
    /// The header line with the node's own admin key.
    admin_key: String,
    _directory: TempDir,
}

/// Limits that a test does not reach by accident.
pub(crate) const RELAXED: Limits = Limits {
    connections_max: 1000,
    header_timeout: Duration::from_mins(1),
    idle_timeout: Duration::from_mins(1),
    answer_timeout: Duration::from_mins(10),
    unsent_bytes_max: 1 << 30,
    grace: Duration::ZERO,
    first_request_grace: Duration::ZERO,
    drain_timeout: Duration::from_mins(1),
};

/// Compresses smaller bodies than the default, and waits long for a request's body.
pub(crate) const READ_LIMITS: ReadLimits =
    ReadLimits { compress_min_bytes: 2000, body_timeout: Duration::from_mins(1) };

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(RELAXED)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::serving(limits, READ_LIMITS, None)
    }

    pub(crate) fn serving(limits: Limits, read_limits: ReadLimits, tls: Option<Tls>) -> Self {
        Self::opened(limits, read_limits, tls, Authenticator::default())
    }

    /// A server with issuers of tokens and trusted proxies.
    pub(crate) fn with_callers(callers: Authenticator) -> Self {
        Self::opened(RELAXED, READ_LIMITS, None, callers)
    }

    /// A server that limits each key to `per_second` requests.
    pub(crate) fn with_rate(per_second: u32) -> Self {
        Self::opened(RELAXED, READ_LIMITS, None, KeyRing::with_rate(NonZeroU32::new(per_second)).into())
    }

    fn opened(limits: Limits, read_limits: ReadLimits, tls: Option<Tls>, callers: Authenticator) -> Self {
        let keys = callers.keys.clone();
        let (collections, clock) = (Collections::default(), Clock::fixed(now()));
        let (metrics, shutdown) = (Metrics::new(), Shutdown::new());
        let board = board("local", now());
        board.update(|status| status.ready = true);
        let catalog = catalog_over(Arc::new(InMemory::new()));
        let statuses = StatusStore::within(catalog.store().clone());
        let fleet = FleetReader::new(catalog.clone(), statuses.clone(), clock.clone(), Ages::default());
        let any = "127.0.0.1:0".parse().unwrap();
        let readiness = Readiness::new(board.clone(), shutdown.clone());
        let state = ReadState::new(
            collections.0.clone(),
            callers,
            clock.clone(),
            metrics.clone(),
            read_limits,
            readiness.clone(),
        );
        let public = Listener::bind(any, limits, metrics.connections("public")).unwrap().with_tls(tls);
        let admin = Listener::bind(any, RELAXED, metrics.connections("admin")).unwrap();
        let directory = TempDir::new().unwrap();
        let file = directory.path().join(FIRST_KEY_FILE);
        let admin_key = provide_local_admin_key(&file).unwrap();
        let admin_state = api::AdminState {
            access: Arc::new(Access::new(file, false, clock.clone(), u32::MAX)),
            configured: Configured::new(
                larder::config::load_text(
                    "",
                    std::path::Path::new("larder.toml"),
                    &larder::config::Environment::default(),
                    &larder::config::Overrides::default(),
                )
                .unwrap()
                .configuration(),
            ),
            events: EventFeed::new(watch::channel(None).1, board.clone(), shutdown.clone()),
            operations: Operations::new(clock.clone(), Arc::new(|_| {}), shutdown.clone()),
            records: Records::new(collections.0.clone()),
            samples: Samples::new(clock.clone()),
            reads: Some(state.clone()),
            overview: Arc::new(Overview {
                registry: None,
                catalog: catalog.clone(),
                statuses: statuses.clone(),
                keep_versions: 10,
                clock: clock.clone(),
            }),
            public_url: None,
            metrics_open: true,
            readiness: readiness.clone(),
            metrics,
            clock: clock.clone(),
            board: board.clone(),
            fleet: Arc::new(fleet),
            publisher: watch::channel(None).1,
        };
        let (public_address, admin_address) = (public.local_addr(), admin.local_addr());
        tokio::spawn(admin.serve(api::admin(admin_state), shutdown.clone()));
        let listening = tokio::spawn(public.serve(api::public(state), shutdown.clone()));
        let server = Self {
            public: public_address,
            admin: admin_address,
            collections,
            keys,
            clock,
            board,
            shutdown,
            all: ApiKey::generate(),
            scoped: ApiKey::generate(),
            short: ApiKey::generate(),
            listening,
            admin_key: admin::bearer(admin_key.expose()),
            _directory: directory,
        };
        server.fill();
        server
    }

    /// Puts these keys in force, in place of all others.
    pub(crate) fn replace_keys(&self, keys: Vec<KeyEntry>) {
        let revision = self.keys.revision() + 1;
        assert!(self.keys.replace(&KeySet { revision, keys, refused: 0 }));
    }

    fn fill(&self) {
        let record = partner_record();
        let customer = [("12345", None, record.as_str()), ("2", Some("jane+tag@ex.com"), r#"{"a":1}"#)];
        self.collections.load("customer", 7, ServingSettings::default(), &customer);
        self.collections.put("later", Slot::Loading);
        let regions = ["eu-west-1", "ap-south-1"].map(|name| RegionName::new(name).unwrap());
        self.collections.put("abroad", Slot::OtherRegion(regions.into()));
        let named = |name| CollectionName::new(name).unwrap();
        let some = Scope::Collections(vec![named("customer"), named("ghost")]);
        let hour = Some(now() + chrono::TimeDelta::hours(1));
        let entry = |key: &ApiKey, grant, expires_at| KeyEntry {
            id: key.id().to_owned(),
            sha256: key.digest(),
            name: "test".to_owned(),
            grant,
            created_at: now(),
            expires_at,
            limits: KeyLimits::default(),
            previous: None,
        };
        let keys = vec![
            entry(&self.all, Scope::AllCollections, None),
            entry(&self.scoped, some.clone(), None),
            entry(&self.short, some, hour),
        ];
        self.keys.replace(&KeySet { revision: 1, keys, refused: 0 });
    }

    /// The header line with the node's admin key, that of a viewer.
    pub(crate) fn admin_bearer(&self) -> String {
        self.admin_key.clone()
    }

    /// The header line with the key for all collections.
    pub(crate) fn bearer(&self) -> String {
        bearer(&self.all)
    }

    /// Waits until the public listener has closed its socket.
    pub(crate) async fn refuses(&self) {
        super::http::soon("end of the socket", async {
            while TcpStream::connect(self.public).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
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

/// The header line with `key`.
pub(crate) fn bearer(key: &ApiKey) -> String {
    format!("Authorization: Bearer {}\r\n", key.expose())
}
