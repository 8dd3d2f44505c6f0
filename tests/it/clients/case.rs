//! One case: a template, and the message that each engine must render.

use serde_json::{Value, json};

use super::{
    engine::{Engine, Rendered},
    fixture::Fixture,
};

/// The outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Its text, without white space at its ends.
    Reads(String),
    /// It is not sent, for this reason.
    Aborted(String),
}

/// A template and its expected outcome.
pub(super) struct Case {
    name: &'static str,
    template: String,
    variables: Value,
    ruby: Option<Message>,
    brazejs: Option<Message>,
    /// One for each call.
    answers: Vec<(&'static str, u16)>,
}

/// A call, as a template has it: `SERVER` and `{{key}}` are filled in, `options` come after the usual ones.
pub(super) fn call(path: &str, options: &str) -> String {
    format!(
        "{{% connected_content SERVER/v1/collections/{path}\n:headers {{\"Authorization\": \"Bearer {{{{key}}}}\"}}\n\
         :content_type application/json :save x {options} %}}"
    )
}

impl Case {
    /// A template with one GET that is answered with 200.
    pub(super) fn new(name: &'static str, template: impl Into<String>) -> Self {
        Self {
            name,
            template: template.into(),
            variables: json!({}),
            ruby: None,
            brazejs: None,
            answers: vec![("GET", 200)],
        }
    }

    /// A GET of `path` below `/v1/collections/`, saved as `x`, and the text after it.
    pub(super) fn get(name: &'static str, path: &str, then: &str) -> Self {
        Self::new(name, format!("{}{then}", call(path, "")))
    }

    /// Variables beside `key`.
    pub(super) fn with(mut self, variables: Value) -> Self {
        self.variables = variables;
        self
    }

    /// The message in both engines.
    pub(super) fn reads(mut self, text: &str) -> Self {
        let message = Message::Reads(text.to_owned());
        self.ruby = Some(message.clone());
        self.brazejs = Some(message);
        self
    }

    /// Both engines send nothing.
    pub(super) fn aborts(mut self, why: &str) -> Self {
        let message = Message::Aborted(why.to_owned());
        self.ruby = Some(message.clone());
        self.brazejs = Some(message);
        self
    }

    /// The outcome in brazejs, if it differs from Ruby.
    pub(super) fn brazejs_reads(mut self, text: &str) -> Self {
        self.brazejs = Some(Message::Reads(text.to_owned()));
        self
    }

    /// For Ruby alone: brazejs cannot do it, for this reason.
    pub(super) fn not_brazejs(mut self, _reason: &'static str) -> Self {
        self.brazejs = None;
        self
    }

    /// The status of its one call.
    pub(super) fn answered(mut self, status: u16) -> Self {
        self.answers = vec![("GET", status)];
        self
    }

    /// Method and status of each call.
    pub(super) fn calls(mut self, answers: &[(&'static str, u16)]) -> Self {
        self.answers = answers.to_vec();
        self
    }

    fn expected(&self, engine: Engine) -> Option<&Message> {
        match engine {
            Engine::Ruby => self.ruby.as_ref(),
            Engine::Brazejs => self.brazejs.as_ref(),
        }
    }

    fn job(&self, fixture: &Fixture) -> Value {
        let server = format!("http://{}", fixture.address);
        let mut variables = self.variables.clone();
        let given = variables.as_object_mut().unwrap();
        for (name, key) in [
            ("key", &fixture.key),
            ("narrow_key", &fixture.narrow_key),
            ("revoked_key", &fixture.revoked_key),
        ] {
            given.entry(name).or_insert_with(|| json!(key));
        }
        let secrets = json!({
            "larder": {"username": "larder", "password": fixture.key},
            "revoked": {"username": "larder", "password": fixture.revoked_key},
            "bearer": {"Authorization": format!("Bearer {}", fixture.key)},
        });
        json!({"template": self.template.replace("SERVER", &server), "variables": variables, "secrets": secrets})
    }

    /// What is wrong with `rendered`, if anything.
    fn difference(&self, expected: &Message, rendered: &Rendered) -> Option<String> {
        let message = match (&rendered.output, &rendered.aborted) {
            (Some(text), None) => Message::Reads(text.trim().to_owned()),
            (None, Some(why)) => Message::Aborted(why.clone()),
            _ => return Some(format!("{}: {rendered:?}", self.name)),
        };
        let answers: Vec<_> =
            rendered.calls.iter().map(|call| (call.method.as_str(), call.status.unwrap_or(0))).collect();
        if &message == expected && answers == self.answers {
            return None;
        }
        let failures: Vec<_> = rendered.calls.iter().filter_map(|call| call.failure.as_deref()).collect();
        Some(format!(
            "{}:\n  expected {expected:?} after {:?}\n  rendered {message:?} after {answers:?} {failures:?}",
            self.name, self.answers
        ))
    }
}

/// Renders the cases of `engine` and fails with all differences. Returns the rendered messages by name.
pub(super) async fn prove(
    engine: Engine,
    fixture: &Fixture,
    cases: &[Case],
) -> Vec<(&'static str, Rendered)> {
    let cases: Vec<_> =
        cases.iter().filter_map(|case| case.expected(engine).map(|expected| (case, expected))).collect();
    let jobs: Vec<_> = cases.iter().map(|(case, _)| case.job(fixture)).collect();
    let rendered = engine.render(&jobs).await;
    let differences: Vec<_> = cases
        .iter()
        .zip(&rendered)
        .filter_map(|((case, expected), rendered)| case.difference(expected, rendered))
        .collect();
    assert!(differences.is_empty(), "{engine:?}:\n{}", differences.join("\n"));
    cases.iter().map(|(case, _)| case.name).zip(rendered).collect()
}
