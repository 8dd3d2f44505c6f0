//! Where files are: a directory of this machine, a bucket or an SFTP server. A snapshot takes their names and versions
//! once.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::{
    BUCKET_UNUSABLE, TOO_MANY_FILES, blocking,
    content::{BucketReader, Bytes, Content},
    own_runtime,
    pattern::Pattern,
    sftp::{self, SftpReader},
};
use crate::{
    source::{
        error::{Error, cause, file_error},
        file::{Stamp, regular},
    },
    store::{self, Bucket, Location, ObjectVersion, Store},
};

/// Most files of one query.
pub(super) const FILES_MAX: usize = 10_000;
/// Most entries of directories that are looked at for one query, and the deepest directory.
pub(super) const ENTRIES_MAX: usize = 1_000_000;
pub(super) const DEPTH_MAX: usize = 32;

/// A place that is configured. Its `Debug` shows no secret.
#[derive(Debug)]
pub(super) enum Place {
    Directory(PathBuf),
    Bucket(Box<Bucket>),
    Server(Arc<sftp::Server>),
}

/// A place while a query reads it.
pub(super) enum Opened {
    Directory(PathBuf),
    Bucket {
        location: Location,
        /// Made by the thread that reads.
        reader: OnceLock<Arc<BucketReader>>,
    },
    Server(Arc<SftpReader>),
}

/// A file as it was when the snapshot was taken.
pub(super) enum Entry {
    Local { name: String, stamp: Stamp },
    Object { name: String, version: ObjectVersion },
    Remote { name: String, stamp: sftp::Stamp },
}

/// The files that a pattern matches.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<Entry>,
    /// A directory with a name that is not UTF-8, which the pattern may mean.
    pub(super) misnamed: Option<String>,
}

impl Found {
    pub(super) fn of(files: Vec<Entry>) -> Self {
        Self { files, misnamed: None }
    }
}

impl Entry {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Local { name, .. } | Self::Object { name, .. } | Self::Remote { name, .. } => name,
        }
    }
}

impl Place {
    /// Makes a trivial request.
    pub(super) async fn check(&self) -> Result<(), Error> {
        match self {
            Self::Directory(path) => {
                let path = path.clone();
                blocking(move || path.read_dir().map(drop).map_err(|error| file_error(&path, &error))).await
            }
            Self::Bucket(bucket) => {
                // Of a single object, a bucket that does not exist says no more than that the object does not.
                let store = Self::store(bucket)?;
                store.versions(&object_path("")?, 0, |_| true).await.map(drop).map_err(of_store)
            }
            Self::Server(server) => server.check().await,
        }
    }

    /// The files that `pattern` matches, by name; at least one, and none is left out for its name.
    pub(super) async fn snapshot(&self, pattern: &Pattern) -> Result<(Opened, Vec<Entry>), Error> {
        let (opened, Found { files, misnamed }) = self.entries(pattern, false).await?;
        if let Some(directory) = misnamed {
            let message = format!(
                "{directory} has a name that is not UTF-8 and that the pattern `{}` may mean",
                pattern.text()
            );
            return Err(Error::new(cause::FILE_UNREADABLE, message)
                .with_hint("rename it in UTF-8, or write a pattern that does not match it"));
        }
        if !files.is_empty() {
            return Ok((opened, files));
        }
        let (text, place) = (pattern.text(), self.shown());
        Err(if pattern.is_literal() {
            Error::new(cause::FILE_MISSING, format!("there is no file {text} in {place}"))
                .with_hint("check the source's place and the model's `table`")
        } else {
            Error::new(cause::FILE_MISSING, format!("no file in {place} matches the pattern `{text}`")).with_hint(
                "check the source's place and the pattern: `*` stands neither for a `/` nor for names that begin with \
                 `.` or `_`, `**` for any directories",
            )
        })
    }

    /// The names of all files that can be read.
    pub(super) async fn names(&self) -> Result<Vec<String>, Error> {
        let (_, found) = self.entries(&Pattern::all(), true).await?;
        Ok(found.files.iter().map(|file| file.name().to_owned()).collect())
    }

    /// The files that `pattern` matches, by name. `is_list` tells that they are only listed, not read.
    async fn entries(&self, pattern: &Pattern, is_list: bool) -> Result<(Opened, Found), Error> {
        let (opened, mut found) = match self {
            Self::Directory(path) => {
                let (path, pattern) = (path.clone(), pattern.clone());
                blocking(move || Ok((Opened::Directory(path.clone()), local(&path, &pattern, is_list)?)))
                    .await?
            }
            Self::Bucket(bucket) => {
                let store = Self::store(bucket)?;
                let files = objects(&store, pattern).await?;
                let location = Location::Bucket((**bucket).clone());
                (Opened::Bucket { location, reader: OnceLock::new() }, Found::of(files))
            }
            Self::Server(server) => {
                let (reader, found) = server.snapshot(pattern).await?;
                (Opened::Server(reader), found)
            }
        };
        if found.files.len() > FILES_MAX {
            let message = format!("{} matches more than {FILES_MAX} files", pattern.text());
            return Err(Error::new(TOO_MANY_FILES, message).with_hint("write fewer, larger files"));
        }
        found.files.sort_by(|a, b| a.name().cmp(b.name()));
        Ok((opened, found))
    }

    /// A client for one query: its connections live as long as the runtime that made them.
    fn store(bucket: &Bucket) -> Result<Store, Error> {
        Store::open(&Location::Bucket(bucket.clone())).map_err(of_store)
    }

    fn shown(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Bucket(bucket) => Location::Bucket((**bucket).clone()).shown(),
            Self::Server(server) => server.shown(),
        }
    }
}

impl Opened {
    /// Opens a file of the snapshot.
    pub(super) fn content(&self, file: &Entry) -> Result<Arc<Content>, Error> {
        match (self, file) {
            (Self::Directory(root), Entry::Local { name, stamp }) => {
                let path = root.join(name);
                let file = fs::File::open(&path).map_err(|error| file_error(&path, &error))?;
                stamp.check(&file, &path)?;
                let bytes = Bytes::Local { file, stamp: *stamp, path };
                Ok(Arc::new(Content::new(name.clone(), stamp.bytes(), bytes)))
            }
            (Self::Bucket { location, reader }, Entry::Object { name, version }) => {
                let bucket = if let Some(bucket) = reader.get() {
                    Arc::clone(bucket)
                } else {
                    let opened = Arc::new(open_bucket(location)?);
                    Arc::clone(reader.get_or_init(|| opened))
                };
                let bytes = Bytes::Object { bucket, version: version.clone() };
                Ok(Arc::new(Content::new(name.clone(), version.bytes, bytes)))
            }
            (Self::Server(reader), Entry::Remote { name, stamp }) => {
                let bytes = Bytes::Remote(reader.open(name, *stamp)?);
                Ok(Arc::new(Content::new(name.clone(), stamp.bytes(), bytes)))
            }
            _ => unreachable!("a place has files of its own kind"),
        }
    }
}

fn open_bucket(location: &Location) -> Result<BucketReader, Error> {
    let store = Store::open(location).map_err(of_store)?;
    Ok(BucketReader { store, runtime: own_runtime()? })
}

/// The files of a directory. `is_list` tells that they are only listed, not read.
fn local(root: &Path, pattern: &Pattern, is_list: bool) -> Result<Found, Error> {
    let entry = |name: &str| {
        let path = root.join(name);
        let metadata = regular(&path).map_err(|error| {
            let opened = file_error(&path, &error);
            if opened.code() == cause::FILE_MISSING.code {
                return opened.with_hint("check the source's `path` and the model's `table`");
            }
            opened
        })?;
        Ok(Entry::Local { name: name.to_owned(), stamp: Stamp::of(&metadata) })
    };
    if pattern.is_literal() {
        return Ok(Found::of(vec![entry(pattern.text())?]));
    }
    let mut walk =
        Walk { root, pattern, names: Vec::new(), misnamed: None, entries: 0, ancestors: Vec::new() };
    walk.directory(pattern.root())?;
    // A list leaves out what cannot be read, such as a named pipe.
    let files = walk.names.iter().map(|name| entry(name)).filter(|found| !is_list || found.is_ok());
    let files = files.collect::<Result<_, _>>()?;
    Ok(Found { files, misnamed: walk.misnamed })
}

/// Looks for names that match, in the directories that may have some.
struct Walk<'a> {
    root: &'a Path,
    pattern: &'a Pattern,
    names: Vec<String>,
    misnamed: Option<String>,
    entries: usize,
    /// Device and number of each directory on the way to the one that is read: a link to one of them would lead in a circle.
    ancestors: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &str) -> Result<(), Error> {
        let path = self.root.join(directory);
        let failed = |error| file_error(&path, &error);
        let metadata = path.metadata().map_err(failed)?;
        let identity = (metadata.dev(), metadata.ino());
        if self.ancestors.contains(&identity) {
            return Ok(());
        }
        self.ancestors.push(identity);
        for entry in path.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(too_many_entries(&self.root.display().to_string()));
            }
            let name = entry.file_name();
            let (is_text, name) = (name.to_str().is_some(), name.to_string_lossy());
            let name = if directory.is_empty() { name.into_owned() } else { format!("{directory}/{name}") };
            let is_directory = entry.path().is_dir();
            if !self.pattern.may_mean(&name, is_directory) {
                continue;
            }
            if !is_text {
                self.misnamed.get_or_insert_with(|| path.display().to_string());
            } else if !is_directory {
                self.names.extend((self.names.len() <= FILES_MAX).then_some(name));
            } else if self.ancestors.len() <= DEPTH_MAX {
                self.directory(&name)?;
            }
        }
        self.ancestors.pop();
        Ok(())
    }
}

pub(super) fn too_many_entries(place: &str) -> Error {
    Error::new(TOO_MANY_FILES, format!("{place} has more than {ENTRIES_MAX} entries"))
        .with_hint("give the files a directory of their own")
}

/// The path of an object or directory as it is written: no character is escaped.
fn object_path(text: &str) -> Result<store::Path, Error> {
    store::Path::parse(text).map_err(|_| {
        Error::new(cause::TABLE_NAME_INVALID, "this is not the name of an object")
            .with_hint("name an object below the source's url")
    })
}

async fn objects(store: &Store, pattern: &Pattern) -> Result<Vec<Entry>, Error> {
    let object = |version: ObjectVersion| Entry::Object { name: version.path.to_string(), version };
    if pattern.is_literal() {
        let path = object_path(pattern.text())?;
        return Ok(store.version(&path).await.map_err(of_store)?.map(object).into_iter().collect());
    }
    let prefix = object_path(pattern.root())?;
    let versions = store.versions(&prefix, FILES_MAX + 1, |path| pattern.is_match(path.as_ref())).await;
    let versions = versions.map_err(of_store)?;
    let too_many = || {
        let message = format!("{} matches more than {FILES_MAX} files", pattern.text());
        Error::new(TOO_MANY_FILES, message).with_hint("write fewer, larger files")
    };
    Ok(versions.ok_or_else(too_many)?.into_iter().map(object).collect())
}

/// An error of a bucket.
pub(in crate::source) fn of_store(error: store::Error) -> Error {
    use store::Error as Fault;
    match error {
        Fault::Request { path, detail, .. } => {
            Error::new(cause::UNAVAILABLE, format!("the bucket could not be read at `{path}`: {detail}"))
                .with_hint("check that it is reachable")
        }
        Fault::Timeout { path, seconds, .. } => Error::new(
            cause::CONNECT_TIMEOUT,
            format!("the bucket did not answer for `{path}` within {seconds} s"),
        )
        .with_hint("check that it is reachable"),
        Fault::NoBucket { bucket, .. } => {
            Error::new(BUCKET_UNUSABLE, format!("there is no bucket `{bucket}`"))
                .with_hint("check the source's url")
        }
        Fault::OtherRegion { location, .. } => {
            Error::new(BUCKET_UNUSABLE, format!("{location} is in another region than the configured one"))
                .with_hint("set s3.region of the source to the region of the bucket")
        }
        Fault::Unusable { location, detail } => {
            Error::new(BUCKET_UNUSABLE, format!("{location} cannot be used as configured: {detail}"))
        }
        Fault::NoCredentials { location, detail, .. } => {
            Error::new(cause::LOGIN_REFUSED, format!("there are no credentials for {location}: {detail}"))
                .with_hint("set the keys s3, gcs or azure of the source, or the variables of the service")
        }
        Fault::Denied { path, answer, .. } => {
            Error::new(cause::PERMISSION_DENIED, format!("the bucket refuses to read `{path}`: {answer}"))
                .with_hint("allow these credentials to list the bucket and to read its objects")
        }
        Fault::Missing(path) => Error::new(cause::FILE_MISSING, format!("there is no object `{path}`"))
            .with_hint("check the source's url and the model's `table`"),
        Fault::Corrupt { path, .. } => {
            Error::new(cause::FILE_CHANGED, format!("the object `{path}` is not as long as the bucket says"))
                .with_hint("the run will be tried again")
        }
        other => Error::new(cause::UNAVAILABLE, other.to_string()),
    }
}
