//! `manifest.json` of dbt, versions 9 to 12, as far as it is needed: which relation or SQL a model is, and its key.
//!
//! SQL texts and columns stay unparsed until one of them is wanted: a manifest has thousands of nodes.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{invocation::Stamp, settings::Selector};
use crate::{domain::CollectionName, model::error::Error, settings::nearest};

/// Kinds of nodes that have rows.
const READABLE: [&str; 3] = ["model", "seed", SNAPSHOT];
const SNAPSHOT: &str = "snapshot";
/// The column of a snapshot that tells versions of rows apart, unless its configuration renames it.
const SNAPSHOT_KEY: &str = "dbt_scd_id";

/// A manifest.
#[derive(Deserialize)]
pub(super) struct Manifest<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    nodes: BTreeMap<String, Node<'a>>,
    #[serde(borrow, default)]
    disabled: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    adapter_type: Option<String>,
    #[serde(default)]
    generated_at: String,
    invocation_id: Option<String>,
}

/// A node of the project: a model, a seed, a snapshot, a test.
#[derive(Deserialize)]
pub(super) struct Node<'a> {
    resource_type: String,
    name: String,
    alias: Option<String>,
    relation_name: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// A number or a text.
    version: Option<serde_json::Value>,
    latest_version: Option<serde_json::Value>,
    #[serde(borrow)]
    compiled_code: Option<&'a RawValue>,
    primary_key: Option<Vec<String>>,
    #[serde(borrow)]
    columns: Option<&'a RawValue>,
    #[serde(default)]
    constraints: Option<Vec<Constraint>>,
    #[serde(default)]
    config: NodeConfig,
    /// Of a test: the node that it is of.
    #[serde(rename = "attached_node")]
    tested: Option<String>,
    column_name: Option<String>,
    test_metadata: Option<TestMetadata>,
    #[serde(default)]
    depends_on: DependsOn,
}

/// What a node is made of.
#[derive(Deserialize, Default)]
struct DependsOn {
    /// Ids of nodes and sources.
    #[serde(default)]
    nodes: Vec<String>,
}

#[derive(Deserialize, Default)]
struct NodeConfig {
    materialized: Option<String>,
    unique_key: Option<OneOrMany>,
    /// Of a snapshot: the names of the columns that dbt adds.
    #[serde(default)]
    snapshot_meta_column_names: Option<SnapshotColumns>,
    /// Of a test: the rows that it tests.
    #[serde(rename = "where")]
    condition: Option<String>,
}

#[derive(Deserialize)]
struct SnapshotColumns {
    dbt_scd_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Constraint {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    columns: Vec<String>,
}

#[derive(Deserialize)]
struct TestMetadata {
    name: String,
}

impl Node<'_> {
    fn is_readable(&self) -> bool {
        READABLE.contains(&&*self.resource_type)
    }

    /// Whether dbt builds nothing for it: its SQL becomes a part of other models.
    pub(super) fn is_ephemeral(&self) -> bool {
        self.config.materialized.as_deref() == Some("ephemeral")
    }

    /// Whether `name` is its name, with `.v2` behind it for one of several versions.
    fn is_named(&self, name: &str) -> bool {
        let versioned = || self.version.as_ref().map(|version| format!("{}.v{}", self.name, plain(version)));
        self.name == name || versioned().is_some_and(|versioned| versioned == name)
    }

    fn is_latest(&self) -> bool {
        match (&self.version, &self.latest_version) {
            (Some(version), Some(latest)) => plain(version) == plain(latest),
            _ => true,
        }
    }
}

/// A version as names have it.
fn plain(version: &serde_json::Value) -> String {
    version.as_str().map_or_else(|| version.to_string(), str::to_owned)
}

impl<'a> Manifest<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(super) fn adapter(&self) -> &str {
        self.metadata.adapter_type.as_deref().unwrap_or("an unknown database")
    }

    /// Whether it is of the command that `stamp` is of, or of a later one, such as `dbt docs generate` after a build. Without an id or a
    /// time on either side nothing says that it is older.
    pub(super) fn is_as_new_as(&self, stamp: &Stamp) -> bool {
        let Metadata { invocation_id, generated_at, .. } = &self.metadata;
        if invocation_id.as_deref().is_none_or(|id| id == &*stamp.id) {
            return true;
        }
        let times = [generated_at, &*stamp.generated_at].map(DateTime::parse_from_rfc3339);
        let [Ok(of_manifest), Ok(of_results)] = times else { return true };
        of_manifest > of_results
    }

    /// When it was generated, for people.
    pub(super) fn generated_at(&self) -> &str {
        &self.metadata.generated_at
    }

    /// A node; of an ephemeral one, which dbt does not build, also the nodes that it is made of, up to those that dbt builds.
    pub(super) fn parts<'s>(&'s self, id: &'s str) -> BTreeMap<&'s str, &'s Node<'a>> {
        let (mut parts, mut open) = (BTreeMap::new(), vec![id]);
        while let Some(id) = open.pop() {
            // Sources are no nodes.
            let Some(node) = self.nodes.get(id) else { continue };
            if parts.insert(id, node).is_none() && node.is_ephemeral() {
                open.extend(node.depends_on.nodes.iter().map(String::as_str));
            }
        }
        parts
    }

    /// The tests of a node, by their ids.
    pub(super) fn tests_of<'s>(&'s self, id: &'s str) -> impl Iterator<Item = (&'s str, &'s Node<'a>)> {
        let is_of = move |node: &Node<'_>| node.tested.as_deref() == Some(id);
        self.nodes.iter().filter(move |(_, node)| is_of(node)).map(|(id, node)| (id.as_str(), node))
    }

    /// The same with the name of its project, which errors tell.
    pub(super) fn named<'s>(&'s self, project: &'s str) -> NamedManifest<'s, 'a> {
        NamedManifest { manifest: self, project }
    }

    fn readable(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.nodes.iter().filter(|(_, node)| node.is_readable()).map(|(id, node)| (id.as_str(), node))
    }
}

/// A manifest and the name of `[dbt.NAME]`.
pub(super) struct NamedManifest<'s, 'a> {
    manifest: &'s Manifest<'a>,
    project: &'s str,
}

impl<'s, 'a> NamedManifest<'s, 'a> {
    /// The node that the model names for `sync`, and its id.
    pub(super) fn find(
        &self,
        selector: &Selector,
        sync: &CollectionName,
    ) -> Result<(&'s str, &'s Node<'a>), Error> {
        match selector {
            Selector::Name(name) => self.find_named(name),
            Selector::Tag(tag) => {
                let (id, node) = self.find_named(sync.as_str())?;
                if node.tags.contains(tag) {
                    return Ok((id, node));
                }
                let tagged = self.manifest.readable().filter(|(_, node)| node.tags.contains(tag));
                let tagged: Vec<&str> = tagged.map(|(_, node)| node.name.as_str()).collect();
                Err(Error::DbtTagMissing {
                    project: self.project.to_owned(),
                    name: sync.to_string(),
                    tag: tag.clone(),
                    tagged: if tagged.is_empty() { "none".to_owned() } else { tagged.join(", ") },
                })
            }
        }
    }

    fn find_named(&self, name: &str) -> Result<(&'s str, &'s Node<'a>), Error> {
        let manifest = self.manifest;
        if let Some((id, node)) = manifest.nodes.get_key_value(name).filter(|(_, node)| node.is_readable()) {
            return Ok((id, node));
        }
        let named: Vec<_> = manifest.readable().filter(|(_, node)| node.is_named(name)).collect();
        let latest: Vec<_> = named.iter().copied().filter(|(_, node)| node.is_latest()).collect();
        match (named.as_slice(), latest.as_slice()) {
            ([found], _) | (_, [found]) => Ok(*found),
            ([], _) => Err(self.absent(name)),
            _ => {
                let ids: Vec<String> = named.iter().map(|(id, _)| format!("dbt = {id:?}")).collect();
                Err(Error::DbtModelAmbiguous {
                    project: self.project.to_owned(),
                    name: name.to_owned(),
                    ids: ids.join(", "),
                })
            }
        }
    }

    /// Why there is no model of this name.
    fn absent(&self, name: &str) -> Error {
        let (manifest, project, name) = (self.manifest, self.project.to_owned(), name.to_owned());
        let is_disabled = |id: &String| *id == name || id.rsplit('.').next() == Some(&name);
        // `model.shop.customers` is an id of one package; a model of another one with the same name is no renamed one.
        let package = name.split('.').nth(1).filter(|_| name.split('.').count() > 2);
        if manifest.disabled.keys().any(is_disabled) {
            return Error::DbtModelDisabled { project, name };
        }
        let short = name.rsplit('.').next().unwrap_or_default();
        let is_renamed = |(id, node): &(&str, &Node<'_>)| {
            node.alias.as_deref() == Some(short)
                && node.name != short
                && package.is_none_or(|package| id.split('.').nth(1) == Some(package))
        };
        if let Some((_, Node { name: now, .. })) = manifest.readable().find(is_renamed) {
            return Error::DbtModelRenamed { project, name, now: now.clone() };
        }
        let names = manifest.readable().map(|(id, node)| package.map_or(node.name.as_str(), |_| id));
        let wanted = package.map_or(short, |_| &*name);
        let near = nearest::nearest(wanted, names).map(|near| format!("; the most similar one is {near:?}"));
        let generated_at = manifest.metadata.generated_at.clone();
        Error::DbtModelMissing { project, name, generated_at, near: near.unwrap_or_default() }
    }

    /// Checks that dbt knows `key` as the primary key of a node.
    pub(super) fn check_key(&self, id: &str, node: &Node<'_>, key: &str) -> Result<(), Error> {
        let name = node.name.clone();
        let keys = self.keys(id, node);
        // Warehouses differ in the case of names that nobody quotes.
        if keys.iter().any(|columns| matches!(&**columns, [column] if column.eq_ignore_ascii_case(key))) {
            return Ok(());
        }
        if keys.is_empty() {
            return Err(Error::DbtPrimaryKeyUnknown { name });
        }
        let quoted = |columns: &Vec<String>| {
            columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ")
        };
        let mut found = keys.iter().map(quoted).collect::<Vec<_>>().join(" or ");
        if node.resource_type == SNAPSHOT {
            found.push_str(" (a snapshot has a row for each version of a row; docs/models.md shows how to read the current ones)");
        }
        Err(Error::DbtPrimaryKeyMismatch { name, column: key.to_owned(), found })
    }

    /// What dbt knows as keys, each with its columns. Of a snapshot, the id of a version. Else the primary key among the constraints; the
    /// unique key of an incremental model; the columns that version 12 of the manifest infers from tests; and the columns that are
    /// tested as unique and not null. Each column with tests of its own is a key.
    fn keys(&self, id: &str, node: &Node<'_>) -> Vec<Vec<String>> {
        let config = &node.config;
        if node.resource_type == SNAPSHOT {
            let renamed =
                config.snapshot_meta_column_names.as_ref().and_then(|names| names.dbt_scd_id.clone());
            return vec![vec![renamed.unwrap_or_else(|| SNAPSHOT_KEY.to_owned())]];
        }
        let columns = constrained(node);
        if !columns.is_empty() {
            return vec![columns];
        }
        let of = |test: &str| {
            let is_test = |node: &&Node<'_>| {
                node.test_metadata.as_ref().is_some_and(|it| it.name == test)
                    && node.config.condition.is_none()
            };
            let tests = self.manifest.tests_of(id).map(|(_, node)| node).filter(is_test);
            tests.filter_map(|node| node.column_name.clone()).collect::<Vec<_>>()
        };
        let not_null = of("not_null");
        let mut tested = of("unique");
        tested.retain(|column| not_null.contains(column));
        let stated = node.primary_key.clone().unwrap_or_default();
        if stated.len() > 1 && stated.iter().all(|column| tested.contains(column)) {
            return tested.into_iter().map(|column| vec![column]).collect();
        }
        if !stated.is_empty() {
            return vec![stated];
        }
        match &config.unique_key {
            Some(OneOrMany::One(column)) => vec![vec![column.clone()]],
            Some(OneOrMany::Many(columns)) if !columns.is_empty() => vec![columns.clone()],
            _ => tested.into_iter().map(|column| vec![column]).collect(),
        }
    }

    /// The SQL that reads a node.
    pub(super) fn sql(&self, node: &Node<'_>) -> Result<String, Error> {
        if let Some(relation) = node.relation_name.as_deref().filter(|name| !name.is_empty()) {
            return Ok(format!("select * from {relation}"));
        }
        let compiled = node.compiled_code.and_then(|code| serde_json::from_str::<String>(code.get()).ok());
        let compiled = compiled.map(|code| code.trim().trim_end_matches(';').to_owned());
        compiled.filter(|code| !code.is_empty()).ok_or_else(|| Error::DbtNotCompiled {
            project: self.project.to_owned(),
            name: node.name.clone(),
        })
    }
}

/// The columns of the primary key among the constraints of a node and of its columns.
fn constrained(node: &Node<'_>) -> Vec<String> {
    const PRIMARY_KEY: &str = "primary_key";
    #[derive(Deserialize)]
    struct Column {
        name: String,
        #[serde(default)]
        constraints: Vec<Constraint>,
    }
    let of_node = node.constraints.iter().flatten().find(|it| it.kind == PRIMARY_KEY);
    if let Some(constraint) = of_node {
        return constraint.columns.clone();
    }
    let columns = node.columns.map(|columns| serde_json::from_str::<BTreeMap<String, Column>>(columns.get()));
    let columns = columns.and_then(Result::ok).unwrap_or_default();
    let is_key = |column: &Column| column.constraints.iter().any(|it| it.kind == PRIMARY_KEY);
    columns.into_values().filter(is_key).map(|column| column.name).collect()
}
