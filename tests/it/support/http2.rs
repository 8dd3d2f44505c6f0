//! A small HTTP/2 client that writes its own frames (RFC 9113). It can send them late, in pieces, too large or
//! not at all.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::http::soon;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
pub(crate) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Default limit of a frame's payload.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
}

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer, which has this body.
    Answered(String),
    /// With a reset for this reason.
    Reset(u32),
    /// With the whole connection, for this reason.
    Gone(u32),
}

/// One frame.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::silent(address).await;
        client.send(PREFACE).await;
        client.send(SETTINGS).await;
        client
    }

    /// A connection on which nothing has been sent.
    pub(crate) async fn silent(address: SocketAddr) -> Self {
        let stream = soon("connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends these bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon("room to send", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends the headers of a request on `stream`, an odd number: those of every request, then `headers`.
    pub(crate) async fn request(&mut self, stream: u32, method: &str, path: &str, headers: &[(&str, &str)]) {
        let own = [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)];
        let mut block = Vec::new();
        for (name, value) in own.iter().chain(headers) {
            // A literal without indexing and compression (RFC 7541, section 6.2.2).
            block.push(0);
            push_text(&mut block, name);
            push_text(&mut block, value);
        }
        // END_STREAM belongs to the first frame, END_HEADERS to the last.
        let ends = if method == "POST" { 0 } else { END_STREAM };
        let pieces: Vec<&[u8]> = block.chunks(FRAME_BYTES_MAX).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let (kind, ends) = if at == 0 { (HEADERS, ends) } else { (CONTINUATION, 0) };
            let is_last = at + 1 == pieces.len();
            self.frame(kind, ends | if is_last { END_HEADERS } else { 0 }, stream, piece).await;
        }
    }

    /// Sends all of a request's body.
    pub(crate) async fn body(&mut self, stream: u32, body: &[u8]) {
        for piece in body.chunks(FRAME_BYTES_MAX) {
            self.frame(DATA, 0, stream, piece).await;
        }
        self.frame(DATA, END_STREAM, stream, b"").await;
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[kind, flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.send(&bytes).await;
    }

    /// Waits for the end of `stream`.
    pub(crate) async fn end(&mut self, stream: u32) -> End {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await;
            let number = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
            match frame.kind {
                GOAWAY => return End::Gone(number(4)),
                RST_STREAM if frame.stream == stream => return End::Reset(number(0)),
                DATA if frame.stream == stream => body.extend_from_slice(&frame.payload),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.stream == stream && frame.flags & END_STREAM != 0
            {
                return End::Answered(String::from_utf8(body).unwrap());
            }
        }
    }

    /// Requests `/livez` on `stream` and waits for the answer. Fails if a reset or a GOAWAY comes first.
    pub(crate) async fn is_untroubled(&mut self, stream: u32) {
        self.request(stream, "GET", "/livez", &[]).await;
        loop {
            let frame = self.next().await;
            assert!(!matches!(frame.kind, RST_STREAM | GOAWAY), "{frame:?}");
            if frame.stream == stream && frame.flags & END_STREAM != 0 {
                return;
            }
        }
    }

    async fn next(&mut self) -> Frame {
        let mut head = [0; 9];
        soon("a frame", self.stream.read_exact(&mut head)).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        soon("a frame", self.stream.read_exact(&mut payload)).await.unwrap();
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Frame { kind: head[3], flags: head[4], stream, payload }
    }
}

/// Appends a string literal: length and bytes (RFC 7541, section 5.2).
fn push_text(out: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        out.push(length as u8);
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push((length % 128 + 128) as u8);
            length /= 128;
        }
        out.push(length as u8);
    }
    out.extend_from_slice(text.as_bytes());
}
