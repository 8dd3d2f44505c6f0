//! Paths as clients send them: the order of the checks, and the answers to hostile paths.

use crate::support::{
    http::Client,
    read_server::{Server, bearer},
};

const RECORD: &str = "/v1/collections/customer/records/id/12345";

#[tokio::test]
async fn a_request_is_judged_in_a_fixed_order() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let (scoped, long) = (bearer(&server.scoped), format!("/{}", "x".repeat(9000)));
    let fat = format!("X-Fat: {}\r\n", "x".repeat(33_000));
    // Each request is wrong in everything that comes later in the order, too.
    for (method, target, extra, status, code) in [
        ("POST", long.as_str(), fat.as_str(), 414, "path_too_long"),
        ("POST", "/nowhere/%zz", fat.as_str(), 431, "headers_too_large"),
        ("POST", "/nowhere/%zz", "", 404, "route_not_found"),
        ("POST", "/v1/collections/later/records/nope/%zz", "", 405, "method_not_allowed"),
        ("GET", "/v1/collections/later/records/nope/%zz", "", 401, "key_missing"),
        ("GET", "/v1/collections/later/records/nope/%zz", scoped.as_str(), 400, "invalid_path"),
        ("GET", "/v1/collections/later/records/nope/0", scoped.as_str(), 403, "forbidden"),
        ("GET", "/v1/collections/customer/records/nope/0", scoped.as_str(), 404, "index_not_found"),
        ("GET", "/v1/collections/customer/records/id/0", scoped.as_str(), 404, "record_not_found"),
    ] {
        let answer = client.ask(method, target, extra).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"));
        assert_eq!(answer.header("allow"), (status == 405).then_some("GET, HEAD"));
    }
}

/// A value of the index `id`, as raw bytes of a request line, and the answer's status and code.
fn hostile_values() -> Vec<(Vec<u8>, u16, &'static str)> {
    let (invalid, miss, route) = ("invalid_path", "record_not_found", "route_not_found");
    let mut table: Vec<(Vec<u8>, u16, &'static str)> = [
        ("%zz", 400, invalid),
        ("%4", 400, invalid),
        ("%", 400, invalid),
        ("%%", 400, invalid),
        ("%u0041", 400, invalid),
        ("%+1", 400, invalid),
        ("%C3", 400, invalid),
        ("%C3%28", 400, invalid),
        ("%C0%80", 400, invalid),
        ("%ED%A0%80", 400, invalid),
        ("%F5%80%80%80", 400, invalid),
        ("%FF%FE", 400, invalid),
        ("%00", 404, miss),
        ("12345%00", 404, miss),
        ("12345%20", 404, miss),
        ("12345%0D%0AX-Injected:%201", 404, miss),
        ("..%2F..%2Fetc%2Fpasswd", 404, miss),
        ("%2e%2e", 404, miss),
        ("..", 404, miss),
        ("%252e%252e%252f", 404, miss),
        ("1234%2535", 404, miss),
        ("+", 404, miss),
        ("%2B%2B12345", 404, miss),
        ("12345;a=b", 404, miss),
        ("12345%3Fx", 404, miss),
        ("'%20or%20'1'='1", 404, miss),
        ("$%7Bjndi:ldap:%2F%2Fx%7D", 404, miss),
        ("{{user_id}}", 404, miss),
        ("\u{20ac}", 404, miss),
        ("", 404, miss),
        ("/", 404, miss),
        ("?value=12345", 404, miss),
        ("../../../../etc/passwd", 404, route),
        ("12345/..", 404, route),
        ("12345//", 404, route),
        ("a/b", 404, route),
    ]
    .into_iter()
    .map(|(value, status, code)| (value.as_bytes().to_vec(), status, code))
    .collect();
    table.push(("x".repeat(2000).into_bytes(), 404, miss));
    table.push(("%41".repeat(1200).into_bytes(), 404, miss));
    table.push((vec![b'x'; 10_000], 414, "path_too_long"));
    table.push((vec![b'x'; 60_000], 414, "path_too_long"));
    table.push((vec![b'x'; 70_000], 414, ""));
    table.push((b"\xff".to_vec(), 400, ""));
    table.push((b"\xc3\x28".to_vec(), 400, ""));
    table.push((b"a b".to_vec(), 400, ""));
    table.push((b"a\x00b".to_vec(), 400, ""));
    table.push((b"a\x7fb".to_vec(), 400, ""));
    // A client sends no fragment; the part before it would be another value.
    table.push((b"12345#x".to_vec(), 400, ""));
    table
}

#[tokio::test]
async fn hostile_paths_are_refused_and_the_connection_stays_usable() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for (value, status, code) in hostile_values() {
        let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        let mut target = b"/v1/collections/customer/records/id/".to_vec();
        target.extend_from_slice(&value);
        let answer = client.ask("GET", &target, &server.bearer()).await;
        assert_eq!(answer.status, status, "{shown}");
        assert_eq!(answer.header("x-injected"), None, "{shown}");
        // hyper refuses what is not HTTP, without a body.
        assert_eq!(if answer.body.is_empty() { String::new() } else { answer.code() }, code, "{shown}");
        if answer.header("connection").is_none() {
            let after = client.ask("GET", RECORD, &server.bearer()).await;
            assert_eq!(after.status, 200, "the connection is usable after {shown}");
        } else {
            assert_eq!(code, "", "{shown}");
            client.closed().await;
            client = Client::connect(server.public).await;
        }
    }
}

#[tokio::test]
async fn fragment_is_refused_in_every_request_line() {
    let server = Server::start();
    let before = "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n";
    for (first, answers) in [
        ("\r\n".to_owned(), 0),
        (before.to_owned(), 1),
        (format!("{before}\r\n"), 1),
        (before.replace('\r', ""), 1),
    ] {
        let mut client = Client::connect(server.public).await;
        client.send(format!("{first}GET {RECORD}#x HTTP/1.1\r\nHost: test\r\n{}\r\n", server.bearer())).await;
        for _ in 0..answers {
            assert_eq!(client.answer().await.status, 200, "{first:?}");
        }
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (400, ""), "{first:?}");
        client.closed().await;
    }
}

#[tokio::test]
async fn body_that_looks_like_a_request_line_with_a_fragment_is_read_as_it_is() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    // The value is looked up with its line feeds; were a byte changed, the form would not parse.
    for body in [
        "value=12345&note=GET /a%23b HTTP/1.1\r\n",
        "{\"value\":\"12345\",\n\"#\":\"x HTTP/1.1\"\n}",
        "{\"value\":\"12345\",\"#\":\n\"GET /a#b HTTP/1.1\"\n\n}",
    ] {
        let extra = format!("{}Content-Length: {}\r\n", server.bearer(), body.len());
        let target = "/v1/collections/customer/records/id";
        client.request("POST", target, &extra).await;
        client.send(body).await;
        let whole = client.answer().await;
        // The same in one packet with what follows it.
        let again = format!("POST {target} HTTP/1.1\r\nHost: test\r\n{extra}\r\n{body}");
        client.send(format!("{again}GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &answer.body), (whole.status, &whole.body), "{body:?}");
        assert_eq!(client.answer().await.status, 200, "{body:?}");
        // And with a request line that has a fragment behind it.
        let mut other = Client::connect(server.public).await;
        other.send(format!("{again}GET {RECORD}#x HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        assert_eq!(other.answer().await.status, whole.status, "{body:?}");
        assert_eq!(other.answer().await.status, 400, "{body:?}");
        other.closed().await;
    }
}

#[tokio::test]
async fn chunked_body_ends_its_connection_with_the_answer() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let extra = format!("{}Transfer-Encoding: chunked\r\n", server.bearer());
    client.request("POST", "/v1/collections/customer/records/id", &extra).await;
    client.send("b\r\nvalue=12345\r\n0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    client.closed().await;
}

#[tokio::test]
async fn paths_beside_the_contract_are_404_and_never_redirect() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for target in [
        "/",
        "//",
        "/v1",
        "/v1/collections",
        "/v1/collections/customer",
        "/v1/collections/customer/records",
        "/v1/collections/customer/records/",
        "/v1//collections/customer/records/id/12345",
        "//v1/collections/customer/records/id/12345",
        "/v1/./collections/customer/records/id/12345",
        "/V1/collections/customer/records/id/12345",
        "/v2/collections/customer/records/id/12345",
        "/%76%31/collections/customer/records/id/12345",
        "/livez/x",
        "/metrics",
        "/status",
        "/admin/v1/runs",
        "/favicon.ico",
        "*",
    ] {
        let answer = client.ask("GET", target, &server.bearer()).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "route_not_found"), "{target}");
        assert_eq!(answer.header("location"), None);
    }
}
