//! Sources over HTTP behind a proxy: `HTTPS_PROXY`, a real `CONNECT`, and TLS from end to end.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    clickhouse::ClickHouse,
    process::{CommandOutput, Process, command},
    tls::tls_before,
};

/// A name that only the proxy can resolve.
const HOST: &str = "clickhouse.internal.invalid";
/// `proxy:sesame`
const LOGIN: &str = "Basic cHJveHk6c2VzYW1l";

/// Variables of the environment, the code of the error, and what its message says.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

/// A proxy that connects to `target`, whatever host is asked for, when the login is good.
async fn proxy_before(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
    let kept = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = client.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let is_known = head.contains(LOGIN);
            kept.lock().unwrap().push(head);
            let answer = if is_known { "200 Established" } else { "407 Proxy Authentication Required" };
            let _ = client.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await;
            if is_known {
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        }
    });
    (address, heads)
}

#[tokio::test(flavor = "multi_thread")]
async fn source_is_read_through_the_proxy_of_the_environment() {
    let database = ClickHouse::database().await;
    let directory = TempDir::new().unwrap();
    let section = database.section();
    let plain: SocketAddr =
        section.split("http://").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let server = tls_before(plain, HOST, &directory.path().join("ca.pem")).await;
    let (proxy, heads) = proxy_before(server).await;
    let section = section.replace(&format!("http://{plain}"), &format!("https://{HOST}:8443"));
    let config =
        format!("[storage]\nurl = \"file:./store\"\n[sources.events]\n{section}ca_file = \"ca.pem\"\n");
    std::fs::write(directory.path().join("larder.toml"), config).unwrap();
    let query = async |variables: &[(&str, &str)]| -> CommandOutput {
        let arguments = ["source", "query", "events", "select number as n from numbers(3)"];
        let mut command = command(directory.path(), &[], &arguments);
        command.envs(variables.iter().copied());
        Process::spawn(command).wait().await
    };
    let url = |login: &str| format!("http://{login}{proxy}");
    let good = url("proxy:sesame@");

    let read = query(&[("HTTPS_PROXY", &good)]).await.expect(0);
    assert_eq!(read.stdout, "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    let asked = std::mem::take(&mut *heads.lock().unwrap());
    assert!(asked.iter().all(|head| head.starts_with(&format!("CONNECT {HOST}:8443 "))), "{asked:?}");
    assert!(!asked.is_empty() && !asked.concat().contains("numbers"), "{asked:?}");

    let (wrong, nobody) = (url("proxy:wrong@"), url(""));
    let cases: [Case<'_>; 5] = [
        (&[], "source_host_unknown", "url"),
        (&[("HTTPS_PROXY", &good), ("NO_PROXY", ".internal.invalid")], "source_host_unknown", "url"),
        (&[("HTTPS_PROXY", &wrong)], "source_unreachable", "HTTPS_PROXY"),
        (&[("HTTPS_PROXY", &nobody)], "source_unreachable", "HTTPS_PROXY"),
        (&[("HTTPS_PROXY", "http://127.0.0.1:1")], "source_unreachable", "HTTPS_PROXY"),
    ];
    for (variables, code, part) in cases {
        let refused = query(variables).await.expect(1);
        assert!(refused.stderr.contains(&format!("code: {code}")), "{variables:?}: {refused:?}");
        assert!(refused.stderr.contains(part), "{variables:?}: {refused:?}");
        assert!(!refused.text().contains("sesame") && !refused.text().contains("wrong"), "{refused:?}");
    }
}
