//! What a part declares about its section of the configuration.

/// A top-level section, as the part that reads it declares it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declaration {
    /// Its name: `server` for `[server]`.
    pub(crate) name: &'static str,
    /// Whether a change takes effect only after a restart.
    pub(crate) needs_restart: bool,
    /// Of a section of named things: the table below `[defaults]` whose keys each of them takes over.
    pub(crate) defaults: Option<&'static str>,
    /// Keys of which a thing has one at most. One of its own replaces a default for any other of them.
    pub(crate) alternatives: &'static [&'static str],
}

impl Declaration {
    /// A section that is read when a node starts.
    pub(crate) const fn read_at_start(name: &'static str) -> Self {
        Self { name, needs_restart: true, defaults: None, alternatives: &[] }
    }

    /// A section of named things that a running node takes over.
    pub(crate) const fn reloadable(name: &'static str) -> Self {
        Self { name, needs_restart: false, defaults: None, alternatives: &[] }
    }
}
