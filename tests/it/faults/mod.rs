//! Faults: processes are killed, files damaged, databases taken away, and readers must not notice.

mod damage;
mod disk;
mod gone;
mod keys;
mod kill;
mod publishers;
mod regions;
mod signals;
mod slow_clients;
