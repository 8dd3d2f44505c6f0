//! Tasks that panic or end early, and process limits: what a load balancer, `/status`, the metrics, `larder status`
//! and the exit code show.

use std::{path::Path, process::Command, time::Duration};

use larder::{
    app::{Server, Supervision, TaskFault, TaskFaults},
    config::{self, Environment, Overrides},
    support::clock::Clock,
};
use rustix::process::{Resource, geteuid, getrlimit};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::watch};

use crate::support::{
    admin::bearer,
    deployment::Deployment,
    http::{Client, soon},
    node::{Warehouse, base_sections},
    process::{larder, until},
};

const ROWS: &str = "create table people (id integer primary key, name text);
    create table pets (id integer primary key, name text);
    insert into people values (1, 'Ann'); insert into pets values (1, 'Rex');";

const SYNCS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"every 1s\"\nindexes = { id = \"id\" }\n\
    [models.pets]\nsource = \"warehouse\"\ntable = \"pets\"\nprimary_key = \"id\"\n\
    [syncs.pet]\nmodel = \"pets\"\nschedule = \"every 1s\"\nindexes = { id = \"id\" }\n";

/// An issuer whose keys are fetched. No server listens at the URL.
const TOKENS: &str = "[tokens.app]\nissuer = \"https://auth.test\"\naudience = \"larder\"\n\
    algorithms = [\"ES256\"]\njwks_url = \"http://127.0.0.1:1/keys\"\nallow_private_address = true\n\
    collections = [\"person\"]\nall_records = true\n";

/// A node with faults injected into its tasks.
struct Faulty {
    directory: TempDir,
    warehouse: Warehouse,
    server: Server,
    faults: watch::Sender<Option<(String, TaskFault)>>,
}

impl Faulty {
    /// Starts a node with keys of `[server]`, or with a section of its own.
    async fn start(sections: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let warehouse = Warehouse::sqlite(directory.path());
        warehouse.execute(ROWS).await;
        let path = directory.path().join("larder.toml");
        let (server, others) = if sections.starts_with('[') { ("", sections) } else { (sections, "") };
        let base = base_sections(&warehouse).replacen("[server]\n", &format!("[server]\n{server}"), 1);
        std::fs::write(&path, format!("{base}{SYNCS}{others}")).unwrap();
        let config = config::load(Some(&path), &Environment::default(), &Overrides::default()).unwrap();
        let (faults, receiver) = TaskFaults::channel();
        let supervision = Supervision {
            retry: (Duration::from_millis(10), Duration::from_millis(50)),
            steady_after: Duration::from_millis(500),
            faults: receiver,
        };
        let server = Server::start_supervised(config, Clock::default(), supervision).await.unwrap();
        soon("readiness", server.ready()).await;
        Self { directory, warehouse, server, faults }
    }

    fn inject(&self, task: &str, fault: TaskFault) {
        self.faults.send_replace(Some((task.to_owned(), fault)));
    }

    fn heal(&self) {
        self.faults.send_replace(None);
    }

    async fn admin(&self, target: &str) -> String {
        let mut client = Client::connect(self.server.admin_address()).await;
        client.ask("GET", target, &self.bearer()).await.text().to_owned()
    }

    /// The header line with the node's own admin key.
    fn bearer(&self) -> String {
        bearer(std::fs::read_to_string(self.directory.path().join("data/admin.key")).unwrap().trim())
    }

    async fn status(&self) -> Value {
        serde_json::from_str(&self.admin("/status").await).unwrap()
    }

    /// The node as `larder status --json` shows it; null before it has written a status.
    fn as_others_see_it(&self) -> Value {
        let output = larder(self.directory.path(), &["status", "--json"]).expect(0);
        output.json()["fleet"]["nodes"][0].clone()
    }
}

/// The value of the metric whose name and labels are `sample`.
fn metric(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

fn problem_of(task: &str) -> String {
    format!("larder_problem{{part=\"{task}\",code=\"task_failed\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_critical_task_drains_the_node() {
    for task in ["follower", "public_listener", "admin_listener"] {
        for fault in [TaskFault::Panic, TaskFault::Return] {
            let node = Faulty::start("").await;
            let mut balancer = Client::connect(node.server.public_address()).await;
            let mut operator = Client::connect(node.server.admin_address()).await;
            assert_eq!(balancer.ask("GET", "/readyz", "").await.status, 200);
            // A health check that has started is answered.
            balancer.send("GET /readyz HTTP/1.1\r\nHost: test\r\n").await;
            assert_eq!(operator.ask("GET", "/livez", "").await.status, 200);
            node.inject(task, fault);
            assert_eq!(soon("failure", node.server.failed()).await.as_str(), task);
            if task == "public_listener" {
                balancer.ended().await;
                assert!(TcpStream::connect(node.server.public_address()).await.is_err());
            } else {
                balancer.send("\r\n").await;
                let answer = balancer.answer().await;
                assert_eq!((answer.status, answer.text()), (503, r#"{"status":"draining"}"#), "{task}");
            }
            if task == "admin_listener" {
                operator.ended().await;
            } else {
                let status = operator.ask("GET", "/status", &node.bearer()).await.json();
                assert_eq!(status["state"], "draining");
                assert_eq!(status["tasks"][task]["code"], "task_failed", "{status}");
                let metrics = node.admin("/metrics").await;
                assert_eq!(metric(&metrics, &problem_of(task)), Some(1.0), "{metrics}");
            }
            until("what others see", async || {
                let seen = node.as_others_see_it();
                (seen["state"] == "draining" && seen["tasks"][task]["code"] == "task_failed").then_some(())
            })
            .await;
            assert!(!soon("end", node.server.stop()).await, "the process has a code of its own for this");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restartable_task_is_restarted_and_its_problem_shown_meanwhile() {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/tls");
    let tls =
        format!("tls_certificate_file = \"{files}/certificate.pem\"\ntls_key_file = \"{files}/key.pem\"\n");
    for (injected, task, sections) in [
        ("reporter", "reporter", ""),
        ("housekeeping", "housekeeping", ""),
        ("publisher", "publisher", ""),
        // Nothing can be announced without it, so the publishing side is restarted.
        ("announcer", "publisher", ""),
        ("sync.person", "sync.person", ""),
        ("tls_reload", "tls_reload", tls.as_str()),
        ("events", "events", ""),
        ("request_rates", "request_rates", ""),
        ("key_usage", "key_usage", ""),
        ("stored_configuration", "stored_configuration", ""),
        ("token_keys.app", "token_keys.app", TOKENS),
    ] {
        for fault in [TaskFault::Panic, TaskFault::Return] {
            let node = Faulty::start(sections).await;
            soon("publishing side", node.server.publisher()).await;
            node.inject(injected, fault);
            until("a problem", async || {
                (node.status().await["tasks"][task]["code"] == "task_failed").then_some(())
            })
            .await;
            let restarts = format!("larder_task_restarts_total{{task=\"{task}\"}}");
            until("restarts", async || {
                metric(&node.admin("/metrics").await, &restarts).filter(|n| *n >= 2.0)
            })
            .await;
            let metrics = node.admin("/metrics").await;
            assert_eq!(metric(&metrics, &problem_of(task)), Some(1.0), "{metrics}");
            let status = node.status().await;
            assert_eq!((&status["state"], &status["ready"]), (&"ready".into(), &true.into()), "{status}");
            if injected == "sync.person" {
                // The other sync goes on.
                node.warehouse.execute("update pets set name = 'Bello'").await;
                let served = status["collections"]["pet"]["served_version"].as_u64();
                until("the other sync", async || {
                    let status = node.status().await;
                    (status["collections"]["pet"]["served_version"].as_u64() > served).then_some(())
                })
                .await;
            }
            if injected != "reporter" {
                until("what others see", async || {
                    let seen = node.as_others_see_it();
                    (seen["tasks"][task]["code"] == "task_failed").then(|| {
                        assert_eq!(seen["tasks"][task]["message"], Value::Null, "{seen}");
                    })
                })
                .await;
            }
            node.heal();
            until("health", async || node.status().await["tasks"].as_object()?.is_empty().then_some(()))
                .await;
            assert_eq!(metric(&node.admin("/metrics").await, &problem_of(task)), None);
            until("health, as others see it", async || {
                let seen = node.as_others_see_it();
                (seen["state"] == "ready" && seen["tasks"] == Value::Null).then_some(())
            })
            .await;
            node.warehouse.execute("update people set name = 'Bob'").await;
            let served = node.status().await["collections"]["person"]["served_version"].as_u64();
            until("a run", async || {
                let status = node.status().await;
                (status["collections"]["person"]["served_version"].as_u64() > served).then_some(())
            })
            .await;
            assert!(soon("end", node.server.stop()).await);
        }
    }
}

/// A user without other processes. Tests that run at the same time have different `number`s, 0 or 1.
fn user(number: u32) -> String {
    (50_000 + 2 * (std::process::id() % 5_000) + number).to_string()
}

fn hand_over(directory: &Path, user: &str) {
    let owner = format!("{user}:{user}");
    let status = std::process::Command::new("chown").args(["-R", &owner]).arg(directory).status().unwrap();
    assert!(status.success());
}

/// Whether the process may run others as other users; says so when it may not.
fn may_change_user() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: a limit of processes does not hold for root, and only root becomes another user");
    }
    is_root
}

#[tokio::test(flavor = "multi_thread")]
async fn run_without_threads_fails_with_a_code_and_the_next_one_succeeds() {
    if !may_change_user() {
        return;
    }
    let user = user(0);
    let (warehouse, deployment) = (Warehouse::postgres().await, Deployment::new());
    warehouse.execute("create table people (id integer primary key, name text)").await;
    warehouse.execute("insert into people values (1, 'Ann')").await;
    let sync = SYNCS.split("[models.pets]").next().unwrap();
    let node = deployment.node("data", &format!("{}{sync}", warehouse.section()));
    hand_over(node.path(), &user);
    let wrapper = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
    let create = ["keys", "create", "--name", "test", "--all-collections"];
    let key = node.spawn_within(&wrapper, &create).wait().await.expect(0).stdout.trim().to_owned();
    let mut server = node.spawn_within(&wrapper, &["serve"]);
    server.ready().await;
    server.until("a record", |server| server.log().contains("serving a new version").then_some(())).await;
    until("a record", async || (server.get(&key, "person", 1).await.status == 200).then_some(())).await;

    // A process may set the soft limits of others of its user, without further rights.
    let pid = server.id().to_string();
    let limit = |soft: &str| {
        let soft = format!("--nproc={soft}:");
        let set =
            Command::new("setpriv").args(&wrapper[1..]).args(["prlimit", "--pid", &pid, &soft]).status();
        assert!(set.unwrap().success(), "the limit of processes cannot be set");
    };
    let before = getrlimit(Resource::Nproc).current.map_or("unlimited".to_owned(), |soft| soft.to_string());
    limit("1");
    warehouse.execute("update people set name = 'Bob'").await;
    server.until("a refused thread", |server| server.log().contains("thread_refused").then_some(())).await;
    let status = server.status().await;
    assert_eq!(status["state"], "ready", "{status}");
    let answer = server.get(&key, "person", 1).await;
    assert_eq!(answer.json()["name"], "Ann", "{answer:?}");
    limit(&before);
    until("the next run", async || {
        (server.get(&key, "person", 1).await.json()["name"] == "Bob").then_some(())
    })
    .await;
    assert!(!server.log().contains("a bug in larder"), "{}", server.log());
    server.signal(rustix::process::Signal::TERM);
    server.wait().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_without_threads_does_not_start_and_reports_the_cause() {
    if !may_change_user() {
        return;
    }
    let user = user(1);
    let deployment = Deployment::new();
    let node = deployment.node("data", "");
    hand_over(node.path(), &user);
    let wrapper = ["prlimit", "--nproc=1", "setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
    let ended = node.spawn_within(&wrapper, &["serve"]).wait().await.expect(1);
    assert!(ended.stderr.contains("no thread") && !ended.stderr.contains("a bug in larder"), "{ended:?}");
}
