//! Settings of the object store.

use std::path::PathBuf;

use crate::support::secret::SecretString;

/// The stores of a node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where publishers write. Followers read here too, unless there is a `read_location`.
    pub location: Location,
    /// A copy of the store that the service replicates, for followers to read. Its objects may
    /// arrive late and in any order.
    pub read_location: Option<Location>,
    /// Where nodes leave their statuses; `None` means below `location`.
    pub status_location: Option<Location>,
}

/// The address of a store.
#[derive(Debug, Clone)]
pub enum Location {
    /// A local directory, created with mode 0700; every write is synced to disk.
    Directory(PathBuf),
    /// A bucket of a storage service.
    Bucket(Bucket),
}

/// A bucket and how to reach it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The service of the bucket.
    pub service: Service,
    /// Its name.
    pub name: String,
    /// The prefix of every path in it, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Options of crate `object_store`, by their names there (`aws_region`). The last one of a name counts.
    /// Names that the service does not know are ignored: most options come from the environment, which has
    /// variables for other programs too.
    pub options: Vec<(String, SecretString)>,
    /// A PEM file of authorities that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
}

/// A storage service. All of them can create an object only where none exists.
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
    /// The service's word for a bucket.
    pub(super) const fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
        }
    }

    /// How to configure credentials.
    pub(super) const fn credentials(self) -> &'static str {
        match self {
            Self::S3 => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or their keys in [storage.s3]"
            }
            Self::Gcs => "set [storage.gcs] service_account_file, or GOOGLE_APPLICATION_CREDENTIALS",
            Self::Azure => "set [storage.azure] access_key, or AZURE_STORAGE_SAS_TOKEN",
        }
    }
}

impl Location {
    /// The address to show, without credentials.
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

    /// The directory directly below `root` that contains this location; `None` when `root` does not.
    pub(crate) fn first_directory_below(&self, root: &Self) -> Option<&str> {
        match (self, root) {
            (Self::Directory(inner), Self::Directory(root)) => {
                inner.strip_prefix(root).ok()?.components().next()?.as_os_str().to_str()
            }
            (Self::Bucket(inner), Self::Bucket(root)) => {
                if (inner.service, &inner.name) != (root.service, &root.name) {
                    return None;
                }
                let below = inner.prefix.strip_prefix(root.prefix.as_str())?;
                let below = if root.prefix.is_empty() { below } else { below.strip_prefix('/')? };
                below.split('/').next()
            }
            _ => None,
        }
    }
}
