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
    for FieldTemplate { target, template, .. } in templates {
        let about = template.warnings().into_iter();
        warnings.extend(about.map(|warning| format!("the template of `{target}` {warning}")));
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
