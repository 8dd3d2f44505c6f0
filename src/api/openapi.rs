//! The OpenAPI 3.1 descriptions of both listeners. The public one is the file `openapi.json`. The tests below
//! compare it with the tables that the listener answers by, and `tests/it/openapi.rs` runs a fuzzer that checks
//! the server against it. The admin one is made from its routes.

use axum::response::IntoResponse;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::openapi::InfoBuilder;

use super::{
    admin,
    http::error::{JSON, NO_STORE},
    router,
};

/// The path of the description.
pub(super) const PATH: &str = "/openapi.json";

/// The description of the public listener.
pub const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub(super) async fn answer() -> impl IntoResponse {
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)], DESCRIPTION)
}

/// The description of the admin listener, made from its routes.
pub fn admin_description() -> String {
    let info = InfoBuilder::new().title("Larder admin").version(env!("CARGO_PKG_VERSION")).build();
    let mut document = router::admin_routes().into_openapi();
    document.info = info;
    let mut document = serde_json::to_value(document).expect("texts and numbers");
    admin::routes::describe(&mut document);
    serde_json::to_string_pretty(&document).expect("texts and numbers") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::{
        super::{
            http::{
                error::METHODS,
                layers::{HEADER_BYTES_MAX, TARGET_BYTES_MAX},
                request_id,
            },
            ops,
            read::{self, Code, Coding, OnStale, RawPath},
        },
        *,
    };
    use crate::{domain::limits::RECORD_BYTES_MAX, status::NodeState};

    /// The paths of a look-up by POST, of many, and of a record.
    const BY_POST: &str = "/v1/collections/{collection}/records/{index_key}";
    const BY_VALUES: &str = "/v1/collections/{collection}/records/{index_key}/batch";
    const BY_VALUE: &str = "/v1/collections/{collection}/records/{index_key}/{index_value}";

    /// The methods of health.
    const HEALTH: &str = "GET, HEAD, OPTIONS";

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).unwrap()
    }

    /// The values of an `enum`, a `required`, or another list of words.
    fn words(list: &Value) -> Vec<&str> {
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
    }

    /// The name of the schema of an answer's body, if it is a refusal.
    fn error_name(answer: &Value) -> Option<&str> {
        let schema = answer["content"]["application/json"]["schema"]["$ref"].as_str()?;
        schema.strip_prefix("#/components/schemas/").filter(|name| name.starts_with("Error"))
    }

    #[test]
    fn every_code_is_described_under_its_status_with_its_message() {
        let (mut enums, mut lines) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for row in Code::ALL.iter().map(|code| code.row()) {
            let name = format!("Error{}", row.status.as_str());
            enums.entry(name.clone()).or_default().push(row.code);
            lines.insert((name, format!("- `{}`: {}", row.code, row.message)));
        }
        let components = &description()["components"];
        let schemas = components["schemas"].as_object().unwrap();
        let of_status = schemas.iter().filter(|(name, _)| name.starts_with("Error") && *name != "Error");
        let described = of_status.map(|(name, schema)| {
            let code = &schema["allOf"][1]["properties"]["error"]["properties"]["code"];
            (name.clone(), words(&code["enum"]))
        });
        assert_eq!(described.collect::<BTreeMap<_, _>>(), enums);
        let answers = components["responses"].as_object().unwrap().values();
        let described = answers.filter_map(|answer| Some((error_name(answer)?, answer)));
        let described = described.flat_map(|(name, answer)| {
            let lines = answer["description"].as_str().unwrap().lines();
            lines.map(|line| (name.to_owned(), line.to_owned()))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), lines);
    }

    #[test]
    fn every_path_is_described_with_its_methods_and_answers_of_their_status() {
        let description = description();
        let paths = description["paths"].as_object().unwrap();
        let known = [ops::LIVEZ, PATH, ops::READYZ, BY_POST, BY_VALUES, BY_VALUE];
        assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), known.into());
        for (path, item) in paths {
            let item = item.as_object().unwrap();
            let methods: Vec<String> = item.keys().map(|method| method.to_ascii_uppercase()).collect();
            let others = if [ops::LIVEZ, ops::READYZ].contains(&path.as_str()) { HEALTH } else { METHODS };
            assert_eq!(methods.join(", "), RawPath::of(path).map_or(others, |path| path.methods()), "{path}");
            for (status, answer) in item.values().flat_map(|one| one["responses"].as_object().unwrap()) {
                let pointer = answer["$ref"].as_str().unwrap().trim_start_matches('#');
                let answer = description.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
                assert!(error_name(answer).is_none_or(|name| name == format!("Error{status}")), "{pointer}");
            }
        }
    }

    #[test]
    fn names_words_and_limits_are_those_of_the_listener() {
        let description = description();
        let components = &description["components"];
        let (parameters, headers) = (&components["parameters"], &components["headers"]);
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
        let about = description["info"]["description"].as_str().unwrap();
        for limit in [TARGET_BYTES_MAX, HEADER_BYTES_MAX, RECORD_BYTES_MAX] {
            assert!(about.contains(&limit.to_string()), "{limit}");
        }
        let body = &description["paths"][BY_POST]["post"]["requestBody"];
        assert!(body["description"].as_str().unwrap().contains(&read::BODY_BYTES_MAX.to_string()));
        assert!(body["content"][read::FORM].is_object());
        let batch = &description["paths"][BY_VALUES]["post"]["requestBody"];
        for limit in [read::VALUES_MAX, read::BATCH_BYTES_MAX, read::ANSWER_BYTES_MAX] {
            assert!(batch["description"].as_str().unwrap().contains(&limit.to_string()), "{limit}");
        }
        let named = [
            ("MaxAge", read::MAX_AGE),
            ("OnStale", read::ON_STALE),
            ("Fields", read::FIELDS),
            ("Include", read::INCLUDE),
        ];
        for (parameter, name) in named {
            assert_eq!(parameters[parameter]["name"], name);
        }
        let on_stale = OnStale::WORDS.map(|(word, _)| word);
        assert_eq!(words(&parameters["OnStale"]["schema"]["enum"]), on_stale);
        assert_eq!(
            words(&headers["ContentEncoding"]["schema"]["enum"]),
            Coding::COMPRESSED.map(Coding::name)
        );
        let tag = headers["ETag"]["schema"]["pattern"].as_str().unwrap();
        assert!(
            tag.contains(&format!("({})?", Coding::COMPRESSED.map(Coding::tag_suffix).join("|"))),
            "{tag}"
        );
        let id = headers["RequestId"]["schema"]["pattern"].as_str().unwrap();
        assert!(id.contains(&format!("{{1,{}}}", request_id::BYTES_MAX)), "{id}");
        assert_eq!(components["securitySchemes"]["api_key"]["name"], read::API_KEY.as_str());
        for name in [read::DATA_VERSION, read::DATA_AS_OF, read::DATA_STALE, request_id::HEADER] {
            assert!(components["responses"]["Record"]["headers"][name.as_str()].is_object(), "{name}");
        }
        let states = |answer: &str| {
            let schema = &components["responses"][answer]["content"]["application/json"]["schema"];
            words(&schema["properties"]["status"]["enum"])
        };
        assert_eq!(states("Live"), [ops::LIVE]);
        assert_eq!(states("Ready"), [NodeState::Ready, NodeState::Publisher].map(NodeState::as_str));
        assert_eq!(states("NotReady"), [NodeState::Starting, NodeState::Draining].map(NodeState::as_str));
    }
}
