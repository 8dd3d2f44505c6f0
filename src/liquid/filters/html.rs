//! Filters that escape text for HTML and URLs, and `default` and `json`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Call, Failure, Filter, Made, Run, Text, Value, filter};
use crate::liquid::print;

/// What the filters for URLs encode: all but letters, digits and these.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const URI: &AsciiSet = &{
    let (mut set, mut others) = (UNRESERVED.remove(b'!'), b"*'();/?:@&=+$,#[]".as_slice());
    while let [byte, rest @ ..] = others {
        (set, others) = (set.remove(*byte), rest);
    }
    set
};

pub(super) const FILTERS: &[Filter] = &[
    filter("as_json_string", (0, 0), |call| json(call, 0)),
    filter("cgi_escape", (0, 0), |call| percent(call, UNRESERVED, true)),
    Filter {
        name: "default",
        arguments: (0, 1),
        label: "allow_false",
        expression_name: "",
        run: Run::Make(default),
    },
    filter("escape", (0, 0), |call| escape(call, false)),
    filter("escape_once", (0, 0), |call| escape(call, true)),
    filter("h", (0, 0), |call| escape(call, false)),
    filter("inspect", (0, 1), |call| json(call, 0)),
    filter("json", (0, 1), |call| json(call, call.integer_or(0, 0)?)),
    filter("json_escape", (0, 0), |call| {
        let Value::Text(quoted) = json(call, 0)? else { return Ok(Value::Nil) };
        Ok(Value::Text(quoted.slice(quoted.trim_matches('"'))))
    }),
    filter("jsonify", (0, 1), |call| json(call, call.integer_or(0, 0)?)),
    filter("raw", (0, 0), |call| Ok(call.input.clone())),
    filter("strip_html", (0, 0), |call| {
        let text = call.text()?;
        call.meter().spend(text.len() / 2)?;
        let out = without_parts(&text, &[("<script", "</script>"), ("<!--", "-->"), ("<style", "</style>")]);
        call.made(without_parts(&out, &[("<", ">")]))
    }),
    filter("uri_escape", (0, 0), |call| percent(call, URI, false)),
    filter("url_decode", (0, 0), |call| {
        let text = call.text()?.replace('+', " ");
        let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| Failure::Failed)?;
        call.made(decoded.into_owned())
    }),
    filter("url_encode", (0, 0), |call| percent(call, UNRESERVED, true)),
    filter("url_escape", (0, 0), |call| percent(call, URI, false)),
    filter("url_param_escape", (0, 0), |call| percent(call, UNRESERVED, false)),
    filter("xml_escape", (0, 0), |call| match escape(call, false)? {
        Value::Text(text) => call.made(text.replace("&quot;", "&#34;")),
        nil => Ok(nil),
    }),
];

fn default<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let keeps_false = call.render.expr(&call.syntax.labelled)?.is_truthy();
    let is_missing = match call.input {
        Value::Bool(false) => !keeps_false,
        value => !value.is_truthy() || value.is_empty(),
    };
    Ok(match (is_missing, call.given()) {
        (false, _) => call.input.clone(),
        (true, 0) => Value::Text(Text::Borrowed("")),
        (true, _) => call.value(0).clone(),
    })
}

fn json<'r>(call: &Call<'_, 'r>, indent: i64) -> Made<'r> {
    let indent = usize::try_from(indent.min(10)).unwrap_or(0);
    call.made(print::json(call.input, indent, call.meter())?)
}

/// Whether `text`, which follows an `&`, makes an entity of it: `name;` or `#1;`.
fn is_entity(text: &str) -> bool {
    /// Longest entity that is looked for, so that the time stays linear.
    const ENTITY_BYTES_MAX: usize = 40;
    let head = &text[..text.floor_char_boundary(ENTITY_BYTES_MAX)];
    head.split_once(';').is_some_and(|(name, _)| match name.strip_prefix('#') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()),
    })
}

fn escape<'r>(call: &Call<'_, 'r>, once: bool) -> Made<'r> {
    if matches!(call.input, Value::Nil) && !once {
        return Ok(Value::Nil);
    }
    let text = call.text()?;
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Ok(Value::Text(text));
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (at, part) in text.split('&').enumerate() {
        out.push_str(match at {
            0 => "",
            _ if once && is_entity(part) => "&",
            _ => "&amp;",
        });
        out.push_str(part);
    }
    let others = [('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];
    call.made(others.into_iter().fold(out, |out, (character, entity)| out.replace(character, entity)))
}

/// `text` without what stands from an opening to the next closing that belongs to it.
fn without_parts(text: &str, parts: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_open = [true; 3];
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'<', &text.as_bytes()[at..]) {
        let start = at + found;
        at = start + 1;
        for (number, (open, close)) in parts.iter().enumerate() {
            if !is_open[number] || !text[start..].starts_with(open) {
                continue;
            }
            match memchr::memmem::find(&text.as_bytes()[start + open.len()..], close.as_bytes()) {
                Some(length) => {
                    out.push_str(&text[kept..start]);
                    at = start + open.len() + length + close.len();
                    kept = at;
                    break;
                }
                None => is_open[number] = false,
            }
        }
    }
    out.push_str(&text[kept..]);
    out
}

fn percent<'r>(call: &Call<'_, 'r>, encoded: &'static AsciiSet, plus: bool) -> Made<'r> {
    if matches!(call.input, Value::Nil) {
        return Ok(Value::Nil);
    }
    let text = call.text()?;
    call.meter().spend_bytes(2 * text.len())?;
    let text = utf8_percent_encode(&text, encoded).to_string();
    call.made(if plus { text.replace("%20", "+") } else { text })
}
