//! A node: listeners, the follower, the publishing side, and the order in which they end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{sync::watch, task::JoinHandle};
use tracing::{info, warn};

use super::{
    key_usage::KeyUsage,
    parts::{open_overview, open_read_catalog, open_segments, open_statuses},
    publishing::{Publishing, run_ended},
    stored::ConfigurationInForce,
    supervisor::{Supervision, Supervisor},
};
use crate::{
    admin::{
        Access, Configured, EventFeed, FIRST_KEY_FILE, Operations, Overview, Publisher, Records, Registry,
        Samples, fleet::FleetReader, provide_local_admin_key,
    },
    api::{self, AdminState, Limits, Listener, ReadLimits, ReadState, Readiness, tls::Tls},
    auth::{
        Authenticator, KeyRing,
        oidc::IdentityProvider,
        tokens::{RefreshPace, Tokens},
    },
    cache::{Cache, Slot},
    catalog::{Ages, Catalog},
    config::{self, Config, Role},
    disk::SegmentDirectory,
    domain::label::Label,
    replica::{self, CacheTarget, Pace, Replica, ReplicaHandle, ReportPace, Reporter},
    status::{Board, Identity, NodeStatus},
    support::{
        background::BackgroundRuntime,
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
    in_force: ConfigurationInForce,
    publisher: watch::Receiver<Option<Publisher>>,
    board: Board,
    supervisor: Supervisor,
    /// Ends the listeners.
    drain: Shutdown,
    /// Ends everything else.
    shutdown: Shutdown,
    records: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    _background: BackgroundRuntime,
    _lock: DirectoryLock,
}

impl Server {
    /// Starts a node. An error means that it does not serve: an address in use, a directory that
    /// another server uses. A warehouse, a store or a metadata database that is down is no error:
    /// the node serves what it has and goes on trying.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        Self::start_supervised(config, clock, Supervision::default()).await
    }

    /// As [`Server::start`], with tasks that are supervised in another way.
    #[expect(clippy::too_many_lines, reason = "the order in which a node starts is read as a whole")]
    pub async fn start_supervised(
        config: Config,
        clock: Clock,
        supervision: Supervision,
    ) -> anyhow::Result<Self> {
        let Dependencies {
            lock,
            background,
            board,
            catalog,
            segments,
            replica,
            follower,
            cache,
            callers,
            tls,
        } = Dependencies::open(&config, &clock).await?;
        let keys = callers.keys.clone();
        let (drain, shutdown) = (Shutdown::new(), Shutdown::new());
        let metrics = Metrics::new();
        let supervisor =
            Supervisor::new(board.clone(), metrics.clone(), clock.clone(), drain.clone(), supervision);
        let limits = Limits::new(&config.server, DRAIN_GRACE);
        let public = Listener::bind(config.server.listen, limits, metrics.connections("public"))?;
        // No load balancer is in front of it.
        let limits = Limits { grace: Duration::ZERO, ..limits };
        let admin = Listener::bind(config.server.admin_listen, limits, metrics.connections("admin"))?;
        let (public_address, admin_address) = (public.local_addr(), admin.local_addr());

        let usage = KeyUsage::new(&config, keys.clone(), board.clone(), clock.clone());
        let mut tasks = start_credential_tasks(&supervisor, &shutdown, tls.clone(), &callers, usage);
        let public = public.with_tls(tls);
        let statuses = open_statuses(&config);
        let (pace, until) = (ReportPace::default(), shutdown.clone());
        let reporter = Reporter::new(board.clone(), statuses.clone(), metrics.clone(), clock.clone(), pace);
        let report = move || reporter.clone().run(until.clone());
        tasks.push(supervisor.spawn_restartable("reporter", shutdown.clone(), report));
        if config.node.has(Role::Replica) {
            let following = replica.run(shutdown.clone());
            tasks.push(supervisor.spawn_critical("follower", shutdown.clone(), following));
        }
        let readiness = Readiness::new(board.clone(), drain.clone());
        let state = ReadState::new(
            cache.clone(),
            callers,
            clock.clone(),
            metrics.clone(),
            read_limits(&config),
            readiness.clone(),
        );
        let (publishers, publisher) = watch::channel(None);
        let registry = Registry::new(Vec::new());
        let events = EventFeed::new(publisher.clone(), board.clone(), shutdown.clone());
        let feed = events.clone();
        let run = move || feed.clone().run();
        tasks.push(supervisor.spawn_restartable("events", shutdown.clone(), run));
        let on_ended = run_ended(metrics.clone(), follower.clone(), board.clone(), clock.clone());
        let configured = Configured::new(config.configuration());
        let in_force = ConfigurationInForce::new(
            config.clone(),
            registry.clone(),
            configured.clone(),
            state.clone(),
            metrics.clone(),
        );
        let overview = open_overview(&config, clock.clone())?;
        let overview = Overview { registry: overview.registry.map(|_| registry.clone()), ..overview };
        let admin_state = AdminState {
            access: Arc::new(access(&config, &clock)),
            configured,
            events,
            operations: Operations::new(clock.clone(), on_ended, shutdown.clone()),
            records: Records::new(cache.clone()),
            samples: Samples::new(clock.clone()),
            reads: config.node.has(Role::Replica).then(|| state.clone()),
            overview: Arc::new(overview),
            public_url: config.server.public_url.as_deref().map(Into::into),
            metrics_open: config.server.metrics_open,
            readiness,
            metrics: metrics.clone(),
            clock: clock.clone(),
            board: board.clone(),
            fleet: Arc::new(FleetReader::new(catalog, statuses.clone(), clock.clone(), Ages::default())),
            publisher: publisher.clone(),
        };
        if config.node.has(Role::Replica) {
            let (counted, until) = (state.clone(), shutdown.clone());
            let remember = move || counted.clone().remember_counters(until.clone());
            tasks.push(supervisor.spawn_restartable("request_rates", shutdown.clone(), remember));
        }
        let records = serve_records(public, state, board.clone(), drain.clone());
        let records = supervisor.spawn_critical("public_listener", drain.clone(), records);
        // Metrics are wanted until the end.
        let admin = admin.serve(api::admin(admin_state), shutdown.clone());
        tasks.push(supervisor.spawn_critical("admin_listener", shutdown.clone(), admin));

        if config.node.has(Role::Publisher) {
            let publishing = Arc::new(Publishing {
                config: config.clone(),
                clock: clock.clone(),
                registry: registry.clone(),
                in_force: in_force.clone(),
                publishers,
                board: board.clone(),
                metrics: metrics.clone(),
                follower,
                statuses,
                segments,
                supervisor: supervisor.clone(),
                shutdown: shutdown.clone(),
            });
            let publish = move || Arc::clone(&publishing).run();
            tasks.push(supervisor.spawn_restartable("publisher", shutdown.clone(), publish));
        }
        let server = Self {
            public_address,
            admin_address,
            cache,
            keys,
            clock,
            in_force,
            publisher,
            board,
            supervisor,
            drain,
            shutdown,
            records,
            tasks,
            _background: background,
            _lock: lock,
            config,
        };
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
        let mut status = self.board.subscribe();
        // The board lives as long as the server does.
        let _ = status.wait_for(|status| status.is_publisher_only() || status.ready).await;
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
        self.in_force.replace_file(config);
        info!(syncs = config.syncs.len(), "the configuration was read again");
    }

    /// Returns the name of a task that the node needs, once one has failed. The node drains by then, and
    /// should be stopped.
    pub async fn failed(&self) -> Label {
        self.supervisor.failed().await
    }

    /// Ends in order: `/readyz` fails, requests in flight finish, then runs are cancelled, the
    /// announcer writes what it has, and the follower stops. Whether all tasks that the node needs
    /// ran until then.
    pub async fn stop(mut self) -> bool {
        self.drain.cancel();
        self.board.update(|status| status.draining = true);
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
        !self.supervisor.has_failed()
    }
}

/// Serves records until `drain`, from when the node can answer; connections wait in the system's queue until
/// then: an answer in a moment is better than a refusal now.
async fn serve_records(public: Listener, state: ReadState, board: Board, drain: Shutdown) {
    let mut status = board.subscribe();
    // However that ends, it answers now.
    let _ = tokio::time::timeout(OPENING_MAX, status.wait_for(NodeStatus::can_answer)).await;
    public.serve(api::public(state), drain).await;
}

/// The admin keys of this node.
fn access(config: &Config, clock: &Clock) -> Access {
    let failures_max = config.server.sign_in_failures_per_minute_max;
    let (file, has_metadata) = (config.node.data_dir.join(FIRST_KEY_FILE), config.node.has(Role::Publisher));
    let access = Access::new(file, has_metadata, clock.clone(), failures_max);
    let provider = config.oidc.clone().map(|settings| IdentityProvider::new(settings, clock.clone()));
    let access = access.with_identity_provider(provider);
    access.behind(config.server.trusted_proxies.clone().into())
}

fn read_limits(config: &Config) -> ReadLimits {
    let api::Settings { compress_min_bytes, body_timeout, .. } = config.server;
    ReadLimits { compress_min_bytes, body_timeout }
}

/// Starts the tasks that keep the certificate and the keys of token issuers up to date, and note which API keys are
/// used.
fn start_credential_tasks(
    supervisor: &Supervisor,
    shutdown: &Shutdown,
    tls: Option<Tls>,
    callers: &Authenticator,
    usage: KeyUsage,
) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    if let Some(tls) = tls {
        let until = shutdown.clone();
        let watch = move || tls.clone().watch(until.clone());
        tasks.push(supervisor.spawn_restartable("tls_reload", shutdown.clone(), watch));
    }
    for (issuer, name) in callers.tokens.fetched_issuers() {
        let (tokens, until) = (callers.tokens.clone(), shutdown.clone());
        let fetch = move || tokens.clone().refresh(issuer, RefreshPace::default(), until.clone());
        tasks.push(supervisor.spawn_restartable(format!("token_keys.{name}"), shutdown.clone(), fetch));
    }
    let until = shutdown.clone();
    let note = move || usage.clone().run(until.clone());
    tasks.push(supervisor.spawn_restartable("key_usage", shutdown.clone(), note));
    tasks
}

/// What a node needs before it can serve: its locked directory, the follower over it, and its certificate.
struct Dependencies {
    lock: DirectoryLock,
    background: BackgroundRuntime,
    board: Board,
    catalog: Catalog,
    segments: SegmentDirectory,
    replica: Replica<CacheTarget>,
    follower: ReplicaHandle,
    cache: Cache,
    callers: Authenticator,
    tls: Option<Tls>,
}

impl Dependencies {
    /// Opens them on a thread that may block: files are read and locked.
    async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        let (config, clock) = (config.clone(), clock.clone());
        let open = move || {
            let data_dir = &config.node.data_dir;
            private_file::create_directory(data_dir)
                .map_err(|source| LockError::Io { directory: data_dir.clone(), source })?;
            let lock = DirectoryLock::acquire(data_dir)?;
            if let Err(error) = provide_local_admin_key(&data_dir.join(FIRST_KEY_FILE)) {
                warn!(%error, "no admin key of this node could be written to data_dir");
            }
            let (catalog, segments) = (open_read_catalog(&config)?, open_segments(&config, clock.clone())?);
            let tls = config.server.tls.as_ref().map(Tls::load).transpose()?;
            let callers = Authenticator {
                keys: KeyRing::with_rate(config.server.key_requests_per_second_max),
                tokens: Tokens::open(&config.tokens)?,
                trusted_proxies: config.server.trusted_proxies.clone().into(),
            };
            let cache = Cache::new();
            let target = Arc::new(CacheTarget::new(cache.clone()).with_keys(callers.keys.clone()));
            let settings = &config.node;
            let identity = Identity {
                node: replica::node_id(data_dir),
                name: settings.name.clone(),
                region: settings.region.clone(),
                roles: settings.roles.iter().map(|role| Label::fitted((*role).into())).collect(),
            };
            let board = Board::new(identity, clock.now());
            let background = BackgroundRuntime::start().context("no threads can be started")?;
            let (settings, pace) = (&config.replica, Pace::new(config.replica.poll_interval));
            let (replica, follower) = Replica::open(
                settings,
                pace,
                catalog.clone(),
                segments.clone(),
                target,
                clock,
                board.clone(),
            )?;
            let replica = replica.in_background(background.handle());
            Ok(Self { lock, background, board, catalog, segments, replica, follower, cache, callers, tls })
        };
        tokio::task::spawn_blocking(open).await.context("opening the node's files was interrupted")?
    }
}
