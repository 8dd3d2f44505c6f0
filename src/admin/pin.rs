//! Pinning one region to a version of a collection, while the others follow the newest.

use chrono::{DateTime, Utc};
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{ATTEMPTS_MAX, Principal, error::Error, listed, publisher::Publisher};
use crate::{
    catalog::{AnnounceError, Change},
    domain::{CatalogDocument, CollectionName, RegionName, Version},
};

/// A pin that was announced.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The collection.
    pub collection: CollectionName,
    /// The region.
    pub region: RegionName,
    /// The version that its nodes serve.
    pub version: Version,
    /// When the source had the content of that version.
    pub data_as_of: DateTime<Utc>,
    /// The newest version, which the other regions serve.
    pub newest: Version,
}

/// A pin that was removed.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpinned {
    /// The collection.
    pub collection: CollectionName,
    /// The region.
    pub region: RegionName,
    /// The version that it was pinned to.
    pub from: Version,
    /// The newest version, which its nodes serve again.
    pub version: Version,
}

impl Publisher {
    /// Pins a region to version `to` of a collection, in place of a pin that it has.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`]; [`Error::NotServedThere`] when the collection is not announced for this
    /// region.
    pub async fn pin(
        &self,
        name: &CollectionName,
        region: &RegionName,
        to: Version,
        principal: &Principal,
    ) -> Result<Pinned, Error> {
        let change = self.build_pin(name, region, to).await?;
        let act = self.announce_until_first(change, || self.build_pin(name, region, to).boxed());
        let done = self.audited(principal, "collection.pin", name, act, |pinned| {
            format!("{region} at {to}, the newest is {}", pinned.newest)
        });
        let done = done.await?;
        info!(collection = %name, %region, version = %to, "pinned");
        Ok(done)
    }

    /// Announces a change. When another announcement wins, `rebuild` makes the change on the newest document.
    /// Returns what came with the change that was announced.
    async fn announce_until_first<'a, T>(
        &self,
        (mut change, mut done): (Change, T),
        rebuild: impl Fn() -> BoxFuture<'a, Result<(Change, T), Error>>,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS_MAX {
            match self.announcer.announce(change).await {
                Ok(_) => return Ok(done),
                Err(AnnounceError::Superseded) => (change, done) = rebuild().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(AnnounceError::Superseded.into())
    }

    /// The change that adds the pin to the newest document.
    async fn build_pin(
        &self,
        name: &CollectionName,
        region: &RegionName,
        to: Version,
    ) -> Result<(Change, Pinned), Error> {
        let (document, present) = self.visible(name).await?;
        if !present.is_served_in(region) {
            return Err(Error::NotServedThere {
                collection: name.clone(),
                region: region.clone(),
                regions: listed(present.regions.iter().flatten().map(RegionName::as_str)),
            });
        }
        let (entry, manifest) = self.find_version((&document, &present), name, to).await?;
        let from = document.pin(region, name).map(|pinned| pinned.sha256);
        let pinned = Pinned {
            collection: name.clone(),
            region: region.clone(),
            version: to,
            data_as_of: manifest.data_as_of,
            newest: present.version,
        };
        let change = Change::Pin { region: region.clone(), name: name.clone(), from, entry };
        Ok((change, pinned))
    }

    /// Lets a pinned region follow the newest version again.
    ///
    /// # Errors
    /// [`Error::NotPinned`].
    pub async fn unpin(
        &self,
        name: &CollectionName,
        region: &RegionName,
        principal: &Principal,
    ) -> Result<Unpinned, Error> {
        let change = self.build_unpin(name, region).await?;
        let act = self.announce_until_first(change, || self.build_unpin(name, region).boxed());
        let done = self.audited(principal, "collection.unpin", name, act, |done| {
            format!("{region} from {}, the newest is {}", done.from, done.version)
        });
        let done = done.await?;
        info!(collection = %name, %region, version = %done.version, "unpinned");
        Ok(done)
    }

    /// The change that removes the pin from the newest document.
    async fn build_unpin(
        &self,
        name: &CollectionName,
        region: &RegionName,
    ) -> Result<(Change, Unpinned), Error> {
        let (document, present) = self.visible(name).await?;
        let Some(pinned) = document.pin(region, name) else {
            return Err(not_pinned(&document, name, region));
        };
        let change = Change::Unpin { region: region.clone(), name: name.clone(), from: pinned.sha256 };
        let (from, version) = (pinned.version, present.version);
        Ok((change, Unpinned { collection: name.clone(), region: region.clone(), from, version }))
    }
}

fn not_pinned(document: &CatalogDocument, name: &CollectionName, region: &RegionName) -> Error {
    let pins = listed(document.pins_of(name).map(|(region, _)| region.as_str()));
    Error::NotPinned { collection: name.clone(), region: region.clone(), pins }
}
