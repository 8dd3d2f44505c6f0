//! The Google Sheets source against a server of its API: tokens of a service account, ranges, values, errors.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, Query as Parameters, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use larder::{domain::row::CellKind as Cell, source::Query};
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

const EMAIL: &str = "larder@project.iam.gserviceaccount.com";

struct Shared {
    public_pem: String,
    audience: String,
    ranges: HashMap<String, Value>,
    tokens: u32,
}

struct Sheets {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    directory: TempDir,
}

type Answer = (StatusCode, String);

impl Sheets {
    async fn start() -> Self {
        let signer = Signer::rsa(Algorithm::RS256);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let audience = format!("http://{address}/token");
        let directory = TempDir::new().unwrap();
        let key = json!({"type": "service_account", "client_email": EMAIL, "private_key": signer.private_pem,
            "token_uri": audience});
        std::fs::write(directory.path().join("key.json"), key.to_string()).unwrap();
        let shared = Shared { public_pem: signer.public_pem, audience, ranges: HashMap::new(), tokens: 0 };
        let shared = Arc::new(Mutex::new(shared));
        let routes = Router::new()
            .route("/token", post(token))
            .route("/v4/spreadsheets/{id}", get(titles))
            .route("/v4/spreadsheets/{id}/values/{range}", get(values))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, shared, directory }
    }

    /// Lets a range have these values.
    fn answer(&self, range: &str, values: Value) {
        self.shared.lock().unwrap().ranges.insert(range.to_owned(), values);
    }

    fn section(&self) -> String {
        let key = self.directory.path().join("key.json");
        format!(
            "type = \"google_sheets\"\nspreadsheet = \"1a-B_c\"\ncredentials_file = {:?}\nurl = \"http://{}\"\n",
            key.display().to_string(),
            self.address
        )
    }
}

async fn token(State(shared): State<Arc<Mutex<Shared>>>, body: String) -> Answer {
    let mut shared = shared.lock().unwrap();
    let parameters: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[&shared.audience]);
    validation.set_issuer(&[EMAIL]);
    let key = DecodingKey::from_rsa_pem(shared.public_pem.as_bytes()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&parameters["assertion"], &key, &validation);
    let is_good = claims.is_ok_and(|claims| {
        claims.claims["scope"] == "https://www.googleapis.com/auth/spreadsheets.readonly"
    });
    if !is_good || parameters["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
        return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string());
    }
    shared.tokens += 1;
    (StatusCode::OK, json!({"access_token": "ya29.token", "expires_in": 3599}).to_string())
}

fn refusal(status: StatusCode, name: &str, message: &str) -> Answer {
    (status, json!({"error": {"code": status.as_u16(), "message": message, "status": name}}).to_string())
}

fn refused(headers: &HeaderMap, id: &str) -> Option<Answer> {
    if headers.get("authorization").is_none_or(|value| value != "Bearer ya29.token") {
        return Some(refusal(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "Request had invalid authentication",
        ));
    }
    (id != "1a-B_c").then(|| refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "Requested entity was not found."))
}

async fn titles(headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let sheets =
        json!({"sheets": [{"properties": {"title": "people"}}, {"properties": {"title": "Blatt 2"}}]});
    refused(&headers, &id).unwrap_or((StatusCode::OK, sheets.to_string()))
}

async fn values(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    Path((id, range)): Path<(String, String)>,
    Parameters(parameters): Parameters<HashMap<String, String>>,
) -> Answer {
    if let Some(refused) = refused(&headers, &id) {
        return refused;
    }
    assert_eq!(parameters["valueRenderOption"], "UNFORMATTED_VALUE");
    match shared.lock().unwrap().ranges.get(&range) {
        Some(Value::Null) => (StatusCode::OK, json!({"range": range}).to_string()),
        Some(values) => (StatusCode::OK, json!({"range": range, "values": values}).to_string()),
        None => refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "Unable to parse range"),
    }
}

fn table(name: &str, columns: Option<&[&str]>) -> Query {
    let columns = columns.map(|names| names.iter().map(ToString::to_string).collect());
    Query::Table { name: name.to_owned(), columns }
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_keep_their_types_and_short_rows_have_nulls() {
    let server = Sheets::start().await;
    let values = json!([
        ["id", "name", "ltv", "vip"],
        [9_007_199_254_740_991_i64, "é \" 😀", 12.5, true],
        [],
        [2, "", -0.25],
        ["3"],
        ["", "", ""],
    ]);
    server.answer("Blatt 2!A1:D", values);
    let source = open(&server.section());
    let found = read_query(&source, &table("Blatt 2!A1:D", None), None).await.unwrap();
    let cell = |kind, text: &str| (kind, text.to_owned());
    let null = || cell(Cell::Null, "");
    assert_eq!(
        found.rows(),
        [
            vec![
                cell(Cell::Integer, "9007199254740991"),
                cell(Cell::Text, "é \" 😀"),
                cell(Cell::Number, "12.5"),
                cell(Cell::Boolean, "true")
            ],
            vec![cell(Cell::Integer, "2"), null(), cell(Cell::Number, "-0.25"), null()],
            vec![cell(Cell::Text, "3"), null(), null(), null()],
        ]
    );
    let chosen = table("Blatt 2!A1:D", Some(&["vip", "id"]));
    let found = read_query(&source, &chosen, Some(1)).await.unwrap();
    assert_eq!(found.rows(), [[cell(Cell::Boolean, "true"), cell(Cell::Integer, "9007199254740991")]]);
    assert_eq!(source.tables().await.unwrap(), ["Blatt 2", "people"]);
    assert!(!format!("{source:?}").contains("PRIVATE"), "{source:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do() {
    let server = Sheets::start().await;
    server.answer("empty", Value::Null);
    server.answer("nameless", json!([["id", ""], [1]]));
    server.answer("wide", json!([["id"], [1, "hush"]]));
    let section = server.section();
    let source = open(&section);
    for (query, code, part) in [
        (table("nothere", None), "source_unknown_table", "larder source tables"),
        (table("empty", None), "source_no_columns", "first row"),
        (table("nameless", None), "source_no_columns", "first row"),
        (table("wide", None), "source_answer_malformed", "row 2"),
        (table("wide", Some(&["nope"])), "source_unknown_column", "nope"),
    ] {
        let error = read_query(&source, &query, None).await.unwrap_err();
        assert_eq!(error.code(), code, "{query:?}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    assert_eq!(read(&source, "select 1").await.unwrap_err().code(), "source_sql_unsupported");
    let error = open(&section.replace("1a-B_c", "other")).check().await.unwrap_err();
    assert_eq!(error.code(), "source_unknown_database");
    let other = Sheets::start().await;
    let swapped = section.replace(&server.address.to_string(), &other.address.to_string());
    server.shared.lock().unwrap().public_pem.clone_from(&other.shared.lock().unwrap().public_pem);
    let error = open(&swapped).check().await.unwrap_err();
    assert_eq!(error.code(), "source_wrong_password", "{error}");
    // The server of tokens is another one than that of the API.
    let file = server.directory.path().join("key.json");
    let key = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, key.replace(&format!("{}/token", server.address), "127.0.0.1:1/token")).unwrap();
    let error = open(&section).check().await.unwrap_err();
    assert_eq!(error.code(), "source_unreachable", "{error}");
    assert!(error.to_string().contains("127.0.0.1:1:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sheet_is_synced_and_its_changes_are_served() {
    let server = Sheets::start().await;
    server.answer("people", json!([["id", "name"], [1, "Ann"], [2, "Bøb"]]));
    let sections = format!(
        "[sources.sheet]\n{}[models.people]\nsource = \"sheet\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\nindexes = {{ id = \"id\" }}\n",
        server.section()
    );
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    node.sync("people").await;
    assert_eq!(node.record("people", "id", "2").await, Some(json!({"id": 2, "name": "Bøb"})));
    server.answer("people", json!([["id", "name"], [1, "Anna"]]));
    node.sync_with("people", true, false).await;
    assert_eq!(node.record("people", "id", "2").await, None);
    assert_eq!(node.record("people", "id", "1").await, Some(json!({"id": 1, "name": "Anna"})));
}
