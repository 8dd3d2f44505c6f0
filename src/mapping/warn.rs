//! Warnings about mappings that work, but probably not as intended.

use super::{
    compile::FieldTemplate,
    targets::{Content, Member},
};

/// The key that Braze Connected Content adds to what it saves.
const STATUS_KEY: &str = "__http_status_code__";

/// Warnings about the keys of a record and about its templates.
pub(super) fn warnings(members: &[Member], templates: &[FieldTemplate]) -> Vec<String> {
    let mut warnings = Vec::new();
    about_keys(members, &mut warnings);
    for field in templates {
        about_template(field, &mut warnings);
    }
    warnings
}

fn about_keys(members: &[Member], warnings: &mut Vec<String>) {
    for member in members {
        if let Some(trouble) = trouble(&member.name) {
            warnings.push(format!("the key `{}` {trouble}", member.name.escape_debug()));
        }
        if let Content::Object(inner) = &member.content {
            about_keys(inner, warnings);
        }
    }
}

fn trouble(key: &str) -> Option<&'static str> {
    if key == STATUS_KEY {
        return Some("is one that Braze Connected Content sets itself: the record's value is lost there");
    }
    if key.is_empty() {
        return Some("is empty: Liquid cannot read it");
    }
    if !key.is_ascii() {
        return Some(
            "is not ASCII: in dot form, some Liquid engines print the whole record instead of its value",
        );
    }
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '"' | '\'');
    key.contains(is_bad).then_some(
        "has a space, dot or quote: Liquid reads it in brackets only, as record['...'], or not at all",
    )
}

fn about_template(field: &FieldTemplate, warnings: &mut Vec<String>) {
    let target = &field.target;
    if field.template.reads_clock() {
        warnings.push(format!(
            "the template of `{target}` reads 'now', which is the start of each run: the record may change with every run"
        ));
    }
    if field.template.prints_nothing() {
        warnings.push(format!("the template of `{target}` prints nothing: its output is always empty"));
    }
    for flaw in field.template.tolerated() {
        let hint = flaw.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        warnings.push(format!(
            "the template of `{target}` is read as Shopify's Liquid reads it: {}{hint} (line {}, column {})",
            flaw.message, flaw.line, flaw.column
        ));
    }
    for unknown in field.template.unknown_names() {
        let (line, column) = unknown.place;
        let near = unknown.near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        warnings.push(format!(
            "the template of `{target}` reads `{}`, which is no column and always empty{near} (line {line}, column {column})",
            unknown.name
        ));
    }
}
