//! Filters on text.

use memchr::memmem;

use super::{Call, Filter, Made, Value, filter, integer, writing};
use crate::liquid::{scan::is_space, value::signed};

pub(super) const FILTERS: &[Filter] = &[
    filter("append", (1, 1), |call| joined(call, &[&call.text()?, &call.argument(0)?])),
    writing("capitalize", capitalize),
    writing("downcase", downcase),
    filter("lstrip", (0, 0), |call| trimmed(call, |text| text.trim_start_matches(is_space))),
    writing("newline_to_br", |text, out| {
        out.push_str(&text.replace("\r\n", "\n").replace('\n', "<br />\n"));
    }),
    writing("normalize_whitespace", squeeze),
    filter("number_of_words", (0, 1), |call| {
        let (text, mode) = (call.text()?, call.argument(0)?);
        call.meter().spend_bytes(2 * text.len())?;
        Ok(Value::count(number_of_words(&text, &mode)))
    }),
    filter("prepend", (1, 1), |call| joined(call, &[&call.argument(0)?, &call.text()?])),
    filter("remove", (1, 1), |call| replaced(call, "")),
    filter("remove_first", (1, 1), |call| replaced_at(call, memmem::find, "")),
    filter("remove_last", (1, 1), |call| replaced_at(call, memmem::rfind, "")),
    filter("replace", (1, 2), |call| replaced(call, &call.argument(1)?)),
    filter("replace_first", (1, 2), |call| replaced_at(call, memmem::find, &call.argument(1)?)),
    filter("replace_last", (2, 2), |call| replaced_at(call, memmem::rfind, &call.argument(1)?)),
    filter("rstrip", (0, 0), |call| trimmed(call, |text| text.trim_end_matches(is_space))),
    filter("slice", (1, 2), slice),
    filter("slugify", (0, 2), |call| {
        let (text, mode) = (call.text()?, call.argument_or(0, "default")?);
        call.meter().spend(if &*mode == "latin" { 2 * text.len() } else { text.len() / 2 })?;
        let slug = slugified(&text, &mode);
        call.made(if call.value(1).is_truthy() { slug } else { slug.to_lowercase() })
    }),
    filter("split", (1, 1), split),
    writing("squish", |text, out| squeeze(text.trim(), out)),
    filter("strip", (0, 0), |call| trimmed(call, |text| text.trim_matches(is_space))),
    writing("strip_newlines", |text, out| out.push_str(&text.replace("\r\n", "").replace('\n', ""))),
    filter("truncate", (0, 2), truncate),
    filter("truncatewords", (0, 2), truncate_words),
    writing("upcase", upcase),
];

fn trimmed<'r>(call: &Call<'_, 'r>, trim: impl Fn(&str) -> &str) -> Made<'r> {
    let text = call.text()?;
    Ok(Value::Text(text.slice(trim(&text))))
}

fn joined<'r>(call: &Call<'_, 'r>, parts: &[&str]) -> Made<'r> {
    call.meter().spend_text(parts.iter().map(|part| part.len()).sum())?;
    Ok(Value::text(parts.concat()))
}

/// Appends `text` in another case. Most text is ASCII, which is changed where it stands.
fn cased(text: &str, out: &mut String, ascii: fn(&mut str), any: fn(&str) -> String) {
    if text.is_ascii() {
        let from = out.len();
        out.push_str(text);
        ascii(&mut out[from..]);
    } else {
        out.push_str(&any(text));
    }
}

fn upcase(text: &str, out: &mut String) {
    cased(text, out, str::make_ascii_uppercase, str::to_uppercase);
}

fn downcase(text: &str, out: &mut String) {
    cased(text, out, str::make_ascii_lowercase, str::to_lowercase);
}

fn capitalize(text: &str, out: &mut String) {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    upcase(first, out);
    downcase(rest, out);
}

/// `text` with one space for each run of white space.
fn squeeze(text: &str, out: &mut String) {
    let mut is_after_space = false;
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !is_after_space {
            out.push(' ');
        }
        is_after_space = c.is_whitespace();
    }
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{3040}'..='\u{30FF}' | '\u{AC00}'..='\u{D7AF}')
}

/// Words between white space; in the modes `cjk` and `auto` each Chinese, Japanese or Korean character
/// is one.
fn number_of_words(text: &str, mode: &str) -> usize {
    let counts_cjk = mode == "cjk" || (mode == "auto" && text.chars().any(is_cjk));
    if !counts_cjk {
        return text.split_whitespace().count();
    }
    let others = text.split(|c: char| c.is_whitespace() || is_cjk(c)).filter(|word| !word.is_empty());
    text.chars().filter(|c| is_cjk(*c)).count() + others.count()
}

/// Replaces the first argument by the second, where a search finds it.
fn replaced_at<'r>(call: &Call<'_, 'r>, find: fn(&[u8], &[u8]) -> Option<usize>, new: &str) -> Made<'r> {
    let (text, part) = (call.text()?, call.argument(0)?);
    match find(text.as_bytes(), part.as_bytes()) {
        Some(at) => joined(call, &[&text[..at], new, &text[at + part.len()..]]),
        None => Ok(Value::Text(text)),
    }
}

/// Replaces the first argument everywhere.
fn replaced<'r>(call: &Call<'_, 'r>, new: &str) -> Made<'r> {
    let (text, part) = (call.text()?, call.argument(0)?);
    let places =
        if part.is_empty() { text.len() + 1 } else { memmem::find_iter(text.as_bytes(), &*part).count() };
    call.meter().spend(places)?;
    call.meter().spend_text(text.len().saturating_add(places.saturating_mul(new.len())))?;
    if places == 0 { Ok(Value::Text(text)) } else { Ok(Value::text(text.replace(&*part, new))) }
}

/// The characters in `from..from + length`.
fn chars(text: &str, from: usize, length: usize) -> &str {
    let at = |text: &str, count: usize| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    let text = &text[at(text, from)..];
    &text[..at(text, length)]
}

/// From a place, counted from the end if it is negative, so many characters or elements.
fn slice<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let (from, length) = (call.integer_or(0, 0)?, call.value(1));
    let length = if matches!(length, Value::Nil) { 1 } else { integer(length, call.meter())? };
    let span = |size: usize| {
        let from = if from < 0 { from.saturating_add(signed(size)) } else { from };
        let from = usize::try_from(from).ok().filter(|from| *from <= size)?;
        Some((from, usize::try_from(length).ok()?.min(size - from)))
    };
    if let Value::Array(values) = call.input {
        let (from, length) = span(values.len()).unwrap_or((0, 0));
        call.meter().spend(length)?;
        return Ok(Value::array(values[from..from + length].iter().cloned()));
    }
    let text = call.text()?;
    let (from, length) = span(text.chars().count()).unwrap_or((0, 0));
    Ok(Value::Text(text.slice(chars(&text, from, length))))
}

fn slugified(text: &str, mode: &str) -> String {
    let keeps: fn(char) -> bool = match mode {
        "none" => return text.to_owned(),
        "raw" => |c| !c.is_whitespace(),
        "pretty" => |c| c.is_alphanumeric() || "._~!$&'()+,;=@".contains(c),
        "ascii" => |c| c.is_ascii_alphanumeric(),
        _ => char::is_alphanumeric,
    };
    let (is_latin, mut out) = (mode == "latin", String::with_capacity(text.len()));
    for c in text.chars() {
        let plain = if is_latin { without_accent(c) } else { None };
        match plain {
            Some(plain) => out.push_str(plain),
            None if keeps(c) => out.push(c),
            None if out.ends_with('-') => {}
            None => out.push('-'),
        }
    }
    let slug = out.strip_prefix('-').unwrap_or(&out);
    slug.strip_suffix('-').unwrap_or(slug).to_owned()
}

fn without_accent(c: char) -> Option<&'static str> {
    const LETTERS: &str =
        "àáâãäå:a æ:ae ç:c èéêë:e ìíîï:i ð:d ñ:n òóôõöø:o ùúûü:u ýÿ:y ß:ss œ:oe þ:th ẞ:SS Œ:OE Þ:TH";
    if c.is_ascii() {
        return None;
    }
    let mut letters = LETTERS.split(' ').filter_map(|letters| letters.split_once(':'));
    letters.find(|(letters, _)| letters.contains(c)).map(|(_, plain)| plain)
}

/// The parts between a separator; empty ones at the end are left out. A space separates by any white
/// space, nothing separates the characters.
fn split<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let (text, separator) = (call.text()?, call.argument(0)?);
    let mut parts = Vec::new();
    let mut add = |part: &str| {
        parts.push(Value::Text(text.slice(part)));
        call.render.meter.spend(3)
    };
    match &*separator {
        " " => text.split(is_space).filter(|part| !part.is_empty()).try_for_each(&mut add)?,
        "" => text.split("").filter(|part| !part.is_empty()).try_for_each(&mut add)?,
        separator => text.split(separator).try_for_each(&mut add)?,
    }
    let length = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
    parts.truncate(length);
    Ok(Value::array(parts))
}

/// At most so many characters, those of the ellipsis among them.
fn truncate<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let (text, ellipsis) = (call.text()?, call.argument_or(1, "...")?);
    let length = usize::try_from(call.integer_or(0, 50)?).unwrap_or(0);
    if chars(&text, 0, length).len() == text.len() {
        return Ok(Value::Text(text));
    }
    let kept = length.saturating_sub(ellipsis.chars().count());
    joined(call, &[chars(&text, 0, kept), &ellipsis])
}

/// At most so many words, and at least one.
fn truncate_words<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let (text, ellipsis) = (call.text()?, call.argument_or(1, "...")?);
    let count = usize::try_from(call.integer_or(0, 15)?).unwrap_or(0).max(1);
    let mut words = text.split(is_space).filter(|word| !word.is_empty());
    let kept: Vec<&str> = words.by_ref().take(count).collect();
    call.meter().spend(2 * kept.len())?;
    // White space after the last word is more text, as in Ruby.
    if words.next().is_none() && (kept.len() < count || !text.ends_with(is_space)) {
        return Ok(Value::Text(text));
    }
    joined(call, &[&kept.join(" "), &ellipsis])
}
