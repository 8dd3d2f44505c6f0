//! Where the artifacts of a project are: a directory, a bucket, or a job of dbt Cloud.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::cloud::CloudJob;
use crate::{
    model::error::Error,
    settings::read_bounded,
    store::{self, Bucket, Location, Store},
    support::blocking,
};

/// Largest artifact, in bytes: manifests of thousands of models have a hundred megabytes.
pub(super) const ARTIFACT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Attempts to read an object that is replaced while it is read, and the pause between them.
const ATTEMPTS_MAX: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);
const RUN_RESULTS: &str = "run_results.json";

/// A place of artifacts. Its `Debug` shows no secret.
#[derive(Debug)]
pub(super) enum Place {
    /// The manifest's file. The results of runs are beside it.
    File(PathBuf),
    /// The bucket, whose prefix is the directory, and the manifest's name.
    Bucket {
        bucket: Box<Bucket>,
        name: String,
    },
    Cloud(CloudJob),
}

/// When a file was last changed, and its length.
pub(super) type FileStamp = (SystemTime, u64);

impl Place {
    /// The stamp of the results of the last run; `None` when they are no file, or the stamp is unknown.
    pub(super) async fn stamp(&self) -> Option<FileStamp> {
        let Self::File(path) = self else { return None };
        let path = path.with_file_name(RUN_RESULTS);
        let stamp = || fs::metadata(path).and_then(|found| Ok((found.modified()?, found.len()))).ok();
        blocking::run(stamp).await.flatten()
    }

    /// The manifest's text.
    pub(super) async fn manifest(&self, project: &str) -> Result<Vec<u8>, Error> {
        match self {
            Self::File(path) => read_file(project, path.clone()).await,
            Self::Bucket { bucket, name } => read_object(project, bucket, name).await,
            Self::Cloud(job) => job.manifest(project).await,
        }
    }

    /// The text of the results of the last run.
    pub(super) async fn run_results(&self, project: &str) -> Result<Vec<u8>, Error> {
        match self {
            Self::File(path) => read_file(project, path.with_file_name(RUN_RESULTS)).await,
            Self::Bucket { bucket, .. } => read_object(project, bucket, RUN_RESULTS).await,
            Self::Cloud(_) => unreachable!("the job itself tells its last run"),
        }
    }

    /// What messages call the manifest.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bucket { bucket, name } => object(bucket, name),
            Self::Cloud(job) => job.shown(),
        }
    }

    pub(super) fn shown_run_results(&self) -> String {
        match self {
            Self::File(path) => path.with_file_name(RUN_RESULTS).display().to_string(),
            Self::Bucket { bucket, .. } => object(bucket, RUN_RESULTS),
            Self::Cloud(job) => job.shown(),
        }
    }
}

fn object(bucket: &Bucket, name: &str) -> String {
    format!("{}/{name}", Location::Bucket(bucket.clone()).shown())
}

async fn read_file(project: &str, path: PathBuf) -> Result<Vec<u8>, Error> {
    let (project, place) = (project.to_owned(), path.display().to_string());
    let read = blocking::run(move || read_bounded(&path, ARTIFACT_BYTES_MAX)).await;
    match read.unwrap_or_else(|| Err(io::Error::other("the process ends"))) {
        Ok(text) => Ok(text.into_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::DbtArtifactMissing { project, place })
        }
        Err(error) => Err(Error::DbtArtifactUnreadable { project, place, reason: error.to_string() }),
    }
}

async fn read_object(project: &str, bucket: &Bucket, name: &str) -> Result<Vec<u8>, Error> {
    let (project, place) = (project.to_owned(), object(bucket, name));
    let unreadable = |reason: String| Error::DbtArtifactUnreadable {
        project: project.clone(),
        place: place.clone(),
        reason,
    };
    let of_store = |error: store::Error| unreadable(error.to_string());
    let store = Store::open(&Location::Bucket(bucket.clone())).map_err(of_store)?;
    let path = store::Path::from(name);
    for _ in 0..ATTEMPTS_MAX {
        let Some(version) = store.version(&path).await.map_err(of_store)? else {
            return Err(Error::DbtArtifactMissing { project, place });
        };
        if version.bytes > ARTIFACT_BYTES_MAX {
            return Err(unreadable(format!("it is larger than {ARTIFACT_BYTES_MAX} bytes")));
        }
        if let Some(bytes) = store.read_version(&version, 0..version.bytes).await.map_err(of_store)? {
            return Ok(bytes.to_vec());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(unreadable("it changes all the time".to_owned()))
}
