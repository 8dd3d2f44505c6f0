//! Integration tests.

// `cfg(test)` tells Clippy that the support modules are test code.
#[cfg(test)]
mod access;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod checker;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod clock_story;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod compact_story;
#[cfg(test)]
mod conflict_story;
#[cfg(test)]
mod console;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod first_run_story;
#[cfg(test)]
mod held_story;
#[cfg(test)]
mod housekeeping_story;
#[cfg(test)]
mod increments;
#[cfg(test)]
mod lease_story;
#[cfg(test)]
mod liquid;
#[cfg(test)]
mod liquid_story;
#[cfg(test)]
mod load_balancers;
#[cfg(test)]
mod lookups;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod model_checks;
#[cfg(test)]
mod model_story;
#[cfg(test)]
mod models;
#[cfg(test)]
mod no_leaks;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod read_bodies;
#[cfg(test)]
mod read_contract;
#[cfg(test)]
mod read_listener;
#[cfg(test)]
mod read_lookups;
#[cfg(test)]
mod read_paths;
#[cfg(test)]
mod read_shutdown;
#[cfg(test)]
mod read_slow;
#[cfg(test)]
mod read_tls;
#[cfg(test)]
mod regions;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod schedule_story;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod source_adbc;
#[cfg(test)]
mod source_athena;
#[cfg(test)]
mod source_clickhouse;
#[cfg(test)]
mod source_clickhouse_settings;
#[cfg(test)]
mod source_databricks;
#[cfg(test)]
mod source_examples;
#[cfg(test)]
mod source_files;
#[cfg(test)]
mod source_google_sheets;
#[cfg(test)]
mod source_grants;
#[cfg(test)]
mod source_microsoft_excel;
#[cfg(test)]
mod source_mysql;
#[cfg(test)]
mod source_postgres;
#[cfg(test)]
mod source_proxy;
#[cfg(test)]
mod source_sqlite;
#[cfg(test)]
mod source_sqlserver;
#[cfg(test)]
mod source_story;
#[cfg(test)]
mod source_trino;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod sync_story;
#[cfg(test)]
mod table_story;
#[cfg(test)]
mod undo;
#[cfg(test)]
mod wrong_ports;
