//! Pages of other origins.

use larder::domain::manifest::{CorsSettings, ServingSettings};

use super::{Form, JANE, look_up};
use crate::support::{
    http::{Answer, Client},
    read_server::Server,
};

const APP: &str = "https://app.example.com";

fn server() -> Server {
    let server = Server::start();
    let cors = CorsSettings {
        origins: vec![APP.to_owned(), "http://localhost:3000".to_owned()],
        max_age_seconds: 600,
    };
    let open = ServingSettings { cors: Some(cors), ..ServingSettings::default() };
    server.collections.load("people", 1, open, &[("1", None, JANE)]);
    server.collections.load("orders", 1, ServingSettings::default(), &[("1", None, "{}")]);
    server
}

fn allowed(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.header("access-control-allow-credentials"), None, "no credentials mode");
    answer.header("access-control-allow-origin")
}

const LOOK_ALIKES: [&str; 12] = [
    "null",
    "*",
    "",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://evil.example/https://app.example.com",
    "https://app.example.com:444",
    "https://app.example.com/",
    "https://APP.example.com",
    "https://app.example.co",
    "https://app.example.com https://evil.example",
];

#[tokio::test]
async fn only_named_origins_may_read_an_answer() {
    let server = server();
    let mut client = Client::connect(server.public).await;
    let people = ("people", "id", "1");
    for form in super::FORMS {
        for origin in [APP, "http://localhost:3000"] {
            let headers = format!("{}Origin: {origin}\r\n", server.bearer());
            let answer = look_up(&mut client, form, people, &headers).await;
            assert_eq!((answer.status, allowed(&answer)), (200, Some(origin)));
            assert_eq!(answer.header("vary"), Some("origin"));
            assert!(answer.header("access-control-expose-headers").unwrap().contains("x-data-version"));
            // A page can read why it was refused.
            let refused = look_up(&mut client, form, people, &format!("Origin: {origin}\r\n")).await;
            assert_eq!((refused.status, allowed(&refused)), (401, Some(origin)));
            let closed = look_up(&mut client, form, ("orders", "id", "1"), &headers).await;
            assert_eq!((closed.status, allowed(&closed)), (200, None), "the collection names no origins");
        }
        for origin in LOOK_ALIKES {
            let headers = format!("{}Origin: {origin}\r\n", server.bearer());
            let answer = look_up(&mut client, form, people, &headers).await;
            assert_eq!((answer.status, allowed(&answer)), (200, None), "{origin}");
        }
    }
    // Caches must tell a page's answer from others, also for a request without an origin.
    let plain = look_up(&mut client, Form::Get, people, &server.bearer()).await;
    assert_eq!((allowed(&plain), plain.header("vary")), (None, Some("origin")));
}

#[tokio::test]
async fn browsers_ask_before_they_send_a_request() {
    let server = server();
    let mut client = Client::connect(server.public).await;
    let target = |collection: &str| format!("/v1/collections/{collection}/records/id/1");
    let ask = "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n";
    let preflight = client.ask("OPTIONS", target("people"), &format!("Origin: {APP}\r\n{ask}")).await;
    assert_eq!((preflight.status, allowed(&preflight)), (204, Some(APP)));
    assert_eq!(preflight.header("access-control-max-age"), Some("600"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET,HEAD,POST"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert!(preflight.body.is_empty());
    for origin in LOOK_ALIKES {
        let refused = client.ask("OPTIONS", target("people"), &format!("Origin: {origin}\r\n{ask}")).await;
        assert_eq!(allowed(&refused), None, "{origin}");
    }
    for (collection, headers) in [
        ("orders", format!("Origin: {APP}\r\n{ask}")),
        ("nowhere", format!("Origin: {APP}\r\n{ask}")),
        ("people", format!("Origin: {APP}\r\n")),
        ("people", ask.to_owned()),
    ] {
        let refused = client.ask("OPTIONS", target(collection), &headers).await;
        assert_eq!((refused.status, refused.code().as_str()), (405, "method_not_allowed"), "{collection}");
    }
}
