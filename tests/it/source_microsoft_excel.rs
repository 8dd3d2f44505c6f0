//! The source of workbooks in OneDrive and SharePoint against a server of Microsoft's documented protocol: tokens, versions,
//! redirects to addresses without credentials, waits that it asks for, errors.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use larder::{domain::row::CellKind as Cell, source::Query};
use rcgen::{CertificateParams, KeyPair};
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    access::signer::Signer,
    support::{
        node::{Node, Warehouse},
        source::{open, read, read_query},
    },
};

const SECRET: &str = "s3cret~Value";
const SHARE: &str = "https://contoso.sharepoint.com/:x:/s/team/EaBC?e=1";

#[derive(Default)]
struct Shared {
    content: Vec<u8>,
    version: u32,
    /// The public key, and the thumbprint of the certificate.
    certificate: Option<(String, String)>,
    audience: String,
    tokens: u32,
    downloads: u32,
    /// Refusals that come before answers: of the API, and of the server of downloads.
    busy: u32,
    download_busy: u32,
    /// Tokens before this one are revoked.
    token_min: u32,
    /// The workbook changes while it is downloaded.
    changes: bool,
    forbids: bool,
    lies_without_tls: bool,
}

type Server = Arc<Mutex<Shared>>;

/// Microsoft Graph with the login server; and a server of downloads, which gets no token.
struct Graph {
    address: SocketAddr,
    shared: Server,
    directory: TempDir,
}

/// A workbook with a sheet of names, and an empty one.
fn workbook(rows: &[(u32, &str)]) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Übersicht 1").unwrap();
    sheet.write_string(0, 0, "id").unwrap();
    sheet.write_string(0, 1, "name").unwrap();
    for (at, (id, name)) in (1..).zip(rows) {
        sheet.write_number(at, 0, *id).unwrap();
        sheet.write_string(at, 1, *name).unwrap();
    }
    workbook.add_worksheet().set_name("empty").unwrap();
    workbook.save_to_buffer().unwrap()
}

impl Graph {
    async fn start() -> Self {
        let graph = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = graph.local_addr().unwrap();
        let shared = Server::new(Mutex::new(Shared {
            content: workbook(&[(1, "Zoë \" 😀"), (2, "Bøb")]),
            audience: format!("http://{address}/contoso.example/oauth2/v2.0/token"),
            ..Shared::default()
        }));
        let downloads = files.local_addr().unwrap();
        let found = async move |State(shared): State<Server>, headers: HeaderMap, path: Path<String>| {
            answer(&shared, &headers, &path.0, downloads)
        };
        let routes = Router::new()
            .route("/contoso.example/oauth2/v2.0/token", post(token))
            .route("/v1.0/{*path}", get(found))
            .with_state(Arc::clone(&shared));
        let content = Router::new().route("/book", get(download)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(graph, routes).await });
        tokio::spawn(async move { axum::serve(files, content).await });
        Self { address, shared, directory: TempDir::new().unwrap() }
    }

    fn set(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.shared.lock().unwrap());
    }

    fn replace(&self, rows: &[(u32, &str)]) {
        self.set(|shared| {
            shared.content = workbook(rows);
            shared.version += 1;
        });
    }

    /// The section of a source with this place and these credentials.
    fn section(&self, keys: &str) -> String {
        let url = format!("http://{}", self.address);
        format!(
            "type = \"microsoft_excel\"\ntenant = \"contoso.example\"\nclient_id = \"11-22\"\n\
             url = {url:?}\nlogin_url = {url:?}\n{keys}\n"
        )
    }

    fn with_secret(&self, place: &str) -> String {
        self.section(&format!("client_secret = {SECRET:?}\n{place}"))
    }
}

async fn token(State(shared): State<Server>, body: String) -> Response {
    let mut shared = shared.lock().unwrap();
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let host = shared.audience.split("/contoso").next().unwrap();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["scope"], format!("{host}/.default"));
    let refusal = |error: &str, code: u32| {
        let description = format!("AADSTS{code}: refused {body}");
        let body = json!({"error": error, "error_codes": [code], "error_description": description});
        (StatusCode::UNAUTHORIZED, body.to_string()).into_response()
    };
    if form["client_id"] != "11-22" {
        return refusal("unauthorized_client", 700_016);
    }
    let is_good = match &shared.certificate {
        None => form.get("client_secret").is_some_and(|secret| secret == SECRET),
        Some((public_pem, thumbprint)) => {
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let mut validation = Validation::new(Algorithm::PS256);
            validation.set_audience(&[&shared.audience]);
            validation.set_issuer(&["11-22"]);
            validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
            let key = DecodingKey::from_rsa_pem(public_pem.as_bytes()).unwrap();
            jsonwebtoken::decode::<Value>(&form["client_assertion"], &key, &validation).is_ok_and(|token| {
                token.header.x5t_s256.as_ref() == Some(thumbprint) && token.claims["jti"].is_string()
            })
        }
    };
    if !is_good {
        return refusal("invalid_client", if shared.certificate.is_some() { 700_027 } else { 7_000_215 });
    }
    shared.tokens += 1;
    let token =
        json!({"token_type": "Bearer", "expires_in": 3599, "access_token": format!("eyJ.{}", shared.tokens)});
    token.to_string().into_response()
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, json!({"error": {"code": code, "message": "hush", "innerError": {}}}).to_string())
        .into_response()
}

/// An answer of Microsoft Graph.
fn answer(shared: &Server, headers: &HeaderMap, path: &str, downloads: SocketAddr) -> Response {
    let mut shared = shared.lock().unwrap();
    if shared.busy > 0 {
        shared.busy -= 1;
        let mut refusal = refusal(StatusCode::TOO_MANY_REQUESTS, "activityLimitReached");
        refusal.headers_mut().insert(header::RETRY_AFTER, "0".parse().unwrap());
        return refusal;
    }
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let number = token.and_then(|token| token.strip_prefix("Bearer eyJ.")?.parse().ok());
    if !number.is_some_and(|number| (shared.token_min..=shared.tokens).contains(&number)) {
        return refusal(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    }
    if shared.forbids {
        return refusal(StatusCode::FORBIDDEN, "accessDenied");
    }
    let shared_item = format!("shares/u!{}/driveItem", URL_SAFE_NO_PAD.encode(SHARE));
    let items = [
        shared_item.as_str(),
        "drives/b!A-_1/items/01ÄB",
        "drives/b!A-_1/root:/Berichte 2026/book.xlsx",
        "sites/contoso.sharepoint.com:/sites/team:/drive/root:/book.xlsx",
        "users/ann@contoso.com/drive/root:/book.xlsx",
    ];
    let item = |facet: &str| {
        let item = json!({
            "id": "01ÄB", "name": "book.xlsx", "size": 1, "eTag": "\"{E},1\"", "cTag": format!("\"c:{{E}},{}\"", shared.version),
            "parentReference": {"driveId": "b!A-_1", "driveType": "business"}, facet: {},
        });
        item.to_string().into_response()
    };
    match path {
        "drives/b!A-_1/items/01ÄB/content" => {
            let scheme = if shared.lies_without_tls { "ftp" } else { "http" };
            let location = format!("{scheme}://{downloads}/book?tempauth=v1.hush");
            (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
        }
        "drives/b!A-_1/root:/folder" => item("folder"),
        path if items.contains(&path) => item("file"),
        _ => refusal(StatusCode::NOT_FOUND, "itemNotFound"),
    }
}

/// The content behind an address that is a credential by itself.
async fn download(State(shared): State<Server>, headers: HeaderMap) -> Response {
    let mut shared = shared.lock().unwrap();
    assert!(!headers.contains_key(header::AUTHORIZATION), "the token went to another server");
    if shared.download_busy > 0 {
        shared.download_busy -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response();
    }
    shared.downloads += 1;
    shared.version += u32::from(shared.changes);
    Bytes::from(shared.content.clone()).into_response()
}

fn table(name: &str, columns: Option<&[&str]>) -> Query {
    let columns = columns.map(|names| names.iter().map(ToString::to_string).collect());
    Query::Table { name: name.to_owned(), columns }
}

const ITEM: &str = "drive = \"b!A-_1\"\nitem = \"01ÄB\"";

#[tokio::test(flavor = "multi_thread")]
async fn workbook_is_found_by_every_kind_of_place_with_one_token() {
    let server = Graph::start().await;
    let expected = [(Cell::Integer, "1", "Zoë \" 😀"), (Cell::Integer, "2", "Bøb")]
        .map(|(kind, id, name)| vec![(kind, id.to_owned()), (Cell::Text, name.to_owned())]);
    for (place, tokens) in [
        (format!("share_url = {SHARE:?}"), 1),
        (ITEM.to_owned(), 1),
        ("drive = \"b!A-_1\"\npath = \"/Berichte 2026/book.xlsx\"".to_owned(), 1),
        ("site = \"contoso.sharepoint.com/sites/team\"\npath = \"book.xlsx\"".to_owned(), 1),
        ("site = \"https://contoso.sharepoint.com:/sites/team\"\npath = \"book.xlsx\"".to_owned(), 1),
        ("user = \"ann@contoso.com\"\npath = \"book.xlsx\"".to_owned(), 1),
    ] {
        server.set(|shared| (shared.tokens, shared.busy, shared.download_busy) = (0, 1, 1));
        let source = open(&server.with_secret(&place));
        let found = read_query(&source, &table("Übersicht 1", None), None).await.unwrap();
        assert_eq!(found.rows(), expected, "{place}");
        let chosen = read_query(&source, &table("Übersicht 1", Some(&["name"])), Some(1)).await.unwrap();
        assert_eq!(chosen.rows(), [[(Cell::Text, "Zoë \" 😀".to_owned())]]);
        assert_eq!(source.tables().await.unwrap(), ["Übersicht 1", "empty"]);
        source.check().await.unwrap();
        let debug = format!("{source:?}");
        assert!(!debug.contains(SECRET) && !debug.contains("EaBC"), "{debug}");
        assert_eq!(server.shared.lock().unwrap().tokens, tokens, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_was_revoked_is_replaced_once() {
    let server = Graph::start().await;
    let source = open(&server.with_secret(ITEM));
    source.check().await.unwrap();
    server.set(|shared| shared.token_min = 2);
    source.check().await.unwrap();
    assert_eq!(server.shared.lock().unwrap().tokens, 2);
    server.set(|shared| shared.token_min = 9);
    let error = source.check().await.unwrap_err();
    assert_eq!(error.code(), "source_wrong_password", "{error}");
    assert_eq!(server.shared.lock().unwrap().tokens, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_signs_the_login() {
    let server = Graph::start().await;
    let signer = Signer::rsa(Algorithm::PS256);
    let key = KeyPair::from_pem(&signer.private_pem).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.der()));
    let directory = server.directory.path();
    std::fs::write(directory.join("app.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("app.key"), &signer.private_pem).unwrap();
    let file = |name: &str| directory.join(name).display().to_string();
    let keys = format!("certificate_file = {:?}\nkey_file = {:?}\n{ITEM}", file("app.pem"), file("app.key"));
    server.set(|shared| shared.certificate = Some((signer.public_pem.clone(), thumbprint)));
    open(&server.section(&keys)).check().await.unwrap();
    server.set(|shared| shared.certificate = Some((signer.public_pem.clone(), "other".to_owned())));
    let error = open(&server.section(&keys)).check().await.unwrap_err();
    assert_eq!(error.code(), "source_wrong_password", "{error}");
    assert!(error.to_string().contains("AADSTS700027"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workbook_that_changes_while_it_is_read_fails_the_run() {
    let server = Graph::start().await;
    let source = open(&server.with_secret(ITEM));
    server.set(|shared| shared.changes = true);
    let error = read_query(&source, &table("Übersicht 1", None), None).await.unwrap_err();
    assert_eq!(error.code(), "source_file_changed", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do_and_no_secret() {
    let server = Graph::start().await;
    let good = server.with_secret(ITEM);
    for (section, query, code, part) in [
        (good.replace(SECRET, "wr0ng"), table("Übersicht 1", None), "source_wrong_password", "AADSTS7000215"),
        (good.replace("11-22", "33"), table("Übersicht 1", None), "source_login_refused", "client_id"),
        (good.replace("01ÄB", "nothere"), table("Übersicht 1", None), "source_file_missing", "itemNotFound"),
        (
            server.with_secret("drive = \"b!A-_1\"\npath = \"folder\""),
            table("a", None),
            "source_file_missing",
            "folder",
        ),
        (good.clone(), table("third", None), "source_unknown_table", "Übersicht 1, empty"),
        (good.clone(), table("empty", None), "source_no_columns", "first row"),
        (good.clone(), table("Übersicht 1", Some(&["nope"])), "source_unknown_column", "nope"),
    ] {
        let error = read_query(&open(&section), &query, None).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        for secret in [SECRET, "wr0ng", "hush", "tempauth"] {
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }
    let source = open(&good);
    assert_eq!(read(&source, "select 1").await.unwrap_err().code(), "source_sql_unsupported");
    server.set(|shared| shared.content = b"no workbook".to_vec());
    let error = read_query(&source, &table("Übersicht 1", None), None).await.unwrap_err();
    assert_eq!(error.code(), "source_answer_malformed", "{error}");
    server.set(|shared| shared.lies_without_tls = true);
    let error = read_query(&source, &table("Übersicht 1", None), None).await.unwrap_err();
    assert!(!error.to_string().contains("hush"), "{error}");
    server.set(|shared| shared.forbids = true);
    let error = source.check().await.unwrap_err();
    assert_eq!(error.code(), "source_permission_denied", "{error}");
    assert!(error.to_string().contains("Files.Read.All"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workbook_is_synced_and_its_changes_are_served() {
    let server = Graph::start().await;
    let sections = format!(
        "[sources.book]\n{}[models.people]\nsource = \"book\"\ntable = \"Übersicht 1\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\nindexes = {{ id = \"id\" }}\n",
        server.with_secret(ITEM)
    );
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    node.sync("people").await;
    assert_eq!(node.record("people", "id", "2").await, Some(json!({"id": 2, "name": "Bøb"})));
    server.replace(&[(1, "Anna")]);
    node.sync_with("people", true, false).await;
    assert_eq!(node.record("people", "id", "2").await, None);
    assert_eq!(node.record("people", "id", "1").await, Some(json!({"id": 1, "name": "Anna"})));
}
