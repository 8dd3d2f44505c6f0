//! The bucket as one process sees it: the object store of the real code.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, path::Path,
};

use super::{
    bucket::{Answer, Request},
    hub::{Hub, Who},
};

/// See the module.
#[derive(Clone)]
pub(super) struct View {
    hub: Arc<Hub>,
    who: Who,
    life: u32,
}

impl View {
    pub(super) fn new(hub: &Arc<Hub>, who: Who, life: u32) -> Self {
        Self { hub: Arc::clone(hub), who, life }
    }

    async fn ask(&self, request: Request) -> Result<Answer> {
        self.hub.ask(self.who, self.life, request).await
    }

    async fn listed(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let prefix = prefix.map(ToString::to_string).unwrap_or_default();
        match self.ask(Request::List { prefix }).await? {
            Answer::Listed(listed) => Ok(listed),
            other => unreachable!("{other} instead of a list"),
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the view of {}", self.who)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the view of {}", self.who)
    }
}

#[async_trait]
impl ObjectStore for View {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_creation = options.mode == PutMode::Create;
        self.ask(Request::Put { path: path.to_string(), bytes: payload.into(), is_creation }).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unimplemented!("no object is that large")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let request = Request::Get { path: path.to_string(), unless: options.if_none_match };
        let Answer::Found { meta, bytes } = self.ask(request).await? else {
            unreachable!("no object came back")
        };
        let range = 0..meta.size;
        let payload = GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed());
        let (attributes, extensions) = (Attributes::default(), Extensions::default());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let view = self.clone();
        paths
            .then(move |path| {
                let view = view.clone();
                async move {
                    let path = path?;
                    view.ask(Request::Delete { path: path.to_string() }).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (view, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            match view.listed(prefix.as_ref()).await {
                Ok(listed) => listed.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        stream::once(listed).flat_map(stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let depth = prefix.map_or(0, |prefix| prefix.parts().count());
        let mut common_prefixes: Vec<Path> = Vec::new();
        for object in self.listed(prefix).await? {
            let below: Path = object.location.parts().take(depth + 1).collect();
            if common_prefixes.last() != Some(&below) {
                common_prefixes.push(below);
            }
        }
        Ok(ListResult { common_prefixes, objects: Vec::new(), extensions: Extensions::default() })
    }

    async fn copy_opts(&self, from: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported { source: format!("copying {from} is not supported").into() })
    }
}
