//! An object store that counts requests and bytes by what is requested.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

use crate::aged_store::AgedStore;

/// Requests and bytes, by kind of request and of object.
pub(crate) type Counts = BTreeMap<(&'static str, &'static str), (u64, u64)>;

/// A store as one process sees it.
#[derive(Clone)]
pub(crate) struct Counted {
    inner: AgedStore,
    counts: Arc<Mutex<Counts>>,
}

impl Counted {
    pub(crate) fn new(inner: AgedStore) -> Arc<Self> {
        Arc::new(Self { inner, counts: Arc::default() })
    }

    /// What was counted since the last call.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, request: &'static str, path: &str, bytes: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (requests, sum) = counts.entry((request, kind(path))).or_default();
        *requests += 1;
        *sum += bytes;
    }
}

fn kind(path: &str) -> &'static str {
    match path {
        "catalog/head" => "head",
        path if path.starts_with("catalog") => "document",
        path if path.ends_with("manifest.json") => "manifest",
        path if path.contains("/segment-") => "segment",
        path if path.starts_with("collections") => "collection",
        _ => "other",
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.count("put", path.as_ref(), payload.content_length() as u64);
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let request = if options.head { "head" } else { "get" };
        let found = self.inner.get_opts(path, options).await;
        let bytes = found.as_ref().map_or(0, |found| found.range.end - found.range.start);
        self.count(request, path.as_ref(), if request == "get" { bytes } else { 0 });
        found
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let counted = paths.inspect(move |path| {
            if let Ok(path) = path {
                store.count("deleted", path.as_ref(), 0);
            }
        });
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, below) = (self.clone(), prefix.map(ToString::to_string).unwrap_or_default());
        let listed = self.inner.list(prefix);
        // A service returns a thousand with one request.
        let counted = listed.enumerate().map(move |(number, found)| {
            if number % 1000 == 0 {
                store.count("list", &below, 0);
            }
            found
        });
        counted.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count("list", prefix.map(AsRef::as_ref).unwrap_or_default(), 0);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
