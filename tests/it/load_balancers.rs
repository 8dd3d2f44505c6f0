//! `HAProxy` and nginx in front of two nodes, one of them not ready, configured as `docs/operations.md` says.

use std::{fs, net::SocketAddr, path::Path};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::support::{
    http::Client,
    process::until,
    read_server::{Server, partner_record},
    service::Service,
};

const LOOKUP: &str = "/v1/collections/customer/records/id";
const RECORD: &str = "/v1/collections/customer/records/id/12345";

/// The block of `docs/operations.md` in this language, with the two nodes of its examples replaced.
fn documented(language: &str, nodes: [SocketAddr; 2]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a block of this language");
    let (block, _) = rest.split_once("```").unwrap();
    let examples = ["10.0.0.1:8080", "10.0.0.2:8080"];
    examples.iter().zip(nodes).fold(block.to_owned(), |block, (example, node)| {
        assert!(block.contains(example), "{language} has the node {example}");
        block.replace(example, &node.to_string())
    })
}

/// A ready node, and one that is not.
fn nodes() -> (Server, Server) {
    let (ready, starting) = (Server::start(), Server::start());
    starting.board.update(|status| status.ready = false);
    (ready, starting)
}

async fn haproxy(directory: &Path, backend: &str) -> Service {
    let path = directory.join("haproxy.cfg");
    Service::start(Path::new("/usr/sbin/haproxy"), |address| {
        let config = format!(
            "global\n  stats socket {0}/stats level user\ndefaults\n  mode http\n  timeout connect 2s\n  \
             timeout client 5s\n  timeout server 5s\nfrontend front\n  bind {address}\n  \
             default_backend larder\n{backend}",
            directory.display()
        );
        fs::write(&path, config).unwrap();
        vec!["-db".to_owned(), "-f".to_owned(), path.display().to_string()]
    })
    .await
}

/// What `HAProxy` says of each node once it has checked both: `status` and `check_status`.
async fn checked(directory: &Path) -> Vec<(String, String)> {
    until("checks of HAProxy", async || {
        let mut stream = UnixStream::connect(directory.join("stats")).await.ok()?;
        stream.write_all(b"show stat\n").await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next()?;
        let column = |name: &str| header.iter().position(|column| *column == name);
        let (status, check) = (column("status")?, column("check_status")?);
        let rows: Vec<_> = lines
            .filter(|row| row.first() == Some(&"larder") && row.get(1) != Some(&"BACKEND"))
            .map(|row| (row[status].to_owned(), row[check].to_owned()))
            .collect();
        let is_final = |row: &(String, String)| row.1.starts_with("L7") && !row.0.contains('/');
        (rows.len() == 2 && rows.iter().all(is_final)).then_some(rows)
    })
    .await
}

#[tokio::test]
async fn haproxy_sends_requests_to_the_node_that_is_ready() {
    let (ready, starting) = nodes();
    let servers = format!(
        "  server a {} check inter 50ms\n  server b {} check inter 50ms\n",
        ready.public, starting.public
    );
    for backend in [
        documented("haproxy", [ready.public, starting.public]),
        // OPTIONS with HTTP/1.0 and without a host.
        format!("backend larder\n  option httpchk /readyz\n{servers}"),
        format!("backend larder\n  option httpchk HEAD /readyz\n{servers}"),
        format!(
            "backend larder\n  option httpchk\n  http-check send meth OPTIONS uri /readyz ver HTTP/1.1 hdr Host larder\n{servers}"
        ),
    ] {
        let directory = TempDir::new().unwrap();
        let proxy = haproxy(directory.path(), &backend).await;
        let rows = checked(directory.path()).await;
        assert_eq!(rows[0], ("UP".to_owned(), "L7OK".to_owned()), "{backend}");
        assert_eq!(rows[1], ("DOWN".to_owned(), "L7STS".to_owned()), "{backend}");
        for _ in 0..4 {
            let answer = Client::connect(proxy.address).await.ask("GET", RECORD, &ready.bearer()).await;
            assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()));
        }
    }
}

#[tokio::test]
async fn nginx_asks_the_other_node_when_one_does_not_answer() {
    let ready = Server::start();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("nginx.conf");
    let proxy = Service::start(Path::new("/usr/sbin/nginx"), |address| {
        let block = documented("nginx", [ready.public, gone]).replace("listen 80;", &format!("listen {address};"));
        assert!(block.contains(&address.to_string()), "{block}");
        let own = directory.path().display();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {own}/body;\nproxy_temp_path {own}/proxy;\n\
             fastcgi_temp_path {own}/fastcgi;\nuwsgi_temp_path {own}/uwsgi;\nscgi_temp_path {own}/scgi;\n{block}\n}}\n"
        );
        fs::write(&path, config).unwrap();
        vec!["-c".to_owned(), path.display().to_string()]
    })
    .await;
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..4 {
        let answer = client.ask("GET", RECORD, &ready.bearer()).await;
        assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()));
        let body = "{\"value\":\"12345\"}";
        let extra =
            format!("{}Content-Type: application/json\r\nContent-Length: {}\r\n", ready.bearer(), body.len());
        client.request("POST", LOOKUP, &extra).await;
        client.send(body).await;
        assert_eq!(client.answer().await.status, 200);
    }
}
