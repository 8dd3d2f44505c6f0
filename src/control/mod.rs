//! Use-cases shared by commands and the admin API.
