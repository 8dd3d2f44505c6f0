//! Many regions: publishers and replicas as processes of their own, one bucket of an S3-compatible
//! server, metadata and warehouse in Postgres, and a network that fails.

mod chaos;
mod copies;
mod fixture;
mod network;
mod network_faults;
mod roles;
mod signing;
