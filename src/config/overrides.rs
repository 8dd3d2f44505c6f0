//! The few keys that flags and `LARDER_*` variables may set: flag over variable over file.

use crate::settings::Environment;

/// Values of command-line flags; `None` where a flag was not given. Relative paths among them are
/// from the working directory.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `node.region`
    pub region: Option<String>,
    /// `node.roles`, separated by commas
    pub roles: Option<String>,
    /// `node.data_dir`
    pub data_dir: Option<String>,
    /// `server.listen`
    pub listen: Option<String>,
    /// `server.admin_listen`
    pub admin_listen: Option<String>,
    /// `server.public_url`
    pub public_url: Option<String>,
    /// `storage.url`
    pub storage_url: Option<String>,
    /// `metadata.url`
    pub metadata_url: Option<String>,
    /// `log.filter`
    pub log: Option<String>,
    /// `log.format`
    pub log_format: Option<String>,
}

/// One key that can be overridden.
pub struct Override {
    /// The section.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// The environment variable. An empty value counts as absent.
    pub variable: &'static str,
    /// The flag, for messages.
    pub flag: &'static str,
    flag_value: fn(&Overrides) -> Option<&str>,
}

macro_rules! overrides {
    ($($section:literal $key:literal $variable:literal $flag:literal $field:ident,)*) => {
        &[$(Override {
            section: $section,
            key: $key,
            variable: $variable,
            flag: $flag,
            flag_value: |overrides| overrides.$field.as_deref(),
        },)*]
    };
}

/// Every key that can be overridden; `docs/configuration.md` has the same table. Other variables
/// that begin with `LARDER_` are left alone: Kubernetes sets some for a service called `larder`.
pub const OVERRIDES: &[Override] = overrides! {
    "node" "region" "LARDER_REGION" "--region" region,
    "node" "roles" "LARDER_ROLES" "--roles" roles,
    "node" "data_dir" "LARDER_DATA_DIR" "--data-dir" data_dir,
    "server" "listen" "LARDER_LISTEN" "--listen" listen,
    "server" "admin_listen" "LARDER_ADMIN_LISTEN" "--admin-listen" admin_listen,
    "server" "public_url" "LARDER_PUBLIC_URL" "--public-url" public_url,
    "storage" "url" "LARDER_STORAGE_URL" "--storage-url" storage_url,
    "metadata" "url" "LARDER_METADATA_URL" "--metadata-url" metadata_url,
    "log" "filter" "LARDER_LOG" "--log" log,
    "log" "format" "LARDER_LOG_FORMAT" "--log-format" log_format,
};

/// Where an override's value came from.
pub(super) enum Given<'a> {
    Flag(&'a str),
    Variable(&'a str),
}

impl Override {
    /// The value that overrides the file's, if any.
    pub(super) fn given<'a>(&self, env: &'a Environment, overrides: &'a Overrides) -> Option<Given<'a>> {
        if let Some(value) = (self.flag_value)(overrides) {
            return Some(Given::Flag(value));
        }
        env.get(self.variable).filter(|value| !value.is_empty()).map(Given::Variable)
    }
}
