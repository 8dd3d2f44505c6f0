//! Rows of a form: each has one value of each of its fields. Every button of theirs also sends the form.

use maud::{Markup, html};
use serde_json::Value;

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
