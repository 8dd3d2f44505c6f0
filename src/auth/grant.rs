//! What the caller of a request may read.

use std::collections::BTreeMap;

use crate::domain::{
    fields::{FieldLimit, FieldSelection},
    keyset::{KeyEntry, Scope},
    name::{CollectionName, IndexName},
};

/// What a key or a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    scope: Scope,
    /// The same in every collection of the scope, but for some.
    rights: CollectionGrant,
    /// In the collections that have fields of their own.
    exceptions: BTreeMap<String, CollectionGrant>,
    /// Collections whose records a caller that is bound to one record gets by includes only.
    included: Vec<CollectionName>,
    included_rights: CollectionGrant,
}

/// What a caller may read in one collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectionGrant {
    pub(super) indexes: Option<Vec<IndexName>>,
    pub(super) fields: Option<FieldSelection>,
    pub(super) record: Option<(IndexName, String)>,
}

impl Grant {
    /// The grant of a key.
    pub fn of_key(key: &KeyEntry) -> Self {
        let rights = |fields: Option<&FieldLimit>| CollectionGrant {
            indexes: key.limits.indexes.clone(),
            fields: fields.map(FieldLimit::selection),
            record: None,
        };
        let own = key.limits.collection_fields.iter();
        let exceptions = own.map(|(name, fields)| (name.to_string(), rights(Some(fields)))).collect();
        Self { exceptions, ..Self::new(key.grant.clone(), rights(key.limits.fields.as_ref())) }
    }

    /// `rights` in every collection of `scope`.
    pub(super) fn new(scope: Scope, rights: CollectionGrant) -> Self {
        Self {
            scope,
            rights,
            exceptions: BTreeMap::new(),
            included: Vec::new(),
            included_rights: CollectionGrant::default(),
        }
    }

    /// Also opens these collections for includes.
    pub(super) fn with_included(mut self, included: Vec<CollectionName>) -> Self {
        self.included_rights.fields.clone_from(&self.rights.fields);
        self.included = included;
        self
    }

    /// What the caller may read in `collection`; `None` if it may not look anything up there.
    pub fn collection(&self, collection: &str) -> Option<&CollectionGrant> {
        self.scope.opens(collection).then(|| self.rights(collection))
    }

    /// What the caller may read in `collection`, if it opens that.
    pub fn rights(&self, collection: &str) -> &CollectionGrant {
        self.exceptions.get(collection).unwrap_or(&self.rights)
    }

    /// What the caller may read of records of `collection` that another record includes; `None` if nothing. A caller
    /// that is bound to one record may read only what its token's issuer opens for includes.
    pub fn included(&self, collection: &str) -> Option<&CollectionGrant> {
        let is_included = self.included.iter().any(|name| name.as_str() == collection);
        match &self.rights.record {
            _ if is_included => Some(&self.included_rights),
            Some(_) => None,
            None => self.collection(collection),
        }
    }

    /// Whether every collection is open, so that the caller may learn which ones exist.
    pub const fn opens_everything(&self) -> bool {
        matches!(self.scope, Scope::AllCollections)
    }
}

impl CollectionGrant {
    /// Whether the caller may look values up in `index`.
    pub fn allows_index(&self, index: &str) -> bool {
        let is_listed = |names: &Vec<IndexName>| names.iter().any(|name| name.as_str() == index);
        self.indexes.as_ref().is_none_or(is_listed)
            && self.record.as_ref().is_none_or(|(name, _)| name.as_str() == index)
    }

    /// The fields that the caller may read; `None` is all.
    pub const fn fields(&self) -> Option<&FieldSelection> {
        self.fields.as_ref()
    }

    /// The only record that the caller may read: the one that has this value in this index. The value is not normalised.
    pub fn record(&self) -> Option<(&IndexName, &str)> {
        self.record.as_ref().map(|(index, value)| (index, value.as_str()))
    }
}
