//! Refusals that hyper makes itself, before there is a request: bytes that are no HTTP, heads beyond
//! its limits. It writes a bare status; here the status gets the body that every refusal has.

use hyper::{Response, body::Bytes, header::CONNECTION};

use crate::api::codes::Code;

/// How hyper says that there is no body.
const EMPTY: &[u8] = b"content-length: 0\r\n";
/// No bare head is longer: status, length, `connection`, `date`.
const HEAD_BYTES_MAX: usize = 256;

/// The code of a bare refusal that begins with these bytes; `None` for all that we answer ourselves,
/// whose heads are never without a request id and a body.
pub(super) fn code_of(written: &[u8]) -> Option<Code> {
    // Cheap, since every answer passes here: most begin with another digit.
    let is_refusal = written.get(9) == Some(&b'4') && written.starts_with(b"HTTP/1.");
    if !is_refusal || written.len() > HEAD_BYTES_MAX {
        return None;
    }
    memchr::memmem::find(written, EMPTY)?;
    match &written[9..12] {
        b"400" => Some(Code::InvalidRequest),
        b"414" => Some(Code::PathTooLong),
        b"431" => Some(Code::HeadersTooLarge),
        _ => None,
    }
}

/// The bare head `written` with the headers and the body of `refusal`.
pub(super) fn dressed(written: &[u8], refusal: &Response<Bytes>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    for line in
        written.split_inclusive(|&byte| byte == b'\n').filter(|line| *line != EMPTY && *line != b"\r\n")
    {
        out.extend_from_slice(line);
    }
    // What becomes of the connection hyper has said.
    for (name, value) in refusal.headers().iter().filter(|(name, _)| *name != CONNECTION) {
        push_header(&mut out, name.as_str(), value.as_bytes());
    }
    push_header(&mut out, "content-length", refusal.body().len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(refusal.body());
    out
}

fn push_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_writes_itself_is_dressed() {
        for (written, code) in [
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: x\r\n\r\n", Some(Code::InvalidRequest)),
            (
                "HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                Some(Code::HeadersTooLarge),
            ),
            ("HTTP/1.1 414 URI Too Long\r\ncontent-length: 0\r\n\r\n", Some(Code::PathTooLong)),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 120\r\n\r\n{", None),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 120\r\n\r\n{", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
            ("HTTP/1.0 400 Bad Request\r\ncontent-length: 0\r\n\r\n", Some(Code::InvalidRequest)),
            ("HTTP/1.1 4", None),
            ("", None),
        ] {
            assert_eq!(code_of(written.as_bytes()), code, "{written}");
        }
    }
}
