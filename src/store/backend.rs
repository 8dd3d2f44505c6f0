//! Clients of the storage services: the only place that tells them apart.

use std::{
    fs::DirBuilder,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use object_store::{
    BackoffConfig, Certificate, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    prefix::PrefixStore,
};
use secrecy::ExposeSecret;

use super::{
    error::Error,
    refusal::Refusal,
    settings::{Bucket, Location, Service},
};
use crate::settings::read_bounded;

/// Bound of opening a connection; a host that is up answers within a round trip or two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest file of authorities: all public ones have 300 kB.
const CA_FILE_BYTES_MAX: u64 = 4 << 20;
/// Idle connections kept per host: more than are in use at once.
const POOL_IDLE_MAX: usize = 32;
/// Attempts of one request beyond the first, all within the request's own bound: enough for a throttled or
/// restarting server. Callers back off by themselves when all attempts fail.
const RETRIES_MAX: usize = 3;
/// First and longest pause between attempts.
const RETRY_BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// No attempt begins later than this after the first one.
const RETRY_TIMEOUT: Duration = Duration::from_secs(8);

/// Makes a client of the store at `location`. No request is sent to a service.
pub(super) fn open(location: &Location) -> Result<Arc<dyn ObjectStore>, Error> {
    match location {
        Location::Directory(path) => directory(path),
        Location::Bucket(bucket) => {
            let options = client_options(bucket)?;
            let client = match bucket.service {
                Service::S3 => s3(bucket, options),
                Service::Gcs => gcs(bucket, options),
                Service::Azure => azure(bucket, options),
            };
            let client = client.map_err(|source| unusable(location.shown(), &source))?;
            Ok(if bucket.prefix.is_empty() {
                client
            } else {
                Arc::new(PrefixStore::new(client, bucket.prefix.as_str()))
            })
        }
    }
}

pub(super) fn unusable(location: String, source: &object_store::Error) -> Error {
    let detail = Refusal::of(source).detail;
    // The words of a decoder name a character of the key.
    let is_of_key = detail.contains("Invalid symbol") || detail.contains("Invalid last symbol");
    let detail = if is_of_key { "the account key is not base64".to_owned() } else { detail };
    Error::Unusable { location, detail }
}

/// Opens a directory of this machine, created with mode 0700 if it does not exist.
fn directory(path: &Path) -> Result<Arc<dyn ObjectStore>, Error> {
    let local = |source| Error::Local { action: "create", path: path.to_owned(), source };
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|source| {
        // The system says that it exists.
        let is_link = source.kind() == ErrorKind::AlreadyExists && path.is_symlink();
        let reason = "it is a link to a directory that does not exist; is its file system mounted?";
        local(if is_link { io::Error::other(reason) } else { source })
    })?;
    let root = path.canonicalize().map_err(local)?;
    let store = LocalFileSystem::new_with_prefix(&root)
        .map_err(|source| unusable(format!("file:{}", root.display()), &source))?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    Ok(Arc::new(store))
}

fn s3(bucket: &Bucket, options: ClientOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry_config());
    for (key, value) in known::<AmazonS3ConfigKey>(bucket) {
        builder = builder.with_config(key, value);
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::S3Endpoint);
    let endpoint = endpoint.or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    if is_plain(endpoint.as_deref()) {
        builder = builder.with_allow_http(true);
    }
    // The environment may disable the condition; announcements are not safe without it.
    let builder = builder.with_bucket_name(&bucket.name).with_conditional_put(S3ConditionalPut::ETagMatch);
    Ok(Arc::new(builder.build()?))
}

fn gcs(bucket: &Bucket, options: ClientOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder =
        GoogleCloudStorageBuilder::new().with_client_options(options).with_retry(retry_config());
    for (key, value) in known::<GoogleConfigKey>(bucket) {
        builder = builder.with_config(key, value);
    }
    if is_plain(builder.get_config_value(&GoogleConfigKey::BaseUrl).as_deref()) {
        builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), "true");
    }
    Ok(Arc::new(builder.with_bucket_name(&bucket.name).build()?))
}

fn azure(bucket: &Bucket, options: ClientOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::new().with_client_options(options).with_retry(retry_config());
    for (key, value) in known::<AzureConfigKey>(bucket) {
        builder = builder.with_config(key, value);
    }
    if is_plain(builder.get_config_value(&AzureConfigKey::Endpoint).as_deref()) {
        builder = builder.with_allow_http(true);
    }
    Ok(Arc::new(builder.with_container_name(&bucket.name).build()?))
}

/// The options that the service knows, in the configured order.
pub(super) fn known<K: std::str::FromStr>(bucket: &Bucket) -> impl Iterator<Item = (K, String)> + '_ {
    bucket.options.iter().filter_map(|(name, value)| {
        let key = name.to_ascii_lowercase().parse().ok()?;
        Some((key, value.expose_secret().to_owned()))
    })
}

/// Whether an address is configured without TLS. Requests without TLS are allowed only then.
fn is_plain(address: Option<&str>) -> bool {
    address.is_some_and(|address| address.starts_with("http://"))
}

/// Whole requests have no bound here: [`Store`](super::Store) bounds each piece of a large object.
pub(super) fn client_options(bucket: &Bucket) -> Result<ClientOptions, Error> {
    let mut options = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_pool_max_idle_per_host(POOL_IDLE_MAX);
    if let Some(path) = &bucket.ca_file {
        let certificates = certificates(path).map_err(|reason| Error::Unusable {
            location: Location::Bucket(bucket.clone()).shown(),
            detail: format!("[storage] ca_file names {}: {reason}", path.display()),
        })?;
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

/// All certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = read_bounded(path, CA_FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    let found = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| "it is not PEM".to_owned())?;
    if found.is_empty() {
        Err("it holds no certificate in PEM (BEGIN CERTIFICATE)".to_owned())
    } else {
        Ok(found)
    }
}

fn retry_config() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: RETRY_BACKOFF.0,
            max_backoff: RETRY_BACKOFF.1,
            ..BackoffConfig::default()
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}
