//! The upload of a run's segments, while its rows still stream.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::segment_writer::FinishedSegment;
use crate::{
    catalog::{Catalog, SegmentDraft},
    disk::SegmentDirectory,
    domain::{
        id::RunId,
        manifest::{SegmentKind, SegmentReference, Version},
        name::CollectionName,
    },
    engine::{Engine, error::Error},
};

/// Segments that are uploaded at once: the second keeps the disk busy, and each costs its size in memory.
const UPLOADS_MAX: usize = 2;

/// The uploaded segments of a run, by their number.
pub(in crate::engine) type Uploaded = BTreeMap<usize, SegmentReference>;

/// Writes the segments of one run to the store and reads them back.
pub(in crate::engine) struct Uploader {
    catalog: Catalog,
    directory: SegmentDirectory,
    run_id: RunId,
    kind: SegmentKind,
    collection: CollectionName,
    version: Version,
}

impl Uploader {
    pub(in crate::engine) fn new(
        engine: &Engine,
        run_id: RunId,
        kind: SegmentKind,
        collection: &CollectionName,
        version: Version,
    ) -> Self {
        let (catalog, directory) = (engine.catalog.clone(), engine.directory.clone());
        Self { catalog, directory, run_id, kind, collection: collection.clone(), version }
    }

    /// Uploads segments until their sender is gone.
    pub(in crate::engine) async fn run(
        &self,
        segments: mpsc::Receiver<FinishedSegment>,
    ) -> Result<Uploaded, Error> {
        futures::stream::unfold(
            segments,
            |mut segments| async move { Some((segments.recv().await?, segments)) },
        )
        .map(|segment| async {
            let (number, replaces) = (segment.number, segment.replaces);
            let reference = self.upload(segment).await?;
            if let Some(replaced) = replaces {
                // At once, so that the store never holds two copies of a run.
                self.discard(replaced).await;
            }
            Ok((number, reference))
        })
        .buffer_unordered(UPLOADS_MAX)
        .try_collect()
        .await
    }

    /// Deletes a segment of this run that another one replaces. If that fails, retention deletes it later.
    pub(super) async fn discard(&self, number: usize) {
        if let Err(error) = self.catalog.discard_segment(&self.collection, self.run_id, number as u32).await {
            tracing::warn!(code = error.code(), %error, "a replaced segment of a run could not be deleted");
        }
    }

    async fn upload(&self, segment: FinishedSegment) -> Result<SegmentReference, Error> {
        let draft = SegmentDraft {
            collection: self.collection.clone(),
            run_id: self.run_id,
            number: segment.number as u32,
            rows: segment.rows,
            deletes: segment.deletes,
            kind: self.kind,
            version: self.version,
        };
        let content = Bytes::from(segment.file);
        Ok(self.catalog.publish_segment(&self.directory, &draft, content).await?)
    }
}
