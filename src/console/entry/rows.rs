//! Rows of a form: each has one value of each of its fields. Every button of theirs also sends the form.

use std::fmt::Display;

use maud::{Markup, html};
use serde_json::Value;

use super::super::form::{Faults, Fields, Form};
use crate::domain::limits::FIELDS_MAX;

/// Most rows of a form: as many as a mapping has fields.
pub(super) const ROWS_MAX: usize = FIELDS_MAX;

/// The values of the field `name` of each row. Rows beyond the bound are ignored; [`check_bound`] reports them.
pub(super) fn values<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a str> {
    fields.all(name).take(ROWS_MAX)
}

/// Notes under `key` that a form has more rows than it may have, each with one value of the field `name`.
pub(super) fn check_bound(fields: &Fields, name: &str, key: &'static str, faults: &mut Faults) {
    let count = fields.all(name).count();
    if count > ROWS_MAX {
        faults.add(
            key,
            format!(
                "There are {count} rows; a form has {ROWS_MAX} at most. The rows after them are left out."
            ),
        );
    }
}

/// The rows after one of their buttons: `add`, `remove-N`, `up-N` or `down-N`.
pub(super) fn change<R: Default>(rows: &mut Vec<R>, change: &str) {
    let (verb, at) = change.split_once('-').unwrap_or((change, ""));
    let at = at.parse::<usize>().ok().filter(|at| *at < rows.len());
    match (verb, at) {
        ("add", _) => rows.push(R::default()),
        ("remove", Some(at)) => drop(rows.remove(at)),
        ("up", Some(at)) if at > 0 => rows.swap(at - 1, at),
        ("down", Some(at)) if at + 1 < rows.len() => rows.swap(at, at + 1),
        _ => {}
    }
}

/// The row to which the key `within` of a table belongs, and the rest of the key: that with the longest of the `names`
/// that fits.
pub(super) fn at_fault<'n, 'k>(
    names: impl Iterator<Item = &'n str>,
    within: &'k str,
) -> Option<(usize, &'k str)> {
    let fits = |name: &str| {
        let quoted = Value::from(name).to_string();
        let mut rests = [name, &quoted].into_iter().filter_map(|written| within.strip_prefix(written));
        rests.find(|rest| rest.is_empty() || rest.starts_with('.')).filter(|_| !name.is_empty())
    };
    let found = names.enumerate().filter_map(|(at, name)| Some((name.len(), at, fits(name)?)));
    let (_, at, rest) = found.max_by_key(|(length, ..)| *length)?;
    Some((at, rest.trim_start_matches('.')))
}

/// Notes the fault of a `field` of the row whose faults have the name `row`.
pub(super) fn add_fault(faults: &mut Faults, row: &str, field: &str, fault: impl Display) {
    faults.add(row.to_owned(), fault);
    faults.add(mark(row, field), "");
}

/// The name under which it is kept that a `field` of a row is at fault. The message is that of the row.
pub(super) fn mark(row: &str, field: &str) -> String {
    format!("{row}.{field}")
}

/// The attributes `aria-invalid` and `aria-describedby` of a `field` of a row. A fault of no field is one of the whole row.
pub(super) fn invalid(form: Form<'_>, row: &str, field: &str) -> (Option<&'static str>, Option<String>) {
    let is_at_fault = form.fault(&mark(row, field)).is_some()
        || form.fault(row).is_some() && !form.faults.has(&mark(row, ""));
    (is_at_fault.then_some("true"), is_at_fault.then(|| format!("{row}-fault")))
}

/// The buttons of the row `at`, which is called `of`. `prefix` stands before their words.
pub(super) fn buttons(prefix: &str, at: usize, of: &str) -> Markup {
    html! {
        div class="row" {
            @for (verb, sign, label) in [
                ("up", "↑", format!("Move {of} up")), ("down", "↓", format!("Move {of} down")), ("remove", "✕", format!("Remove {of}")),
            ] {
                button class="quiet" name="change" value=(format!("{prefix}{verb}-{at}")) aria-label=(label) title=(label) { (sign) }
            }
        }
    }
}
