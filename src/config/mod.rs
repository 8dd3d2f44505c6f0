//! Configuration: file, environment and flags become checked settings of every part.
