//! An object store that injects faults into the requests to another one.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    path::Path,
};
use tokio::sync::Notify;

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Get,
    Put,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is carried out.
    None,
    /// It fails and has no effect.
    Fail,
    /// The store refuses it, for lack of a right.
    Deny,
    /// It is carried out, and its answer is lost.
    LoseAnswer,
    /// It is carried out twice, as by a client that retries. The second answer is returned.
    Duplicate,
    /// Its answer is lost, and it is carried out when [`FaultyStore::release`] is called.
    Late,
    /// It waits until [`FaultyStore::release`] is called.
    Hold,
    /// The object seems to be missing.
    Hide,
    /// One byte of the answer is changed.
    Corrupt,
    /// It is carried out without its condition.
    Overwrite,
    /// The answer ends after half of its stated length.
    Truncate,
}

type Decide = Box<dyn FnMut(Request, &Path) -> Fault + Send>;
type LatePut = (Path, PutPayload, PutOptions);

/// A store whose faults the test decides.
pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    decide: Mutex<Decide>,
    late: Mutex<Vec<LatePut>>,
    log: Mutex<Vec<(Request, String)>>,
    released: Notify,
}

impl FaultyStore {
    /// A store without faults.
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            decide: Mutex::new(Box::new(|_, _| Fault::None)),
            late: Mutex::default(),
            log: Mutex::default(),
            released: Notify::new(),
        })
    }

    /// Lets `decide` choose the fault of each request.
    pub(crate) fn decide(&self, decide: impl FnMut(Request, &Path) -> Fault + Send + 'static) {
        *self.decide.lock().unwrap() = Box::new(decide);
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.decide(|_, _| Fault::None);
    }

    /// The next `times` requests of this kind whose path contains `part` meet `fault`.
    pub(crate) fn next(&self, request: Request, part: &'static str, fault: Fault, times: usize) {
        let mut left = times;
        self.decide(move |asked, path| {
            if asked == request && path.as_ref().contains(part) && left > 0 {
                left -= 1;
                fault
            } else {
                Fault::None
            }
        });
    }

    /// Carries out late requests and releases held ones.
    pub(crate) async fn release(&self) {
        self.released.notify_waiters();
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        for (path, payload, options) in late {
            let _ = self.inner.put_opts(&path, payload, options).await;
        }
    }

    /// The number of requests of this kind whose path contains `part`.
    pub(crate) fn count(&self, request: Request, part: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|(asked, path)| *asked == request && path.contains(part)).count()
    }

    fn fault(&self, request: Request, path: &Path) -> Fault {
        self.log.lock().unwrap().push((request, path.to_string()));
        (self.decide.lock().unwrap())(request, path)
    }
}

fn cut() -> Error {
    Error::Generic { store: "faulty", source: "connection reset".into() }
}

fn denied(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "no right to do that".into() }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.fault(Request::Put, path) {
            Fault::None => self.inner.put_opts(path, payload, options).await,
            Fault::Overwrite => self.inner.put_opts(path, payload, PutOptions::default()).await,
            Fault::LoseAnswer => {
                let _ = self.inner.put_opts(path, payload, options).await;
                Err(cut())
            }
            Fault::Duplicate => {
                let _ = self.inner.put_opts(path, payload.clone(), options.clone()).await;
                self.inner.put_opts(path, payload, options).await
            }
            Fault::Late => {
                self.late.lock().unwrap().push((path.clone(), payload, options));
                Err(cut())
            }
            Fault::Deny => Err(denied(path)),
            _ => Err(cut()),
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.fault(Request::Put, path) {
            Fault::None => self.inner.put_multipart_opts(path, options).await,
            _ => Err(cut()),
        }
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.fault(Request::Get, path);
        match fault {
            Fault::None => self.inner.get_opts(path, options).await,
            Fault::Hold => {
                self.released.notified().await;
                self.inner.get_opts(path, options).await
            }
            Fault::Deny => Err(denied(path)),
            Fault::Hide => Err(Error::NotFound { path: path.to_string(), source: "hidden".into() }),
            Fault::Corrupt | Fault::Truncate => {
                let result = self.inner.get_opts(path, options).await?;
                let (meta, range) = (result.meta.clone(), result.range.clone());
                let mut bytes = result.bytes().await?.to_vec();
                if fault == Fault::Corrupt {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                } else {
                    bytes.truncate(bytes.len() / 2);
                }
                Ok(GetResult {
                    payload: GetResultPayload::Stream(stream::iter([Ok(bytes.into())]).boxed()),
                    meta,
                    range,
                    attributes: Attributes::default(),
                    extensions: Extensions::default(),
                })
            }
            _ => Err(cut()),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
