//! The publisher task of a run: puts finished segments into the store and reads them back, while
//! the stream goes on.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::{error::Error, spool::Draft};
use crate::{
    catalog::{self, Content, SegmentDraft},
    disk::SegmentDirectory,
    domain::{
        id::RunId,
        manifest::{SegmentKind, SegmentReference, Version},
        name::CollectionName,
    },
    store::Store,
};

/// Segments on their way to the store at once: one more than one keeps the disk busy, and each
/// costs its size in memory.
const UPLOADS_MAX: usize = 2;

/// Publishes the segments of one run.
#[derive(Clone)]
pub(super) struct Publishing {
    pub(super) store: Store,
    pub(super) directory: SegmentDirectory,
    pub(super) collection: CollectionName,
    pub(super) run_id: RunId,
    pub(super) kind: SegmentKind,
    pub(super) version: Version,
}

impl Publishing {
    /// Publishes what comes until the sender is gone; the references by segment number.
    pub(super) async fn run(
        self,
        drafts: mpsc::Receiver<Draft>,
    ) -> Result<BTreeMap<usize, SegmentReference>, Error> {
        futures::stream::unfold(drafts, |mut drafts| async move { Some((drafts.recv().await?, drafts)) })
            .map(|draft| self.publish(draft))
            .buffer_unordered(UPLOADS_MAX)
            .try_collect()
            .await
    }

    pub(super) async fn publish(&self, draft: Draft) -> Result<(usize, SegmentReference), Error> {
        let segment = SegmentDraft {
            collection: self.collection.clone(),
            run_id: self.run_id,
            number: draft.number as u32,
            rows: draft.rows,
            deletes: draft.deletes,
            kind: self.kind,
            version: self.version,
        };
        let content = Content::Bytes(Bytes::from(draft.file));
        let reference = catalog::publish_segment(&self.store, &self.directory, &segment, content).await?;
        Ok((draft.number, reference))
    }
}
