//! Faults: killed processes, damaged files, missing databases. Readers must not notice them.
//!
//! The table lists each fault and its tests. In the first column of tests a [`Reader`](crate::support::reader::Reader),
//! or the named load, reads all the time. It asserts that every response is a record of an announced version, and
//! that versions never decrease.
//!
//! | fault | tests under load | more, without one |
//! |---|---|---|
//! | warehouse down | `outages::warehouse_server_outage_*`, `outages::missing_warehouse_file_*` | |
//! | warehouse slow, wrong password, query error, changed columns | `outages::failing_warehouse_*` | `source_postgres::errors` |
//! | type changed while a run reads | | `source_postgres::errors::changed_columns_*` |
//! | metadata database down | `outages::metadata_outage_in_postgres_*`, `outages::missing_metadata_file_*` | `metadata::postgres` |
//! | object store down, slow, throttling | `regions::network_faults::*` | `replica::faults`, `catalog::objects` |
//! | half-written object, corrupt byte | `damage::damage_in_the_store_*`, `damage::damaged_key_set_*` | `damage::publisher_without_newest_document_*` |
//! | region cut off for long | `regions::network_faults::cut_off_region_*`, `regions::network` | `simulation` (a month) |
//! | kill -9 | `kill::*` (reads between checks), `regions::chaos` (reads all after each kill) | `simulation`, `faults::stored` |
//! | power loss, torn file | `damage::local_damage_*` (what runs while files are torn) | `damage::damaged_segment_is_not_served_*`, `replica::restart` |
//! | disk full | `disk::*` | |
//! | two publishers | `publishers::two_nodes_share_syncs_*`, `regions::chaos` | `catalog::announcing::two_announcers_*`, `simulation` |
//! | two metadata databases on one store; an older or new database | | `databases` |
//! | key revoked; a region cut off keeps its keys, and a metric says how old they are | `regions::roles::rows_reach_*`, `regions::network_faults::cut_off_region_*` | `keys` |
//! | slow or hostile clients | `slow_clients` (2,000 good ones) | `read_slow`, `read_listener` |
//! | hostile bytes in the bucket | `damage::hostile_documents_*` | `src/fuzzing`, `replica::faults` |
//! | lost manifest, document or head | | `repair`, `replica::faults::announcements_arrive_*`, `damage::publisher_puts_the_newest_document_back_*` |
//! | a task of the node panics or ends | | `tasks` |
//! | no more processes or threads | `tasks::run_without_threads_*` (one reader) | `tasks` |
//! | SIGTERM | `read_shutdown::shutdown_resets_no_busy_connection` (busy connections), `signals::sigterm_*` (requests under way) | |

/// Every test or module that the table names exists.
#[test]
fn the_table_of_faults_names_existing_tests() {
    let list = std::process::Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let tests = String::from_utf8(list.stdout).unwrap();
    let rows = include_str!("mod.rs").lines().filter(|line| line.starts_with("//! | "));
    let named: Vec<&str> = rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|name| !name.contains('/'))
        .map(|name| name.trim_end_matches('*').trim_end_matches("::"))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let is_there = tests.lines().any(|test| format!("::{test}").contains(&format!("::{name}")));
        assert!(is_there, "{name}");
    }
}

mod damage;
mod databases;
mod disk;
mod keys;
mod kill;
mod outages;
mod publishers;
mod regions;
mod repair;
mod signals;
mod slow_clients;
mod stored;
mod tasks;
