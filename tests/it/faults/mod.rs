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
//! | kill -9 | `kill::*` (reads between checks), `regions::chaos` (reads all after each kill) | `simulation` |
//! | power loss, torn file | `damage::local_damage_*` (what runs while files are torn) | `damage::damaged_segment_is_not_served_*`, `replica::restart` |
//! | disk full | `disk::*` | |
//! | two publishers | `publishers::two_nodes_share_syncs_*`, `regions::chaos` | `catalog::announcing::two_announcers_*`, `simulation` |
//! | key revoked; a region cut off keeps its keys, and a metric says how old they are | `regions::roles::rows_reach_*`, `regions::network_faults::cut_off_region_*` | `keys` |
//! | slow or hostile clients | `slow_clients` (2,000 good ones) | `read_slow`, `read_listener` |
//! | hostile bytes in the bucket | `damage::hostile_documents_*` | `src/fuzzing`, `replica::faults` |
//! | lost manifest, document or head | | `repair`, `replica::faults::announcements_arrive_*` |
//! | a task of the node panics or ends | | `tasks` |
//! | no more processes or threads | `tasks::run_without_threads_*` (one reader) | `tasks` |
//! | SIGTERM | `read_listener::shutdown_resets_no_busy_connection` (busy connections), `signals::sigterm_*` (requests under way) | |

mod damage;
mod disk;
mod keys;
mod kill;
mod outages;
mod publishers;
mod regions;
mod repair;
mod signals;
mod slow_clients;
mod tasks;
