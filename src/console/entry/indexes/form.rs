//! The rows of indexes as a part of a form.

use maud::{Markup, html};

use super::{
    super::{
        super::form::{Faults, Form},
        beside::COLUMNS as KNOWN_COLUMNS,
        rows::{buttons, invalid},
    },
    COLUMNS, EACH, HASH, HMAC, NAME, NEWEST, NORMALIZE, PREFIX, Row, SHARED, fault_name, rows,
};

const EACH_WORDS: &[(&str, &str)] =
    &[("", "The value of the column"), ("true", "Each element of its JSON array")];
/// Which record holds a value that several have.
pub(super) const SHARED_WORDS: &[(&str, &str)] = &[
    ("", "The record with the lowest key"),
    ("reject", "No record"),
    ("newest", "The record highest in a column"),
];
/// How values are kept.
pub(super) const HASH_WORDS: &[(&str, &str)] =
    &[("", "As they are"), ("sha256", "SHA-256"), ("hmac", "SHA-256 with a secret")];

/// The rows of `form`, under the name `key`. The first index is the primary one.
pub(in super::super) fn indexes(form: Form<'_>, key: &str, label: &str, hint: &str) -> Markup {
    html! {
        fieldset id=(key) aria-describedby=(format!("{key}-hint")) {
            legend { (label) }
            p id=(format!("{key}-hint")) class="quiet" { (hint) }
            div class="message" { (form.message(key)) }
            ol class="rows" data-rows { @for (at, row) in rows(form.fields).iter().enumerate() { (item(row, at, form)) } }
            template { (item(&Row::default(), 0, Form { faults: &Faults::default(), ..form })) }
            div class="row" { button class="quiet" name="change" value=(format!("{PREFIX}add")) { "Add an index" } }
        }
    }
}

fn item(row: &Row, at: usize, form: Form<'_>) -> Markup {
    let name = fault_name(at);
    let of = if row.get(NAME).is_empty() { "the index" } else { row.get(NAME) };
    let fault = form.fault(&name);
    let line = |field: &str, words: &str, kind: &str, list: Option<&str>| {
        let (invalid, message) = invalid(form, &name, field);
        html! {
            label { span { (words) }
                input name=(field) type=(kind) value=(row.get(field)) list=[list] autocomplete="off" spellcheck="false"
                    aria-invalid=[invalid] aria-describedby=[message];
            }
        }
    };
    let select = |field: &str, words: &str, options: &[(&str, &str)]| {
        let (invalid, message) = invalid(form, &name, field);
        html! {
            label { span { (words) }
                select name=(field) aria-invalid=[invalid] aria-describedby=[message] { @for (value, words) in options { option value=(value) selected[row.get(field) == *value] { (words) } } }
            }
        }
    };
    // Only what somebody has chosen is shown from the start.
    let is_plain =
        [EACH, NORMALIZE, SHARED, NEWEST, HASH, HMAC].iter().all(|field| row.get(field).is_empty());
    html! {
        li {
            (line(NAME, "Name", "text", None))
            (line(COLUMNS, "Column", "text", Some(KNOWN_COLUMNS)))
            (buttons(PREFIX, at, of))
            details open[!is_plain || fault.is_some()] {
                summary { "More of " (of) }
                div class="rows-more" {
                    (select(EACH, "A value is", EACH_WORDS))
                    (line(NORMALIZE, "Normalize", "text", None))
                    (select(SHARED, "A value of several records finds", SHARED_WORDS))
                    (line(NEWEST, "Column of the highest", "text", Some(KNOWN_COLUMNS)))
                    (select(HASH, "Values are kept", HASH_WORDS))
                    (line(HMAC, "Secret", "password", None))
                }
                p class="quiet" {
                    "Several columns, with commas between them, make a compound index. Normalize: trim, lowercase, nfc, casefold or integer, \
                     in their order. An empty secret keeps the stored one."
                }
            }
            div class="message" { (form.message(&name)) }
        }
    }
}
