//! The OpenAPI 3.1 descriptions of both listeners. The public one is built from the tables and constants
//! that the listener answers by, the admin one from its routes. `docs/` has both texts;
//! `tests/it/openapi.rs` compares them, and runs a fuzzer that checks the server against the public one.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{http::HeaderName, response::IntoResponse};
use hyper::{
    StatusCode,
    body::Bytes,
    header::{
        ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    },
};
use utoipa::openapi::{
    ComponentsBuilder, Content, Header, HeaderBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder,
    OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    SecurityRequirement, Type,
    extensions::Extensions,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::SchemaType,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    http::{
        error::{JSON, METHODS, NO_STORE},
        layers::{HEADER_BYTES_MAX, TARGET_BYTES_MAX},
        request_id,
    },
    ops,
    read::{self, Code, Coding, OnStale, RawPath},
    router,
};
use crate::{
    domain::{duration, limits::RECORD_BYTES_MAX},
    status::NodeState,
};

/// The path of the description.
pub(super) const PATH: &str = "/openapi.json";

/// The media type of every body.
const JSON_TYPE: &str = "application/json";
/// The names of the security schemes.
const SCHEMES: [&str; 3] = ["bearer", "basic", "api_key"];

/// The text that is served.
static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| description().into());

/// `GET /openapi.json`.
pub(super) async fn answer() -> impl IntoResponse {
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)], DESCRIPTION.clone())
}

/// The description of the public listener in JSON; every build of a version makes the same text.
pub fn description() -> String {
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE"));
    let license = license.identifier(Some(env!("CARGO_PKG_LICENSE"))).build();
    let about = format!(
        "Looks up one record by one value of one index. A path and query have at most {TARGET_BYTES_MAX} bytes, \
         the headers of a request together {HEADER_BYTES_MAX}, a record {RECORD_BYTES_MAX}. \
         A slash at the end of a path changes nothing."
    );
    let info = InfoBuilder::new()
        .title("Larder")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .license(Some(license));
    let paths = PathsBuilder::new()
        .path(read::BY_VALUE, item(read::BY_VALUE, "record", &record()))
        .path(read::BY_POST, item(read::BY_POST, "record", &look_up()))
        .path(ops::LIVEZ, item(ops::LIVEZ, "livez", &livez()))
        .path(ops::READYZ, item(ops::READYZ, "readyz", &readyz()))
        .path(PATH, item(PATH, "openapi", &openapi()));
    let mut components = ComponentsBuilder::new().schema("Record", open_object("A record, as it is stored."));
    for (status, codes) in by_status(Code::ALL) {
        components = components.schema(error_name(status), error_schema(&codes));
    }
    for (name, scheme) in SCHEMES.into_iter().zip(schemes()) {
        components = components.security_scheme(name, scheme);
    }
    let whole = OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build()));
    whole.build().to_pretty_json().expect("texts and numbers") + "\n"
}

/// The description of the admin listener, made from its routes.
pub fn admin_description() -> String {
    let info = InfoBuilder::new().title("Larder admin").version(env!("CARGO_PKG_VERSION")).build();
    let mut document = router::admin_routes().into_openapi();
    document.info = info;
    document.to_pretty_json().expect("texts and numbers") + "\n"
}

/// `operation` under each method of the path.
fn item(path: &str, name: &str, operation: &Operation) -> PathItem {
    let methods = RawPath::of(path).map_or(METHODS, |path| path.methods());
    let mut item = PathItem::default();
    for method in methods.split(", ") {
        let mut operation = operation.clone();
        operation.operation_id = Some(format!("{}_{name}", method.to_ascii_lowercase()));
        match method {
            "HEAD" => item.head = Some(without_bodies(operation)),
            "POST" => item.post = Some(operation),
            _ => item.get = Some(operation),
        }
    }
    item
}

/// The same answers without bodies, for `HEAD`.
fn without_bodies(mut operation: Operation) -> Operation {
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer {
            answer.content.clear();
        }
    }
    operation
}

fn record() -> Operation {
    let value = "The value. A slash in it is written `%2F`; an empty one is always a miss.";
    let operation = path_names(OperationBuilder::new().summary(Some("A record"))).parameter(in_path(
        "index_value",
        value,
        "12345",
    ));
    let operation = operation
        .parameter(in_header(&IF_NONE_MATCH, "Entity tags that the caller has, or `*`."))
        .response("304", not_modified());
    demands(operation, &[Scope::Any, Scope::Record]).build()
}

fn look_up() -> Operation {
    let any = SchemaType::Array(vec![Type::String, Type::Number, Type::Boolean, Type::Null]);
    let limit = format!("One value; at most {} bytes.", read::BODY_BYTES_MAX);
    let lookup = |value: SchemaType| {
        let value = ObjectBuilder::new().schema_type(value).description(Some("The value."));
        let lookup = ObjectBuilder::new().property("value", value.examples(["12345"])).required("value");
        content(lookup)
    };
    let body = RequestBodyBuilder::new()
        .description(Some(limit))
        .required(Some(Required::True))
        .content(JSON_TYPE, lookup(any))
        .content(read::FORM, lookup(Type::String.into()))
        .build();
    let summary = "A record, by a value that should not appear in a URL";
    let operation = path_names(OperationBuilder::new().summary(Some(summary))).request_body(Some(body));
    demands(operation, &[Scope::Any, Scope::Record, Scope::Body]).build()
}

fn livez() -> Operation {
    let operation = OperationBuilder::new().summary(Some("Whether the process runs"));
    let answer = health("The process runs and answers.", &[ops::LIVE]);
    refusals(operation.response("200", answer), &[Scope::Any]).build()
}

fn readyz() -> Operation {
    let operation = OperationBuilder::new().summary(Some("Whether requests should be sent here"));
    let not = health(
        "Send requests elsewhere.",
        &[NodeState::Starting, NodeState::Draining].map(NodeState::as_str),
    );
    let yes = health(
        "Send requests here; but a `publisher` serves no records.",
        &[NodeState::Ready, NodeState::Publisher].map(NodeState::as_str),
    );
    let operation = operation.response("200", yes);
    refusals(operation.response("503", not), &[Scope::Any]).build()
}

fn openapi() -> Operation {
    let operation = OperationBuilder::new().summary(Some("This description"));
    let answer = with_always(ResponseBuilder::new().description("This description."));
    let answer = answer.content(JSON_TYPE, content(open_object("An OpenAPI document.")));
    refusals(operation.response("200", answer.build()), &[Scope::Any]).build()
}

/// The parameters that both paths of a record have.
fn path_names(operation: OperationBuilder) -> OperationBuilder {
    operation.parameter(in_path("collection", "The collection.", "customer")).parameter(in_path(
        "index_key",
        "One of the collection's indexes.",
        "id",
    ))
}

/// The parameters and answers of a request for a record.
fn demands(operation: OperationBuilder, scopes: &[Scope]) -> OperationBuilder {
    let age = text().min_length(Some(2)).pattern(Some(duration::pattern())).build();
    let choice = text().enum_values(Some(OnStale::WORDS.map(|(word, _)| word))).build();
    let query = |name: &str, description: &str| parameter(name, ParameterIn::Query, description);
    let operation = operation
        .parameter(
            query(read::MAX_AGE, "The oldest data that is accepted, as in `15m` or `1h30m`.")
                .schema(Some(age)),
        )
        .parameter(
            query(read::ON_STALE, "Whether older data is a miss, the default, or is served.")
                .schema(Some(choice)),
        )
        .parameter(in_header(&ACCEPT_ENCODING, "The content codings that the caller accepts."))
        .parameter(in_header(
            &request_id::HEADER,
            "The caller's own id of the request; an invalid one is replaced.",
        ))
        .securities(Some(SCHEMES.map(|name| SecurityRequirement::new(name, [""; 0]))))
        .response("200", hit());
    refusals(operation, scopes)
}

fn hit() -> Response {
    let codings = text().enum_values(Some(Coding::COMPRESSED.map(Coding::name)));
    let answer = ResponseBuilder::new()
        .description("The record; or the collection's answer to a miss, which has no `ETag`.")
        .content(JSON_TYPE, content(Ref::from_schema_name("Record")))
        .header(ETAG.as_str(), tag(false))
        .header(CONTENT_ENCODING.as_str(), header(false, "How a large body is compressed.", codings));
    with_data(true, with_vary(with_always(answer))).build()
}

fn not_modified() -> Response {
    let answer = ResponseBuilder::new().description("The caller has the record.");
    with_data(true, with_vary(with_always(answer.header(ETAG.as_str(), tag(true))))).build()
}

fn health(description: &str, words: &[&str]) -> Response {
    let word = text().enum_values(Some(words.to_vec()));
    let body = ObjectBuilder::new().property("status", word).required("status");
    with_always(ResponseBuilder::new().description(description)).content(JSON_TYPE, content(body)).build()
}

/// The requests that can get a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Any,
    /// Requests for a record.
    Record,
    /// Requests for a record with its value in the body.
    Body,
}

impl Scope {
    const fn of(code: Code) -> Self {
        match code {
            Code::RecordNotFound
            | Code::DataStale
            | Code::IndexNotFound
            | Code::CollectionInOtherRegion
            | Code::CollectionLoading
            | Code::CollectionNotFound
            | Code::Forbidden
            | Code::InvalidParameter
            | Code::InvalidPath
            | Code::TooManyRequests
            | Code::KeyExpired
            | Code::NodeStarting
            | Code::KeyUnknown
            | Code::KeyMalformed
            | Code::KeyMissing
            // A value with an unencoded slash makes another path.
            | Code::RouteNotFound => Self::Record,
            Code::InvalidBody | Code::BodyTooLarge | Code::BodyIncomplete => Self::Body,
            Code::MethodNotAllowed
            | Code::HeadersTooLarge
            | Code::PathTooLong
            | Code::InvalidRequest
            | Code::Internal => Self::Any,
        }
    }
}

/// Adds an answer for each status of these refusals.
fn refusals(mut operation: OperationBuilder, scopes: &[Scope]) -> OperationBuilder {
    let codes: Vec<Code> =
        Code::ALL.iter().copied().filter(|code| scopes.contains(&Scope::of(*code))).collect();
    for (status, codes) in by_status(&codes) {
        operation = operation.response(status.as_str(), refusal(status, &codes));
    }
    operation
}

fn by_status(codes: &[Code]) -> BTreeMap<StatusCode, Vec<Code>> {
    let mut found = BTreeMap::<StatusCode, Vec<Code>>::new();
    for &code in codes {
        found.entry(code.row().status).or_default().push(code);
    }
    found
}

fn refusal(status: StatusCode, codes: &[Code]) -> Response {
    let line = |code: &Code| format!("- `{}`: {}", code.row().code, code.row().message);
    let lines: Vec<String> = codes.iter().map(line).collect();
    let mut answer = with_always(ResponseBuilder::new().description(lines.join("\n")))
        .content(JSON_TYPE, content(Ref::from_schema_name(error_name(status))));
    if codes.contains(&Code::RecordNotFound) {
        answer = with_data(false, answer);
    }
    let demanded = match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "How to authenticate.", text())),
        StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "The methods that the path supports.", text())),
        StatusCode::TOO_MANY_REQUESTS => {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            Some((RETRY_AFTER, "Seconds after which the key may ask again.", seconds))
        }
        _ => None,
    };
    if let Some((name, description, schema)) = demanded {
        answer = answer.header(name.as_str(), header(true, description, schema));
    }
    answer.build()
}

fn error_name(status: StatusCode) -> String {
    format!("Error{}", status.as_str())
}

/// The body of a refusal, with the codes of its status.
fn error_schema(codes: &[Code]) -> ObjectBuilder {
    let code = text().enum_values(Some(codes.iter().map(|code| code.row().code).collect::<Vec<_>>()));
    let error = ObjectBuilder::new()
        .property("code", code.description(Some("Stays the same from release to release.")))
        .property("message", text().description(Some("For people; may change.")))
        .property("request_id", text().pattern(Some(request_id_pattern())));
    let error = error.required("code").required("message").required("request_id");
    ObjectBuilder::new().property("error", error).required("error")
}

/// The headers of every answer.
fn with_always(answer: ResponseBuilder) -> ResponseBuilder {
    let id = text().pattern(Some(request_id_pattern()));
    answer
        .header(request_id::HEADER.as_str(), header(true, "The id of the request.", id))
        .header(CACHE_CONTROL.as_str(), header(true, "Whether the answer may be cached.", text()))
}

/// The headers with version and time of the data; not every refusal of a status has them.
fn with_data(required: bool, answer: ResponseBuilder) -> ResponseBuilder {
    let version = ObjectBuilder::new().schema_type(Type::Integer);
    let as_of = text().format(Some(utoipa::openapi::SchemaFormat::Custom("date-time".to_owned())));
    let stale = text().enum_values(Some(["true"]));
    answer
        .header(read::DATA_VERSION.as_str(), header(required, "The collection's version.", version))
        .header(read::DATA_AS_OF.as_str(), header(required, "When the warehouse was read for it.", as_of))
        .header(read::DATA_STALE.as_str(), header(false, "The data is older than `max_age`.", stale))
}

fn with_vary(answer: ResponseBuilder) -> ResponseBuilder {
    let vary = header(false, "The request header that the answer depends on.", text());
    answer.header(VARY.as_str(), vary)
}

fn tag(required: bool) -> Header {
    let suffixes = Coding::COMPRESSED.map(Coding::tag_suffix).join("|");
    let tag = text().pattern(Some(format!("^\"[0-9a-f]{{32}}({suffixes})?\"$")));
    header(required, "Changes with the record, its index values and its coding.", tag)
}

fn header(required: bool, description: &str, schema: ObjectBuilder) -> Header {
    let required = required.then(|| Extensions::from_iter([("required", true)]));
    let header = HeaderBuilder::new().description(Some(description)).schema(Some(schema.build()));
    header.extensions(required).build()
}

fn in_path(name: &str, description: &str, example: &str) -> Parameter {
    let parameter = parameter(name, ParameterIn::Path, description).required(Required::True);
    parameter.schema(Some(text().build())).example(Some(example.into())).build()
}

fn in_header(name: &HeaderName, description: &str) -> ParameterBuilder {
    parameter(name.as_str(), ParameterIn::Header, description).schema(Some(text().build()))
}

fn parameter(name: &str, parameter_in: ParameterIn, description: &str) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(parameter_in).description(Some(description))
}

fn content(schema: impl Into<RefOr<Schema>>) -> Content {
    Content::new(Some(schema))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// An object of any members.
fn open_object(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).description(Some(description))
}

fn request_id_pattern() -> String {
    format!("^[A-Za-z0-9_-]{{1,{}}}$", request_id::BYTES_MAX)
}

/// The ways to send a key, in the order of [`SCHEMES`].
fn schemes() -> [SecurityScheme; 3] {
    let http = |scheme, description: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(description)).build())
    };
    let api_key = ApiKeyValue::with_description(read::API_KEY.as_str(), "The key.");
    [
        http(HttpAuthScheme::Bearer, "The key."),
        http(HttpAuthScheme::Basic, "Any name, the key as the password."),
        SecurityScheme::ApiKey(ApiKey::Header(api_key)),
    ]
}
