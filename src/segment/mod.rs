//! The segment file: an immutable Arrow IPC file of records, compressed one by one.
