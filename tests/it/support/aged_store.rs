//! An object store whose last-modified times are by a clock that the test sets. It counts requests, and each can take
//! simulated time.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt, TryStreamExt, stream, stream::BoxStream};
use larder::support::clock::Clock;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

/// Objects that a service deletes, or lists, with one request.
const BULK: usize = 1_000;

/// See the module.
#[derive(Clone)]
pub(crate) struct AgedStore {
    inner: Arc<dyn ObjectStore>,
    /// The store's clock.
    pub(crate) clock: Clock,
    latency: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    written: HashMap<Path, DateTime<Utc>>,
    requests: HashMap<&'static str, usize>,
}

impl AgedStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let clock = Clock::fixed(Clock::default().now());
        Self { inner, clock, latency: Duration::ZERO, state: Arc::default() }
    }

    /// Each request takes so long, in simulated time.
    pub(crate) fn with_latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Advances the store's clock.
    pub(crate) fn advance_hours(&self, hours: i64) {
        self.clock.set(self.clock.now() + chrono::TimeDelta::hours(hours));
    }

    /// The number of requests of a kind since the last call: "get", "head", "list", "put" or "delete".
    pub(crate) fn take_requests(&self, kind: &'static str) -> usize {
        self.state.lock().unwrap().requests.remove(kind).unwrap_or(0)
    }

    async fn request(&self, kind: &'static str) {
        *self.state.lock().unwrap().requests.entry(kind).or_default() += 1;
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }

    fn aged(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(written) = self.state.lock().unwrap().written.get(&meta.location) {
            meta.last_modified = *written;
        }
        meta
    }
}

impl fmt::Debug for AgedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgedStore")
    }
}

impl fmt::Display for AgedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgedStore")
    }
}

#[async_trait]
impl ObjectStore for AgedStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.request("put").await;
        let put = self.inner.put_opts(path, payload, options).await?;
        self.state.lock().unwrap().written.insert(path.clone(), self.clock.now());
        Ok(put)
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unimplemented!("no object of these tests is that large")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.request(if options.head { "head" } else { "get" }).await;
        let mut found = self.inner.get_opts(path, options).await?;
        found.meta = self.aged(found.meta);
        Ok(found)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let bulks = paths.chunks(BULK).then(move |paths| {
            let store = store.clone();
            async move {
                store.request("delete").await;
                store.inner.delete_stream(stream::iter(paths).boxed())
            }
        });
        bulks.flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let mut listed: Vec<ObjectMeta> = store.inner.list(prefix.as_ref()).try_collect().await?;
            // As services do.
            listed.sort_by(|one, other| one.location.cmp(&other.location));
            for _ in 0..=listed.len() / BULK {
                store.request("list").await;
            }
            let listed: Vec<_> = listed.into_iter().map(|meta| Ok(store.aged(meta))).collect();
            Ok::<_, object_store::Error>(stream::iter(listed))
        };
        listed.into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request("list").await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
