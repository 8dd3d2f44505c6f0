//! Bodies of answers, compressed if the caller asks: small ones at once, large ones on a thread for blocking work, so
//! that no other request waits for them.

use bytes::Bytes;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::coding::Coding;

/// Largest body that is compressed at once, in bytes: it takes about a millisecond.
const AT_ONCE_BYTES_MAX: usize = 256 * 1024;

/// A body; `coding` is `None` if it is too small to be compressed. It is a valid answer at any time.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) coding: Option<Coding>,
    /// How it is still to be compressed.
    pending: Option<Coding>,
}

impl Body {
    /// `plain`, compressed now.
    pub(super) fn now(plain: Vec<u8>, coding: Option<Coding>) -> Self {
        match coding {
            Some(coding) if coding != Coding::Identity => Self::encoded(plain.into(), coding),
            _ => Self { bytes: plain.into(), coding, pending: None },
        }
    }

    /// `plain`, compressed now unless it is large: then by [`Body::compressed`].
    pub(super) fn later(plain: Vec<u8>, coding: Option<Coding>) -> Self {
        if plain.len() <= AT_ONCE_BYTES_MAX {
            return Self::now(plain, coding);
        }
        let pending = coding.filter(|coding| *coding != Coding::Identity);
        Self { bytes: plain.into(), coding: coding.and(Some(Coding::Identity)), pending }
    }

    /// Compresses what is still to be compressed. As many bodies at once as `threads` has permits.
    pub(super) async fn compressed(self, threads: &Semaphore) -> Self {
        let Some(coding) = self.pending else { return self };
        let Ok(_permit) = threads.acquire().await else { return self };
        let plain = self.bytes.clone();
        spawn_blocking(move || Self::encoded(plain, coding)).await.unwrap_or(self)
    }

    fn encoded(plain: Bytes, coding: Coding) -> Self {
        match coding.encode(&plain) {
            Ok(coded) => Self { bytes: coded.into(), coding: Some(coding), pending: None },
            // An uncompressed body is a valid answer.
            Err(_) => Self { bytes: plain, coding: Some(Coding::Identity), pending: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn large_bodies_are_compressed_beside_the_threads_of_requests_a_few_at_once() {
        let threads = Semaphore::new(0);
        let plain = |bytes: usize| b"abcdefgh".repeat(bytes / 8);
        for (bytes, coding, is_pending) in [
            (AT_ONCE_BYTES_MAX, Some(Coding::Gzip), false),
            (AT_ONCE_BYTES_MAX + 8, None, false),
            (AT_ONCE_BYTES_MAX + 8, Some(Coding::Identity), false),
            (AT_ONCE_BYTES_MAX + 8, Some(Coding::Gzip), true),
            (8 * AT_ONCE_BYTES_MAX, Some(Coding::Zstd), true),
        ] {
            let body = Body::later(plain(bytes), coding);
            assert_eq!(body.coding, if is_pending { Some(Coding::Identity) } else { coding });
            let mut waiting = std::pin::pin!(body.compressed(&threads));
            let body = match poll!(&mut waiting) {
                std::task::Poll::Ready(body) => {
                    assert!(!is_pending, "{bytes} {coding:?}");
                    body
                }
                std::task::Poll::Pending => {
                    assert!(is_pending, "{bytes} {coding:?}");
                    threads.add_permits(1);
                    let body = waiting.await;
                    threads.forget_permits(1);
                    body
                }
            };
            assert_eq!(body.coding, coding);
            let expected = coding.unwrap_or(Coding::Identity).encode(&plain(bytes)).unwrap();
            assert!(body.bytes == expected, "{bytes} {coding:?}");
        }
    }
}
