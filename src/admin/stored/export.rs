//! The configuration as a file, without its secrets.

use serde::{Deserialize, Serialize};

use crate::{admin::Configuration, settings::Fault};

/// Sources, models, syncs and all other sections as a file, stored entries included.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The file. In place of each secret it has a variable.
    pub toml: String,
    /// The variables of the file.
    pub variables: Vec<ExportedVariable>,
    /// Faults of the stored entries that are left out.
    pub left_out: Vec<Fault>,
}

/// A variable that must be set where the file is used.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedVariable {
    /// Its name.
    pub name: String,
    /// The keys that need it.
    pub keys: Vec<String>,
}

impl Configuration {
    /// The configuration as a file, without the stored entries that are not in force.
    pub fn export(&self) -> Exported {
        let left_out = self.stored.values().flat_map(|state| state.faults.iter().cloned()).collect();
        Exported { left_out, ..self.exported.clone() }
    }
}
