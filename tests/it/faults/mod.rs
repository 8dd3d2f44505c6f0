//! Faults: processes are killed, files damaged, databases taken away, and readers must not notice.
//!
//! What may fail, and the tests in which it does while a [`Reader`](crate::support::reader::Reader), or the
//! load that is named, reads all the time: every answer is a record of an announced version, versions do not
//! go back, and nothing else than a record is ever answered.
//!
//! | fault | tests under load | more, without one |
//! |---|---|---|
//! | warehouse down | `gone::without_the_warehouse_server_*`, `gone::without_the_warehouse_file_*` | |
//! | warehouse slow, wrong password, query error, changed columns | `gone::a_warehouse_that_fails_in_any_way_*` | `source_postgres::errors` |
//! | type changed while a run reads | | `source_postgres::errors::changed_columns_*` |
//! | metadata database down | `gone::without_metadata_in_postgres_*`, `gone::without_the_metadata_file_*` | `metadata::postgres` |
//! | object store down, slow, throttling | `regions::weather::*` | `replica::faults`, `catalog::objects` |
//! | half-written object, corrupt byte | `damage::damage_in_the_store_*`, `damage::a_damaged_key_set_*` | `damage::a_publisher_does_not_build_on_damage` |
//! | region cut off for long | `regions::weather::a_region_that_is_cut_off_*`, `regions::network` | `simulation` (a month) |
//! | kill -9 | `kill::*` (reads between looks), `regions::chaos` (reads all after each kill) | `simulation` |
//! | power loss, torn file | `damage::local_damage_*` (what runs while files are torn) | `damage::without_store_*`, `replica::restart` |
//! | disk full | `disk::*` | |
//! | two publishers | `publishers::two_nodes_share_syncs_*`, `regions::chaos` | `catalog::announcing::two_announcers_*`, `simulation` |
//! | key revoked; a region cut off keeps its keys, and a metric says how old they are | `regions::roles::rows_travel_*`, `regions::weather::a_region_that_is_cut_off_*` | `keys` |
//! | slow or hostile clients | `slow_clients` (2,000 good ones) | `read_slow`, `read_listener` |
//! | hostile bytes in the bucket | `damage::hostile_documents_*` | `src/fuzzing`, `replica::faults` |
//! | a task of the node panics or ends | | `tasks` |
//! | no more processes or threads | `tasks::a_run_without_threads_*` (one reader) | `tasks` |
//! | SIGTERM | `read_listener::shutdown_resets_no_busy_connection` (busy connections), `signals::sigterm_*` (requests under way) | |

mod damage;
mod disk;
mod gone;
mod keys;
mod kill;
mod publishers;
mod regions;
mod signals;
mod slow_clients;
mod tasks;
