//! What the load generator looks at in an answer: its status, its length, its version.

/// Whether an answer is whole, and then whether it is a 200 exactly as long as it says.
pub(crate) fn whole(answer: &[u8]) -> Option<bool> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let Some(length) = value(&answer[..head], b"content-length").and_then(number) else {
        // Without a length nobody knows where the answer ends: it is whole, and bad.
        return Some(false);
    };
    let length = head + length as usize;
    (answer.len() >= length).then(|| answer.len() == length && answer.starts_with(b"HTTP/1.1 200 "))
}

/// The version that an answer shows.
pub(crate) fn version(answer: &[u8]) -> Option<u64> {
    value(answer, b"x-data-version").and_then(number)
}

/// The value of the first header line with this name, in lower or upper case.
fn value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memchr::memchr_iter(b'\n', head).find_map(|at| {
        let line = &head[at + 1..];
        let is_it = line.get(..name.len())?.eq_ignore_ascii_case(name) && line.get(name.len()) == Some(&b':');
        is_it.then(|| line[name.len() + 1..].trim_ascii_start())
    })
}

/// The digits at the beginning; `None` without any.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}
