//! A stream that counts what passes, and is handed back when HTTP is done with it.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{bare, link::Link, stream::Stream, target::Target};
use crate::api::router::Answer;

/// The stream of one connection.
pub(super) struct Socket<A> {
    /// Present until the drop.
    stream: Option<Stream>,
    link: Arc<Link>,
    /// Makes the bodies of refusals that come before any request.
    answer: A,
    dressed: Option<Dressed>,
    target: Target,
    /// Bytes of a head that came behind a request without an answer. They are counted when the rest is asked
    /// for: then only is this head the one that is awaited.
    early: usize,
}

/// A refusal on its way in the place of a bare one.
struct Dressed {
    bytes: Vec<u8>,
    written: usize,
}

impl<A> Socket<A> {
    pub(super) fn new(stream: Stream, link: Arc<Link>, answer: A) -> Self {
        Self { stream: Some(stream), link, answer, dressed: None, target: Target::default(), early: 0 }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("the stream leaves in drop only"))
    }
}

impl<A: Answer> Socket<A> {
    /// Takes `bytes` for the bare refusal that they are and writes a whole one; `None` when they are
    /// none. The caller is told of as many bytes as it gave.
    fn poll_refuse(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.dressed.is_none() {
            let refusal = self.answer.refusal(bare::code_of(bytes)?);
            self.dressed = Some(Dressed { bytes: bare::dressed(bytes, &refusal), written: 0 });
        }
        Some(self.poll_dressed(context).map_ok(|()| {
            self.link.sent(bytes.len());
            bytes.len()
        }))
    }

    fn poll_dressed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (Some(stream), Some(dressed)) = (&mut self.stream, &mut self.dressed) else {
            return Poll::Ready(Ok(()));
        };
        while dressed.written < dressed.bytes.len() {
            let rest = &dressed.bytes[dressed.written..];
            match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => dressed.written += written,
            }
        }
        self.dressed = None;
        Poll::Ready(Ok(()))
    }
}

impl<A> Drop for Socket<A> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.link.give_back(stream);
        }
    }
}

impl<A: Answer> AsyncRead for Socket<A> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early > 0 {
            let early = mem::take(&mut self.early);
            self.link.received_more(early);
        }
        let before = buffer.filled().len();
        let read = ready!(self.stream().poll_read(context, buffer));
        match buffer.filled_mut().get_mut(before..) {
            Some(bytes) if !bytes.is_empty() => {
                if !self.link.is_http2() {
                    let begins = self.link.is_between_requests();
                    self.early = self.target.refuse_fragment(bytes, begins);
                }
                let counted = bytes.len() - self.early;
                self.link.received(&bytes[..counted]);
            }
            _ => self.link.end(),
        }
        Poll::Ready(read)
    }
}

impl<A: Answer> AsyncWrite for Socket<A> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(refused) = self.poll_refuse(context, bytes) {
            return refused;
        }
        let written = ready!(self.stream().poll_write(context, bytes))?;
        self.link.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(refused) = bytes.first().and_then(|first| self.poll_refuse(context, first)) {
            return refused;
        }
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
