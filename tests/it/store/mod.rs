//! Storage services: S3, Google Cloud Storage and Azure Blob Storage.

mod authorities;
mod buckets;
mod private;
mod services;
