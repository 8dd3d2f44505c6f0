//! What the object store is told.

use std::path::PathBuf;

use crate::store::paths;
use crate::store::signature::VerifyKey;
use crate::support::secret::SecretString;

/// Where objects live.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where publishers write, and where all read unless `read_location` says otherwise.
    pub location: Location,
    /// Where a follower reads: a copy that the store's own replication keeps. Its objects may
    /// arrive late and in any order.
    pub read_location: Option<Location>,
    /// Versions of a collection whose manifest and segments are kept (10).
    pub keep_versions: usize,
    /// The key that this node signs announcements with.
    pub signing_key_file: Option<PathBuf>,
    /// The keys whose announcements this node believes; none believes all.
    pub verify_keys: Vec<VerifyKey>,
}

/// A kind of store.
#[derive(Debug, Clone)]
pub enum Location {
    /// A local directory, created 0700; every write is synced to disk.
    Directory(PathBuf),
    /// A bucket of a storage service.
    Bucket(Bucket),
}

/// A bucket, or what a service calls it, and how to reach it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Whose bucket it is.
    pub service: Service,
    /// Its name.
    pub name: String,
    /// What stands before every path in it, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Options of crate `object_store`, by their names there (`aws_region`); a later one of the
    /// same name counts. Names that the service does not know are passed over: the environment,
    /// where most come from, has variables for other programs too.
    pub options: Vec<(String, SecretString)>,
}

/// A storage service that creates an object only where none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon S3 and servers that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage; the bucket is a container.
    Azure,
}

impl Service {
    /// What it calls a bucket.
    pub(crate) const fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
        }
    }

    /// How it is given credentials.
    pub(crate) const fn credentials(self) -> &'static str {
        match self {
            Self::S3 => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or their keys in [storage.s3]",
            Self::Gcs => "set [storage.gcs] service_account_file, or GOOGLE_APPLICATION_CREDENTIALS",
            Self::Azure => "set [storage.azure] access_key, or AZURE_STORAGE_SAS_TOKEN",
        }
    }
}

impl Location {
    /// Where it is, for people: without credentials.
    pub fn shown(&self) -> String {
        match self {
            Self::Directory(path) => format!("file:{}", path.display()),
            Self::Bucket(bucket) => {
                let scheme = match bucket.service {
                    Service::S3 => "s3",
                    Service::Gcs => "gs",
                    Service::Azure => "az",
                };
                let slash = if bucket.prefix.is_empty() { "" } else { "/" };
                format!("{scheme}://{}{slash}{}", bucket.name, bucket.prefix)
            }
        }
    }

    /// The directory of the store at `store` that this place lies in, when objects of the store's own
    /// stand there.
    pub fn lies_in_own(&self, store: &Self) -> Option<&'static str> {
        let first = match (self, store) {
            (Self::Directory(place), Self::Directory(root)) => {
                place.strip_prefix(root).ok()?.components().next()?.as_os_str().to_str()?
            }
            (Self::Bucket(place), Self::Bucket(root)) => {
                if (place.service, &place.name) != (root.service, &root.name) {
                    return None;
                }
                let below = place.prefix.strip_prefix(root.prefix.as_str())?;
                let below = if root.prefix.is_empty() { below } else { below.strip_prefix('/')? };
                below.split('/').next()?
            }
            _ => return None,
        };
        paths::OWN.into_iter().find(|own| *own == first)
    }
}
