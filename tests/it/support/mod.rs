//! Fixtures and clients of several tests.

pub(crate) mod admin;
pub(crate) mod aged_store;
pub(crate) mod azure;
pub(crate) mod board;
pub(crate) mod browser;
pub(crate) mod catalog;
pub(crate) mod chance;
pub(crate) mod clickhouse;
pub(crate) mod deployment;
pub(crate) mod faulty_store;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod mysql;
pub(crate) mod node;
pub(crate) mod pgbouncer;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod read_server;
pub(crate) mod reader;
pub(crate) mod s3;
pub(crate) mod service;
pub(crate) mod source;
pub(crate) mod tls;
pub(crate) mod user;
