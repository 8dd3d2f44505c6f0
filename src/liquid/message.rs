//! Messages of Braze: templates whose tag `connected_content` requests something, with placeholders such as
//! `{{${user_id}}}`.
//!
//! What a tag requests is given to a [`Content`]; a template of a mapping has no such tag.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use chrono::{DateTime, Utc};

use super::{
    Failure, Parsed, SyntaxError, Template, Text, Value,
    parse::Parser,
    render::Render,
    scan::{Scanner, is_space},
    tree::{Body, Node, Request},
};
use crate::domain::row::{CellKind, Column, ColumnKind, RowBatch};

/// What a tag `connected_content` requests: its options as they are written, with their Liquid rendered.
#[derive(Default, PartialEq, Eq)]
pub struct ContentRequest {
    /// The URL.
    pub url: String,
    /// The options by their names, without the colon.
    pub options: Vec<(String, String)>,
}

impl ContentRequest {
    /// The value of an option that is given; empty if it has none.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Its values can be keys and identifiers of people, so they are never printed.
impl fmt::Debug for ContentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.options.iter().map(|(name, _)| name)).finish()
    }
}

/// What a request has brought.
#[derive(Clone, PartialEq, Eq)]
pub enum ContentAnswer {
    /// A body of compact JSON, and its status.
    Json(u16, String),
    /// Nothing: what is saved is empty.
    Empty,
    /// The message ends here.
    End,
}

impl fmt::Debug for ContentAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentAnswer")
    }
}

/// What messages request content of.
pub trait Content {
    /// Answers a request.
    fn get(&mut self, request: &ContentRequest) -> ContentAnswer;

    /// Notes why the message does not want to be sent.
    fn abort(&mut self, reason: &str);
}

/// A parsed message.
#[derive(Debug)]
pub struct Message {
    template: Template,
    /// The names of placeholders and of what a message may read besides.
    names: Vec<String>,
}

impl Message {
    /// Parses `text`; all faults come at once.
    pub fn parse(text: &str) -> Result<Self, Vec<SyntaxError>> {
        let (text, placeholders) = with_names(text);
        let mut template = Template::read(&text, Parser::of_message(&text))?;
        let names: Vec<String> = placeholders.into_iter().collect();
        let column =
            |name: &String| Column { name: name.clone(), kind: ColumnKind::Any, type_name: String::new() };
        template.bind(&names.iter().map(column).collect::<Vec<_>>());
        Ok(Self { template, names })
    }

    /// Appends the message to `out`. Each placeholder has `value`.
    ///
    /// # Errors
    /// The message takes more work than a template may, or a filter fails.
    pub fn render(
        &self,
        value: &str,
        now: DateTime<Utc>,
        content: &mut dyn Content,
        out: &mut String,
    ) -> Result<(), Failure> {
        let mut batch = RowBatch::new(self.names.len().max(1));
        for _ in 0..self.names.len().max(1) {
            batch.push(CellKind::Text, value.as_bytes());
        }
        match Render::new(&self.template, &batch, 0, now).requesting(content).run(out) {
            Err(Failure::Aborted) => Ok(()),
            rendered => rendered,
        }
    }
}

/// The text with names in place of the placeholders within its markup, byte by byte, so that every place stays:
/// `${user_id}` becomes `__user_id_`, and `custom_attribute.${a b}` becomes `custom_attribute___a_b_`.
fn with_names(text: &str) -> (Cow<'_, str>, BTreeSet<String>) {
    let (mut names, mut out) = (BTreeSet::new(), text.to_owned());
    let mut at = 0;
    while let Some(placeholder) = next_placeholder(text, &mut at) {
        let name = &text[placeholder.clone()];
        let name: String = name
            .chars()
            .flat_map(|c| {
                let is_kept = c.is_ascii_alphanumeric();
                std::iter::repeat_n(if is_kept { c } else { '_' }, c.len_utf8())
            })
            .collect();
        out.replace_range(placeholder, &name);
        names.insert(name);
    }
    (if names.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(out) }, names)
}

/// The next placeholder inside of `{{ ... }}` or `{% ... %}` from `at` on, with the names before its dots.
fn next_placeholder(text: &str, at: &mut usize) -> Option<Range<usize>> {
    while let Some(found) = text[*at..].find("${").map(|found| *at + found) {
        let end = found + text[found..].find('}')? + 1;
        let before = &text[..found];
        let opened = before.rfind("{{").max(before.rfind("{%"));
        let closed = before.rfind("}}").max(before.rfind("%}"));
        *at = end;
        // Behind a placeholder stands the `}` of its own before that of the markup.
        if opened.is_some() && opened >= closed.filter(|closed| !before[*closed..].starts_with("}}}")) {
            let names = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "_.".contains(c));
            let has_name = before.ends_with('.') && names.len() < before.len();
            return Some(if has_name { names.len()..end } else { found..end });
        }
    }
    None
}

/// The URL and the options of a tag, as places in the template: an option begins with a colon behind white space,
/// outside of braces and quotes.
fn parts(markup: &str) -> Vec<Range<usize>> {
    let (mut parts, mut from, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    let bytes = markup.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'"' | b'\'') if depth > 0 => quote = Some(*byte),
            (None, b'{') => depth += 1,
            (None, b'}') => depth = depth.saturating_sub(1),
            (None, b':') if depth == 0 && at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                parts.push(from..at);
                from = at;
            }
            _ => {}
        }
    }
    parts.push(from..markup.len());
    parts
}

impl Parser<'_> {
    /// The node of the tag `connected_content`.
    pub(super) fn request(&mut self) -> Parsed<Node> {
        self.markup.skip_space();
        let (start, rest) = (self.markup.at, self.markup.rest());
        if rest.trim().is_empty() {
            return Err(self.fault("a URL is expected"));
        }
        let mut request = Request::default();
        for (number, part) in parts(rest).into_iter().enumerate() {
            let text = rest[part.clone()].trim_end_matches(is_space);
            let from = start + part.start;
            if number == 0 {
                request.url = self.part(from, from + text.len());
                continue;
            }
            let name = text[1..].split(is_space).next().unwrap_or_default();
            let value = text[1 + name.len()..].trim_start_matches(is_space);
            let to = from + text.len();
            if name == "save" {
                request.save = Some(self.assigned(value));
            }
            request.options.push((name.into(), self.part(to - value.len(), to)));
        }
        Ok(Node::Request(Box::new(request)))
    }

    /// The Liquid between two places of the template.
    fn part(&mut self, from: usize, to: usize) -> Body {
        let outer = self.swap_scanner(Scanner::between(self.markup.template, from, to));
        let (markup, blocks) = (self.markup, std::mem::take(&mut self.open));
        let (body, _) = self.body();
        (self.markup, self.open) = (markup, blocks);
        self.swap_scanner(outer);
        body
    }
}

/// The value that a template has of an answer.
pub(super) fn saved<'r>(answer: &ContentAnswer) -> Value<'r> {
    let ContentAnswer::Json(status, body) = answer else { return Value::Nil };
    let value = Value::of_cell(CellKind::Json, body.as_bytes()).into_owned();
    let Value::Object(members) = value else { return value };
    let status = (Text::Borrowed("__http_status_code__"), Value::Int(i64::from(*status)));
    Value::Object(members.iter().cloned().chain([status]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every request with the same, and notes them.
    struct Recorded(ContentAnswer, Vec<ContentRequest>, Option<String>);

    impl Content for Recorded {
        fn get(&mut self, request: &ContentRequest) -> ContentAnswer {
            self.1.push(ContentRequest { url: request.url.clone(), options: request.options.clone() });
            self.0.clone()
        }

        fn abort(&mut self, reason: &str) {
            self.2 = Some(reason.to_owned());
        }
    }

    fn rendered(text: &str, answer: ContentAnswer) -> (String, Recorded) {
        let (mut out, mut content) = (String::new(), Recorded(answer, Vec::new(), None));
        let message = Message::parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        message.render("jane@x.com", DateTime::UNIX_EPOCH, &mut content, &mut out).unwrap();
        (out, content)
    }

    fn json(body: &str) -> ContentAnswer {
        ContentAnswer::Json(200, body.to_owned())
    }

    #[test]
    fn the_tag_of_the_partner_page_is_read_and_its_answer_saved() {
        let text = "{% assign key = 'k' %}{% connected_content
             https://larder.example.com/v1/collections/customer/records/id/{{${user_id}}}
             :method get
             :headers {
               \"Authorization\": \"Bearer {{key}}\"
          }
             :content_type application/json
             :save artists
        %}{{ artists.a[0].b }} {{artists.__http_status_code__}}";
        let (out, content) = rendered(text, json(r#"{"a":[{"b":"Aphex \"Twin\""}]}"#));
        assert_eq!(out, "Aphex \"Twin\" 200");
        let request = &content.1[0];
        assert_eq!(request.url, "https://larder.example.com/v1/collections/customer/records/id/jane@x.com");
        let headers = request.option("headers").unwrap();
        assert_eq!(headers.split_whitespace().collect::<String>(), r#"{"Authorization":"Bearerk"}"#);
        assert_eq!(request.option("content_type"), Some("application/json"));
        assert_eq!((request.option("method"), request.option("retry")), (Some("get"), None));
    }

    #[test]
    fn what_is_not_saved_is_printed_and_what_fails_is_empty() {
        let tag = "<{% connected_content http://x/{{ ${a} | url_encode }} :retry :cache_max_age 900 :save x %}{{x.a}}>";
        let (out, content) = rendered(tag, ContentAnswer::Empty);
        assert_eq!((out.as_str(), content.1[0].url.as_str()), ("<>", "http://x/jane%40x.com"));
        assert_eq!(content.1[0].option("retry"), Some(""));
        assert_eq!(content.1[0].option("cache_max_age"), Some("900"));
        let printed = "{% connected_content http://x :body {\"v\": \"a :b {{ 'c' }}\"} %}";
        let (out, content) = rendered(printed, json("[1]"));
        assert_eq!(out, "[1]");
        assert_eq!(content.1[0].option("body"), Some("{\"v\": \"a :b c\"}"));
        let array = "{% connected_content http://x :save x %}{{x[0]}}{{x.__http_status_code__}}";
        assert_eq!(rendered(array, json("[1]")).0, "1", "an array has no status");
    }

    #[test]
    fn a_message_ends_where_it_is_aborted() {
        let loop_ = "a{% for i in (1..3) %}{% abort_message('no record') %}b{% endfor %}c";
        let (out, content) = rendered(loop_, ContentAnswer::Empty);
        assert_eq!((out.as_str(), content.2.as_deref()), ("a", Some("no record")));
        let (out, content) = rendered("a{% connected_content http://x %}b", ContentAnswer::End);
        assert_eq!((out.as_str(), content.2), ("a", None));
    }

    #[test]
    fn placeholders_are_names_in_markup_alone() {
        let (out, _) = rendered(
            "${a} {{${a}}} {{custom_attribute.${b c}}} {{ ${d} | upcase }} ${e}",
            ContentAnswer::Empty,
        );
        assert_eq!(out, "${a} jane@x.com jane@x.com JANE@X.COM ${e}");
        let faults = Message::parse("{{${a}}}\n{% connected_content %}").unwrap_err();
        assert!(faults[0].to_string().starts_with("a URL is expected (line 2, column 22)"), "{faults:?}");
    }

    #[test]
    fn templates_of_mappings_have_no_requests() {
        for tag in ["{% connected_content http://x %}", "{% abort_message('x') %}"] {
            let faults = Template::parse(tag).unwrap_err();
            assert!(faults[0].message.contains("is not supported"), "{faults:?}");
        }
    }
}
