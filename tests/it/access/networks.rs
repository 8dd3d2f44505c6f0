//! Keys for some networks, and headers that are forged to get around it.

use larder::{
    auth::{ApiKey, Authenticator},
    domain::{keyset::Scope, network::Network},
};

use super::{Form, entry, limits, load, look_up};
use crate::support::{
    http::Client,
    read_server::{Server, bearer},
};

fn server(trusted: &[&str]) -> Server {
    let trusted_proxies = trusted.iter().map(|network| Network::new(network).unwrap()).collect();
    let server = Server::with_callers(Authenticator { trusted_proxies, ..Authenticator::default() });
    load(&server);
    server
}

async fn status(server: &Server, networks: &str, headers: &str) -> u16 {
    let key = ApiKey::generate();
    let limits = limits(&format!(r#"{{"networks":{networks}}}"#));
    server.replace_keys(vec![entry(&key, Scope::AllCollections, limits)]);
    let mut client = Client::connect(server.public).await;
    let answer =
        look_up(&mut client, Form::Get, ("people", "id", "1"), &format!("{}{headers}", bearer(&key))).await;
    if answer.status != 200 {
        assert_eq!(answer.code(), "network_not_allowed");
    }
    answer.status
}

#[tokio::test]
async fn forged_headers_count_only_from_trusted_proxies() {
    const INSIDE: &str = r#"["203.0.113.0/24"]"#;
    let direct = server(&[]);
    assert_eq!(status(&direct, r#"["127.0.0.0/8"]"#, "").await, 200);
    assert_eq!(status(&direct, r#"["::ffff:127.0.0.0/104"]"#, "").await, 200);
    assert_eq!(status(&direct, "[]", "").await, 403);
    for forged in [
        "",
        "X-Forwarded-For: 203.0.113.7\r\n",
        "X-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\nTrue-Client-IP: 203.0.113.7\r\n",
    ] {
        assert_eq!(status(&direct, INSIDE, forged).await, 403, "{forged}");
    }
    let behind_proxy = server(&["127.0.0.0/8", "10.0.0.0/8"]);
    for (forwarded, expected) in [
        ("X-Forwarded-For: 203.0.113.7\r\n", 200),
        ("X-Forwarded-For: ::ffff:203.0.113.7\r\n", 200),
        ("X-Forwarded-For: 203.0.113.7, 10.9.9.9\r\n", 200),
        ("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 203.0.113.7\r\n", 200),
        ("", 403),
        // What the client wrote itself stands left of what the proxy adds.
        ("X-Forwarded-For: 203.0.113.7, 198.51.100.9\r\n", 403),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 198.51.100.9\r\n", 403),
        ("X-Forwarded-For: 203.0.113.7, ::ffff:198.51.100.9\r\n", 403),
        ("X-Forwarded-For: 203.0.113.7, unknown\r\n", 403),
        ("X-Forwarded-For: 203.0.113.7,\r\n", 403),
        ("X-Forwarded-For: 203.0.113.7 198.51.100.9\r\n", 403),
        ("X-Forwarded-For: \r\n", 403),
        ("Forwarded: for=203.0.113.7\r\n", 403),
    ] {
        assert_eq!(status(&behind_proxy, INSIDE, forwarded).await, expected, "{forwarded}");
    }
}
