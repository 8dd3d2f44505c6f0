//! The rows of fields as a part of a form. Every button of theirs also sends the form.

use maud::{Markup, html};
use strum::IntoEnumIterator;

use super::{
    super::{
        super::form::Form,
        beside::COLUMNS,
        rows::{buttons, invalid},
    },
    KIND, Kind, NAME, OUTPUT, Row, VALUE, fault_name, rows,
};

/// What `as` may be.
const OUTPUTS: [(&str, &str); 4] =
    [("", "Its own type"), ("string", "String"), ("number", "Number"), ("json", "JSON")];

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Column => "Column",
            Self::Liquid => "Liquid template",
            Self::Text => "Constant text",
            Self::Json => "Constant JSON",
        }
    }
}

/// The rows of `form`, under the name `key`.
pub(in super::super) fn mapper(form: Form<'_>, key: &str, label: &str, hint: &str) -> Markup {
    html! {
        fieldset id=(key) aria-describedby=(format!("{key}-hint")) {
            legend { (label) }
            p id=(format!("{key}-hint")) class="quiet" { (hint) }
            div class="message" { (form.message(key)) }
            ol class="rows" data-rows {
                @for (at, row) in rows(form.fields).iter().enumerate() { (item(row, at, form)) }
            }
            template { (item(&Row::default(), 0, Form { faults: &super::Faults::default(), ..form })) }
            div class="row" {
                button class="quiet" name="change" value="add" { "Add a field" }
                button class="quiet" name="change" value="columns" { "Add every column" }
            }
        }
    }
}

fn item(row: &Row, at: usize, form: Form<'_>) -> Markup {
    let (name, of) = (fault_name(at), if row.name.is_empty() { "the field" } else { &row.name });
    let [of_name, of_value, of_output] = [NAME, VALUE, OUTPUT].map(|field| invalid(form, &name, field));
    html! {
        li {
            label { span { "Name" }
                input name=(NAME) value=(row.name) autocomplete="off" spellcheck="false" aria-invalid=[of_name.0]
                    aria-describedby=[of_name.1];
            }
            label { span { "Value is" }
                select name=(KIND) { @for kind in Kind::iter() {
                    option value=(<&str>::from(kind)) selected[kind == row.kind] { (kind.words()) }
                } }
            }
            label class="wide" { span { "Value" }
                @if row.kind == Kind::Column {
                    input name=(VALUE) value=(row.value) list=(COLUMNS) autocomplete="off" spellcheck="false"
                        aria-invalid=[of_value.0] aria-describedby=[of_value.1];
                } @else {
                    textarea name=(VALUE) class="code" rows=(row.value.lines().count().clamp(1, 12)) autocomplete="off" spellcheck="false"
                        aria-invalid=[of_value.0] aria-describedby=[of_value.1] {
                        // The first line break is the element's, not the text's.
                        "\n" (row.value)
                    }
                }
            }
            label { span { "As" }
                select name=(OUTPUT) aria-invalid=[of_output.0] aria-describedby=[of_output.1] { @for (value, words) in OUTPUTS { option value=(value) selected[row.output == value] { (words) } } }
            }
            (buttons("", at, of))
            div class="message" { (form.message(&name)) }
        }
    }
}
