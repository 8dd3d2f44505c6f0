//! A stream that counts its bytes, and is handed back when hyper is done with it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Stream, fragment::FragmentFilter, link::Link};

/// The stream of one connection.
pub(super) struct Socket {
    /// Present until the drop.
    stream: Option<Stream>,
    link: Arc<Link>,
    fragments: FragmentFilter,
    /// Bytes of the client behind the head that hyper reads.
    ahead: Vec<u8>,
}

impl Socket {
    pub(super) fn new(stream: Stream, link: Arc<Link>) -> Self {
        Self { stream: Some(stream), link, fragments: FragmentFilter::default(), ahead: Vec::new() }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("only drop takes the stream"))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.link.give_back(stream);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ahead.is_empty() {
            ready!(self.stream().poll_read(context, buffer))?;
            match &buffer.filled()[before..] {
                [] => self.link.end(),
                bytes => self.link.received(bytes),
            }
        } else {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
        }
        if !self.link.is_http2() && buffer.filled().len() > before {
            let body = self.link.take_body();
            let bytes = &mut buffer.filled_mut()[before..];
            let read = self.fragments.apply(bytes, body);
            let rest = bytes[read..].to_vec();
            buffer.set_filled(before + read);
            self.ahead.splice(..0, rest);
            let ahead = &self.ahead;
            let is_at_end = match ahead.len() {
                0 => self.fragments.is_at_end_of_head(),
                _ => ahead.ends_with(b"\n\r\n") || ahead.ends_with(b"\n\n"),
            };
            self.link.set_at_end_of_head(is_at_end);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.stream().poll_write(context, bytes))?;
        self.link.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.stream().poll_write_vectored(context, bytes))?;
        self.link.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream().poll_flush(context))?;
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
