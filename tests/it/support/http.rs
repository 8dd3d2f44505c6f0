//! A small HTTP/1 client over a bare socket, which can send any bytes.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// The longest wait of a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for `future`; fails after [`DEADLINE`].
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("no {what} within {DEADLINE:?}");
    };
    output
}

/// A connection of any kind, such as TCP or TLS.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// One connection.
pub(crate) struct Client {
    stream: Box<dyn Bytes>,
    received: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// A client over `stream`.
    pub(crate) fn over(stream: impl Bytes + 'static) -> Self {
        Self { stream: Box::new(stream), received: Vec::new() }
    }

    /// Sends these bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to send", self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Closes the sending side.
    pub(crate) async fn finish_sending(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Sends a request without a body. `extra` has complete header lines.
    pub(crate) async fn request(&mut self, method: &str, target: impl AsRef<[u8]>, extra: &str) {
        let mut bytes = format!("{method} ").into_bytes();
        bytes.extend_from_slice(target.as_ref());
        bytes.extend_from_slice(format!(" HTTP/1.1\r\nHost: test\r\n{extra}\r\n").as_bytes());
        self.send(bytes).await;
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, method: &str, target: impl AsRef<[u8]>, extra: &str) -> Answer {
        self.request(method, target, extra).await;
        if method == "HEAD" { self.head().await } else { self.answer().await }
    }

    /// The next answer, with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let length = match answer.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None => 0,
        };
        while self.received.len() < length {
            assert!(self.receive().await > 0, "the body was cut off: {answer:?}");
        }
        answer.body = self.received.drain(..length).collect();
        answer
    }

    /// The next answer, or `None` when the server closes before it begins.
    pub(crate) async fn answer_or_end(&mut self) -> Option<Answer> {
        if self.received.is_empty() && self.receive().await == 0 {
            return None;
        }
        Some(self.answer().await)
    }

    /// The head of the next answer. Its body, if any, stays unread.
    pub(crate) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(
                self.receive().await > 0,
                "the connection closed before an answer; received {:?}",
                String::from_utf8_lossy(&self.received)
            );
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let mut status_line = lines.next().unwrap().splitn(3, ' ');
        let version = status_line.next().unwrap().to_owned();
        let status = status_line.next().unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Answer { version, status, headers: headers.collect(), body: Vec::new() }
    }

    /// The next piece of a chunked body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            let mut bytes = vec![0; 16 * 1024];
            // An event may come late.
            let count = self.stream.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
            self.received.extend_from_slice(&bytes[..count]);
        };
        let length = std::str::from_utf8(&self.received[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        while self.received.len() < end + 2 + length + 2 {
            assert!(self.receive().await > 0, "a chunk was cut off");
        }
        let chunk = self.received[end + 2..end + 2 + length].to_vec();
        self.received.drain(..end + 2 + length + 2);
        (length > 0).then_some(chunk)
    }

    /// Waits until the server closes. Fails if it resets or sends more bytes.
    pub(crate) async fn closed(&mut self) {
        let count = self.receive().await;
        assert_eq!(count, 0, "more than expected: {:?}", String::from_utf8_lossy(&self.received));
    }

    /// Waits until the connection ends, by a close or a reset.
    pub(crate) async fn ended(&mut self) {
        let mut bytes = vec![0; 4096];
        while matches!(soon("end", self.stream.read(&mut bytes)).await, Ok(1..)) {}
    }

    /// Whether all received bytes were read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.received.is_empty()
    }

    async fn receive(&mut self) -> usize {
        let mut bytes = vec![0; 16 * 1024];
        let count = soon("bytes", self.stream.read(&mut bytes)).await.expect("no reset");
        self.received.extend_from_slice(&bytes[..count]);
        count
    }
}

impl Answer {
    /// A header's value. Fails if the header occurs twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The code of an error answer, after a check of its complete form.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"), "{self:?}");
        let json = self.json();
        let error = json["error"].as_object().unwrap();
        assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message", "request_id"]);
        assert_eq!(error["request_id"].as_str(), self.header("x-request-id"));
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10));
        error["code"].as_str().unwrap().to_owned()
    }
}
