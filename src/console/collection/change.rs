//! The forms that change what is announced of a collection. Each says what it does, and carries the state that its
//! page shows: a form of another state is refused.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    super::{collection_path, form::STATE},
    CollectionPage,
};
use crate::domain::RegionName;

impl CollectionPage<'_> {
    fn open(&self, action: &str, content: &Markup) -> Markup {
        html! {
            form class="stack" method="post" action=(format!("{}/{action}", collection_path(&self.status.collection))) {
                input type="hidden" name=(STATE) value=(self.tag);
                (content)
            }
        }
    }

    /// Serves an earlier version again.
    pub(super) fn rollback(&self) -> Markup {
        let content = html! {
            p {
                "Announces the records of an earlier version again, under a new number, in every region without a pin. It also pauses the \
                 sync: its scheduled runs wait until you resume it."
            }
            (self.form.line("version", "Version to serve again", "One of the table above, but not the newest."))
            div { button { "Roll back" } }
        };
        html! {
            h2 id="rollback" { "Roll back" }
            (self.open("rollback", &content))
        }
    }

    /// Pins a region, and lets pinned ones go.
    pub(super) fn pins(&self) -> Markup {
        let regions: BTreeSet<&str> = match &self.status.regions {
            Some(regions) => regions.iter().map(RegionName::as_str).collect(),
            None => self.fleet.nodes.iter().map(|node| node.region.as_str()).collect(),
        };
        let known = regions.into_iter().collect::<Vec<_>>().join(", ");
        let hint = if known.is_empty() { "A region.".to_owned() } else { format!("One of: {known}.") };
        let content = html! {
            p { "Lets one region serve a version, while the others follow the newest. Runs go on." }
            (self.form.line("pin_region", "Region", &hint))
            (self.form.line("pin_version", "Version to pin it to", "One of the table above."))
            div { button { "Pin" } }
        };
        html! {
            h2 id="pins" { "Pins" }
            @for (region, version) in &self.status.pins {
                (self.open("unpin", &html! {
                    input type="hidden" name="region" value=(region);
                    p {
                        (region) " is pinned to version " (version) ". "
                        button class="quiet" { "Unpin " (region) }
                    }
                }))
            }
            (self.open("pin", &content))
        }
    }

    /// Ends the pause of the sync.
    pub(super) fn resume(&self) -> Markup {
        self.open(
            "resume",
            &html! {
                p { "The sync is paused. " button { "Resume the sync" } }
            },
        )
    }

    /// Drops the collection, once its name is entered.
    pub(super) fn drop_form(&self) -> Markup {
        let name = &self.status.collection;
        let content = html! {
            p {
                "Readers then see the collection as one that does not exist, in every region. Scheduled runs do not bring it \
                 back: that takes a run that an operator requests."
            }
            (self.form.line("name", "Name of the collection", &format!("Enter {name} to confirm.")))
            div { button class="danger" { "Drop " (name) } }
        };
        html! {
            h2 id="drop" { "Drop" }
            (self.open("drop", &content))
        }
    }
}
