//! `[node]`: what a node is. The section of `config` itself: roles decide which others are needed.

use std::path::{Path, PathBuf};

use crate::{
    domain::{Label, RegionName},
    settings::{Declaration, Item, Section, Value},
};

/// Fewest bytes of local segments: for one segment of the usual size, and a change.
const SEGMENTS_BYTES_MIN: u64 = 32_000_000;
/// Most bytes of local segments, 1 PB: more than any disk.
const SEGMENTS_BYTES_MAX: u64 = 1_000_000_000_000_000;

/// `[node]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// The region this node serves.
    pub region: RegionName,
    /// What people call it; the machine's name unless the file has another.
    pub name: Label,
    /// What this node does; at least one role, none twice.
    pub roles: Vec<Role>,
    /// Local segments, and the state as last served.
    pub data_dir: PathBuf,
    /// Most bytes of local segments.
    pub segments_bytes_max: u64,
}

impl NodeSettings {
    /// The section of these settings.
    pub(super) const SECTION: Declaration = Declaration::read_at_start("node");

    /// Whether the node has `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Reads `[node]`; a relative path is from `dir`.
    pub(super) fn read(section: &Section<'_>, dir: &Path) -> Option<Self> {
        let region = section.set("region").and_then(|item| item.name(RegionName::new));
        let roles = section.set("roles").and_then(|item| roles(&item));
        let name = section.read("name", |item| item.name(Label::new));
        let data_dir = section.set("data_dir").and_then(|item| item.file_path(dir));
        let segments = section.set("segments_bytes_max");
        let segments = segments.and_then(|item| item.size(SEGMENTS_BYTES_MIN..=SEGMENTS_BYTES_MAX));
        let name = name?.unwrap_or_else(host_name);
        Some(Self {
            region: region?,
            name,
            roles: roles?,
            data_dir: data_dir?,
            segments_bytes_max: segments?,
        })
    }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Runs syncs and announces.
    Publisher,
    /// Follows the catalog and serves.
    Replica,
}

/// The machine's name; a container's is what its orchestrator calls it.
fn host_name() -> Label {
    Label::fitted(&rustix::system::uname().nodename().to_string_lossy())
}

/// An array of roles, or text with commas as a variable has it.
fn roles(item: &Item<'_>) -> Option<Vec<Role>> {
    let all = [Role::Publisher, Role::Replica].map(|role| (role.into(), role));
    let roles = match &item.node.value {
        Value::String(text) if text.value.contains(',') => {
            let parse = |word: &str| {
                let role = all.iter().find(|(name, _)| *name == word.trim());
                role.map(|(_, role)| *role).ok_or_else(|| "write \"publisher,replica\"".to_owned())
            };
            item.parsed("a list of roles", |text| {
                let roles = text.split(',').map(parse).collect::<Result<Vec<Role>, _>>()?;
                let is_twice = |(at, role)| roles[..at].contains(role);
                if roles.iter().enumerate().any(is_twice) {
                    return Err("name each role once".to_owned());
                }
                Ok(roles)
            })?
        }
        _ => item.list(|item| item.one_of(&all))?,
    };
    if roles.is_empty() {
        return item.fail("names no role", "a node is \"publisher\", \"replica\" or both".to_owned());
    }
    Some(roles)
}
