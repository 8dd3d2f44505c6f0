//! A node: listeners, the follower, the publishing side, and the order in which they end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{sync::watch, task::JoinHandle};
use tracing::{info, warn};

use super::{
    observe,
    parts::{open_read_store, open_segments, open_statuses},
    publishing::Publishing,
    standing::Standing,
};
use crate::{
    admin::{Publisher, fleet::FleetReader},
    api::{self, AdminState, Limits, Listener, ReadLimits, ReadState, Readiness, serve::tls::Tls},
    auth::KeyRing,
    cache::{Cache, Slot},
    catalog::{Ages, StatusStore},
    config::{self, Config, Role},
    disk::SegmentDirectory,
    domain::{id::NodeId, node::Label},
    replica::{
        self, CacheTarget, Identity, PublisherStatus, Replica, ReplicaHandle, ReportPace, Reporter, Sides,
    },
    scheduler::ScheduledSync,
    store::Store,
    support::{
        background::Background,
        clock::Clock,
        file_lock::{DirectoryLock, LockError},
        private_file,
        shutdown::Shutdown,
    },
    telemetry::Metrics,
};

/// How long the listener serves on after `/readyz` began to fail, so that load balancers notice.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// Longest time that the first connections wait for what the node's own files have: a client waits as long,
/// and a check of health too.
const OPENING_MAX: Duration = Duration::from_millis(900);
/// Longest time that background tasks get to end.
const TASKS_END_MAX: Duration = Duration::from_secs(10);

/// A node that runs.
pub struct Server {
    config: Config,
    public_address: SocketAddr,
    admin_address: SocketAddr,
    cache: Cache,
    keys: KeyRing,
    clock: Clock,
    metrics: Metrics,
    syncs: watch::Sender<Arc<Vec<ScheduledSync>>>,
    publisher: watch::Receiver<Option<Publisher>>,
    ready: watch::Receiver<bool>,
    /// Ends the listeners.
    drain: Shutdown,
    /// Ends everything else.
    shutdown: Shutdown,
    records: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    _background: Background,
    _lock: DirectoryLock,
}

impl Server {
    /// Starts a node. An error means that it does not serve: an address in use, a directory that
    /// another server uses. A warehouse, a store or a metadata database that is down is no error:
    /// the node serves what it has and goes on trying.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let Ground { lock, background, node, store, segments, replica, follower, cache, tls } =
            Ground::open(&config, &clock).await?;
        let (drain, shutdown) = (Shutdown::new(), Shutdown::new());
        let (metrics, keys) = (Metrics::new(), KeyRing::with_rate(config.server.key_requests_per_second_max));
        let limits = Limits::new(&config.server, DRAIN_GRACE);
        let public = Listener::bind(config.server.listen, limits, metrics.connections("public"))?;
        // Nobody balances load over it.
        let limits = Limits { grace: Duration::ZERO, ..limits };
        let admin = Listener::bind(config.server.admin_listen, limits, metrics.connections("admin"))?;
        let (public_address, admin_address) = (public.local_addr(), admin.local_addr());

        let mut tasks = Vec::new();
        if let Some(tls) = tls.clone() {
            tasks.push(tokio::spawn(tls.watch(shutdown.clone())));
        }
        let public = public.with_tls(tls);
        let statuses = open_statuses(&config);
        let (standing, stands) = watch::channel(PublisherStatus::default());
        let sides = Sides {
            applied: config.node.has(Role::Replica).then(|| follower.applied()),
            publishing: config.node.has(Role::Publisher).then_some(stands),
        };
        let reporter = reporter(&config, node, &statuses, &sides, (&metrics, &clock));
        tasks.push(tokio::spawn(reporter.run(drain.clone(), shutdown.clone())));
        let (able, readiness) = if config.node.has(Role::Replica) {
            tasks.push(tokio::spawn(replica.run(shutdown.clone())));
            let parts = observe::Parts {
                cache: cache.clone(),
                keys: keys.clone(),
                segments: segments.clone(),
                metrics: metrics.clone(),
            };
            let (able, observing) = observe::start(follower.applied(), parts, shutdown.clone());
            tasks.push(observing);
            let readiness = Readiness::of_replica(able.to_serve.clone(), drain.clone());
            (able, readiness)
        } else {
            // It has nothing to load.
            let (to_answer, to_serve) = (watch::channel(true).1, watch::channel(true).1);
            (observe::Able { to_answer, to_serve }, Readiness::of_publisher(drain.clone()))
        };
        let state = ReadState::new(
            cache.clone(),
            keys.clone(),
            clock.clone(),
            metrics.clone(),
            ReadLimits {
                compress_min_bytes: config.server.compress_min_bytes,
                body_timeout: config.server.body_timeout,
            },
            readiness.clone(),
        );
        let admin_state = AdminState {
            metrics: metrics.clone(),
            clock: clock.clone(),
            status: observe::status(&config, node, readiness, sides, cache.clone()),
            fleet: observe::fleet(FleetReader::new(store, statuses.clone(), clock.clone(), Ages::default())),
        };
        let records = tokio::spawn(serve_records(public, state, able.to_answer, drain.clone()));
        // Metrics are wanted until the end.
        tasks.push(tokio::spawn(admin.serve(api::admin(admin_state), shutdown.clone())));

        let (syncs, scheduled) = watch::channel(Arc::new(Vec::new()));
        let (publishers, publisher) = watch::channel(None);
        if config.node.has(Role::Publisher) {
            let publishing = Publishing {
                config: config.clone(),
                clock: clock.clone(),
                scheduled,
                publishers,
                standing: Standing::new(standing, metrics.clone(), clock.clone()),
                metrics: metrics.clone(),
                follower,
                statuses,
                segments,
                shutdown: shutdown.clone(),
            };
            tasks.push(tokio::spawn(publishing.run()));
        }
        let server = Self {
            public_address,
            admin_address,
            cache,
            keys,
            clock,
            metrics,
            syncs,
            publisher,
            ready: able.to_serve,
            drain,
            shutdown,
            records,
            tasks,
            _background: background,
            _lock: lock,
            config,
        };
        server.schedule(&server.config)?;
        info!(
            public = %public_address, admin = %admin_address, region = %server.config.node.region,
            version = env!("CARGO_PKG_VERSION"), "larder serves"
        );
        Ok(server)
    }

    /// Where records are served.
    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    /// Where metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Waits until the node is ready; one that only publishes has nothing to load, and is at once.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // The sender lives as long as the node's tasks do.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// The publishing side, once it is up. Never, on a node without that role.
    pub async fn publisher(&self) -> Publisher {
        let mut publisher = self.publisher.clone();
        let found = publisher.wait_for(Option::is_some).await.ok().and_then(|publisher| publisher.clone());
        match found {
            Some(publisher) => publisher,
            None => std::future::pending().await,
        }
    }

    /// Whether `collection` is served here.
    pub fn serves(&self, collection: &str) -> bool {
        matches!(self.cache.collection(collection), Slot::Loaded(_))
    }

    /// Whether `key` opens something here.
    pub fn knows_key(&self, key: &str) -> bool {
        self.keys.authenticate(key, &self.clock).is_ok()
    }

    /// Takes over another configuration: sources, models and syncs at once; what needs a restart is
    /// named in the log.
    pub fn reload(&self, config: &Config) {
        for key in config::changes_needing_restart(&self.config, config) {
            warn!(key, "the change takes effect at the next start");
        }
        match self.schedule(config) {
            Ok(()) => info!(syncs = config.syncs.len(), "the configuration was read again"),
            Err(error) => warn!(%error, "the configuration is wrong; the old one stays in force"),
        }
    }

    fn schedule(&self, config: &Config) -> anyhow::Result<()> {
        let mut syncs = Vec::new();
        for sync in &config.syncs {
            let source =
                config.sources.get(&sync.spec.source).cloned().context("a sync's source is configured")?;
            observe::runs_may_end(&self.metrics, &sync.spec.collection);
            syncs.push(ScheduledSync { spec: sync.spec.clone(), source, schedule: sync.schedule.clone() });
        }
        // Nobody listens on a node that does not publish.
        let _ = self.syncs.send(Arc::new(syncs));
        Ok(())
    }

    /// Ends in order: `/readyz` fails, requests in flight finish, then runs are cancelled, the
    /// announcer writes what it has, and the follower stops.
    pub async fn stop(mut self) {
        self.drain.cancel();
        let _ = (&mut self.records).await;
        self.shutdown.cancel();
        let end = async {
            for task in self.tasks.drain(..) {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(TASKS_END_MAX, end).await.is_err() {
            warn!("some tasks did not end in time");
        }
        info!("ended");
    }
}

/// Serves records until `drain`, from when the node can answer; connections wait in the system's queue until
/// then: an answer in a moment is better than a refusal now.
async fn serve_records(
    public: Listener,
    state: ReadState,
    mut to_answer: watch::Receiver<bool>,
    drain: Shutdown,
) {
    // However that ends, it answers now.
    let _ = tokio::time::timeout(OPENING_MAX, to_answer.wait_for(|able| *able)).await;
    public.serve(api::public(state), drain).await;
}

/// Tells others who this node is, and how its `sides` stand.
fn reporter(
    config: &Config,
    node: NodeId,
    statuses: &StatusStore,
    sides: &Sides,
    (metrics, clock): (&Metrics, &Clock),
) -> Reporter {
    let settings = &config.node;
    let roles = settings.roles.iter().map(|role| Label::fitted(role.as_str())).collect();
    let identity = Identity { node, name: settings.name.clone(), region: settings.region.clone(), roles };
    let pace = ReportPace::default();
    Reporter::new(identity, statuses.clone(), sides.clone(), metrics.clone(), clock.clone(), pace)
}

/// What a node stands on: its directory, locked, the follower over it, and its certificate.
struct Ground {
    lock: DirectoryLock,
    background: Background,
    node: NodeId,
    store: Store,
    segments: SegmentDirectory,
    replica: Replica<CacheTarget>,
    follower: ReplicaHandle,
    cache: Cache,
    tls: Option<Tls>,
}

impl Ground {
    /// Opens it where blocking is allowed: files are read and locked.
    async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        let (config, clock) = (config.clone(), clock.clone());
        let open = move || {
            let data_dir = &config.node.data_dir;
            private_file::create_directory(data_dir)
                .map_err(|source| LockError::Io { directory: data_dir.clone(), source })?;
            let lock = DirectoryLock::acquire(data_dir)?;
            let (store, segments) = (open_read_store(&config)?, open_segments(&config, clock.clone())?);
            let tls = config.server.tls.as_ref().map(Tls::load).transpose()?;
            let cache = Cache::new();
            let target = Arc::new(CacheTarget::new(cache.clone()));
            let node = replica::node_id(data_dir);
            let background = Background::start().context("no threads can be started")?;
            let (replica, follower) =
                Replica::open(&config.replica, store.clone(), segments.clone(), target, clock)?;
            let replica = replica.in_background(background.handle());
            Ok(Self { lock, background, node, store, segments, replica, follower, cache, tls })
        };
        tokio::task::spawn_blocking(open).await.context("opening the node's files was interrupted")?
    }
}
