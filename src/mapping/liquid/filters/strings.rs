//! Filters on text.

use liquid_core::{Result, Value, ValueView};

use super::{
    Definition, Run,
    arguments::{Call, list_of, text_of, whole},
    partial, total,
};
use crate::mapping::liquid::{facts, meter};

pub(super) const FILTERS: &[Definition] = &[
    partial("append", (1, 1), |call| joined(&[&call.text(), &call.text_argument(0)])),
    total("capitalize", (0, 0), |call| text(capitalized(&call.text()))),
    Definition { name: "default", least: 0, most: 1, labels: &["allow_false"], run: Run::Total(default) },
    total("downcase", (0, 0), |call| text(call.text().to_lowercase())),
    total("lstrip", (0, 0), |call| text(call.text().trim_start())),
    total("newline_to_br", (0, 0), |call| text(call.text().replace("\r\n", "\n").replace('\n', "<br />\n"))),
    partial("prepend", (1, 1), |call| joined(&[&call.text_argument(0), &call.text()])),
    partial("remove", (1, 1), |call| replace(call, usize::MAX, "")),
    partial("remove_first", (1, 1), |call| replace(call, 1, "")),
    partial("remove_last", (1, 1), |call| replace_last(call, "")),
    partial("replace", (1, 2), |call| replace(call, usize::MAX, &call.text_argument(1))),
    partial("replace_first", (1, 2), |call| replace(call, 1, &call.text_argument(1))),
    partial("replace_last", (1, 2), |call| replace_last(call, &call.text_argument(1))),
    total("rstrip", (0, 0), |call| text(call.text().trim_end())),
    total("slice", (1, 2), slice),
    total("split", (1, 1), split),
    total("strip", (0, 0), |call| text(call.text().trim())),
    total("strip_newlines", (0, 0), |call| text(call.text().replace(['\r', '\n'], ""))),
    total("truncate", (0, 2), truncate),
    total("truncatewords", (0, 2), truncate_words),
    total("upcase", (0, 0), |call| text(call.text().to_uppercase())),
];

pub(super) fn text(text: impl Into<String>) -> Value {
    Value::scalar(text.into())
}

fn joined(parts: &[&str]) -> Result<Value> {
    meter::check_size(parts.iter().map(|part| part.len()).sum())?;
    Ok(text(parts.concat()))
}

fn default(call: &Call<'_>) -> Value {
    let is_kept_false =
        call.is_set("allow_false") && call.input.as_scalar().is_some_and(|value| value == false);
    let fires = !is_kept_false && facts::is_default(call.input);
    if fires { call.argument(0).to_value() } else { call.input.to_value() }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// Replaces the first `count` places of the first argument.
fn replace(call: &Call<'_>, count: usize, by: &str) -> Result<Value> {
    let (whole, part) = (call.text(), call.text_argument(0));
    let places = whole.matches(part.as_str()).take(count).count();
    meter::check_size(whole.len().saturating_add(places.saturating_mul(by.len())))?;
    Ok(text(whole.replacen(part.as_str(), by, count)))
}

fn replace_last(call: &Call<'_>, by: &str) -> Result<Value> {
    let (whole, part) = (call.text(), call.text_argument(0));
    match whole.rsplit_once(part.as_str()) {
        Some((before, after)) => joined(&[before, by, after]),
        None => Ok(text(whole.as_str())),
    }
}

/// From a place, counted from the end when it is negative, so many characters or elements.
fn slice(call: &Call<'_>) -> Value {
    let length = if call.has(1) { whole(call.argument(1)).unwrap_or(0) } else { 1 };
    let from = whole(call.argument(0)).unwrap_or(0);
    let span = |size: usize| {
        let from = if from < 0 { from.saturating_add(facts::count(size)) } else { from };
        let from = usize::try_from(from).ok().filter(|from| *from <= size)?;
        Some((from, usize::try_from(length).unwrap_or(0)))
    };
    if let Some(array) = call.input.as_array() {
        let Some((from, length)) = span(usize::try_from(array.size()).unwrap_or(0)) else {
            return Value::array([]);
        };
        return Value::array(array.values().skip(from).take(length).map(ValueView::to_value));
    }
    let whole = call.text();
    let Some((from, length)) = span(whole.chars().count()) else { return text("") };
    text(whole.chars().skip(from).take(length).collect::<String>())
}

/// The parts between a separator; empty ones at the end are left out. A space separates by any white
/// space, nothing separates the characters.
fn split(call: &Call<'_>) -> Value {
    let (whole, separator) = (call.text(), call.text_argument(0));
    let mut parts: Vec<&str> = match separator.as_str() {
        " " => whole.split_whitespace().collect(),
        "" => whole.split("").filter(|part| !part.is_empty()).collect(),
        separator => whole.split(separator).collect(),
    };
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    Value::array(parts.into_iter().map(|part| Value::scalar(part.to_owned())))
}

fn ellipsis(call: &Call<'_>) -> String {
    if call.has(1) { call.text_argument(1).to_string() } else { "...".to_owned() }
}

/// At most so many characters, those of the ellipsis among them.
fn truncate(call: &Call<'_>) -> Value {
    let (whole_text, ellipsis) = (call.text(), ellipsis(call));
    let length = if call.has(0) { whole(call.argument(0)).unwrap_or(0) } else { 50 };
    let length = usize::try_from(length).unwrap_or(0);
    if whole_text.chars().count() <= length {
        return text(whole_text.as_str());
    }
    let kept = length.saturating_sub(ellipsis.chars().count());
    text(whole_text.chars().take(kept).chain(ellipsis.chars()).collect::<String>())
}

/// At most so many words, and at least one.
fn truncate_words(call: &Call<'_>) -> Value {
    let (whole_text, ellipsis) = (call.text(), ellipsis(call));
    let count = if call.has(0) { whole(call.argument(0)).unwrap_or(0) } else { 15 };
    let count = usize::try_from(count).unwrap_or(0).max(1);
    let words: Vec<&str> = whole_text.split_whitespace().collect();
    if words.len() <= count {
        return text(whole_text.as_str());
    }
    text(words[..count].join(" ") + &ellipsis)
}

/// The elements of a list with a text between them.
pub(super) fn join(call: &Call<'_>) -> Result<Value> {
    let separator = if call.has(0) { call.text_argument(0).to_string() } else { " ".to_owned() };
    let parts: Vec<_> = list_of(call.input).into_iter().map(|item| text_of(item).into_cow_str()).collect();
    let size = parts.iter().map(|part| part.len()).sum::<usize>();
    meter::check_size(size.saturating_add(separator.len().saturating_mul(parts.len())))?;
    Ok(text(parts.join(&separator)))
}
