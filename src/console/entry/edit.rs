//! The form of a source, model or sync.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    super::{
        assets::ENTRY,
        form::{Form, STATE, script},
        layout::{Visitor, page},
        notice::Refusal,
        table::link,
        words::age,
    },
    beside::{Beside, COLUMNS},
    entry_path,
    indexes::indexes,
    inputs::{Input, KEPT, Kind, MISS_RECORD, NAME, ON_MISS, OTHER, TYPE, inputs},
    mapper::mapper,
    new_path, section_path, toml,
};
use crate::{
    admin::{Fault, QUESTIONS, StoredView, about, type_names},
    domain::{StoredName, StoredSection},
};

/// The id of the form, by which buttons beside it send it.
pub(super) const FORM: &str = "entry";

/// The page that asks for the type of a new source.
#[derive(Debug)]
pub struct NewSourcePage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
}

impl NewSourcePage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let asked = QUESTIONS.iter().map(|(name, _)| *name);
        let others = type_names().filter(|name| !QUESTIONS.iter().any(|(asked, _)| asked == name));
        let content = html! {
            p { "Where are the rows? Larder only reads." }
            ul { @for name in asked.chain(others) {
                li { a href=(link(&new_path(StoredSection::Sources), &[("type", name)])) { (name) } " " span class="quiet" { (about(name)) } }
            } }
        };
        page("Add a source", Some(self.visitor), &content)
    }
}

/// What the page shows.
#[derive(Debug)]
pub struct EditPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The section.
    pub section: StoredSection,
    /// The entry that is edited; `None` of a new one.
    pub entry: Option<&'a StoredName>,
    /// The names of the configured sources, or models.
    pub names: &'a [String],
    /// The stored secrets that are URLs: each key, and what of the URL may be shown.
    pub addresses: &'a [(String, String)],
    /// The form.
    pub form: Form<'a>,
    /// Faults of other entries, which the change would cause.
    pub elsewhere: &'a [Fault],
    /// The newest version, if somebody has stored it since the form was loaded.
    pub newest: Option<&'a StoredView>,
    /// Whether the form was checked, and has no fault.
    pub is_sound: bool,
    /// Why the form was refused as a whole.
    pub refusal: Option<Refusal>,
    /// What stands beside the form.
    pub beside: &'a Beside,
    /// The time.
    pub now: DateTime<Utc>,
}

impl EditPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let one = self.section.singular();
        let heading = match self.entry {
            Some(entry) => format!("Edit {one} {}", entry.name),
            None => format!("Add a {one}"),
        };
        let (action, back) = match self.entry {
            Some(entry) => (format!("{}/edit", entry_path(entry)), entry_path(entry)),
            None => (new_path(self.section), section_path(self.section)),
        };
        let content = html! {
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            @if let (Some(newest), Some(entry)) = (self.newest, self.entry) { (overtaken(entry, newest, self.now)) }
            @if !self.elsewhere.is_empty() {
                p class="notice fault" role="alert" { "Nothing was changed: other parts of the configuration would have faults." }
                ul class="problems" { @for fault in self.elsewhere { li class="notice fault" { (fault) } } }
            }
            @if self.is_sound { p class="notice" role="status" { "The settings have no fault. They are not saved yet." } }
            div class="with-beside" {
                (self.form(&action, &back))
                @match self.section {
                    StoredSection::Sources => (self.beside.of_source(&action)),
                    StoredSection::Models => (self.beside.of_model(self.form.fields, &action)),
                    StoredSection::Syncs => (self.beside.of_sync(self.form.fields, &action, self.now)),
                }
            }
            @if self.section == StoredSection::Syncs { script type="module" src=(ENTRY.path()) {} }
            (script())
        };
        page(&heading, Some(self.visitor), &content)
    }

    fn form(&self, action: &str, back: &str) -> Markup {
        let source_type = self.form.fields.text(TYPE);
        html! {
            form id=(FORM) class="stack" method="post" action=(action) {
                // The button of the key Enter is the first one of a form.
                button class="unseen" name="act" value="save" tabindex="-1" aria-hidden="true" { "Save" }
                (self.form.head())
                input type="hidden" name=(STATE) value=(self.form.fields.text(STATE));
                @if self.section == StoredSection::Sources {
                    input type="hidden" name=(TYPE) value=(source_type);
                    p { "Type: " strong { (source_type) } }
                }
                @if self.entry.is_none() { (self.form.line(NAME, "Name", self.name_hint())) }
                (self.beside.columns())
                @for input in inputs(self.section, source_type) { (self.input(&input)) }
                (self.form.code(OTHER, "Other settings", "Settings without a field of their own, as lines of TOML. docs/configuration.md and \
                    docs/sources.md have all keys."))
                div class="row" {
                    button name="act" value="save" { "Save" }
                    button class="quiet" name="act" value="check" { "Check without saving" }
                    a href=(back) { "Cancel" }
                }
            }
        }
    }

    fn name_hint(&self) -> &'static str {
        match self.section {
            StoredSection::Syncs => {
                "The name of the collection in URLs: letters, digits, _ and -, the first a letter or a digit."
            }
            StoredSection::Sources | StoredSection::Models => {
                "Letters, digits, _ and -, the first a letter or a digit."
            }
        }
    }

    /// What a field without a value keeps.
    fn kept(&self, key: &str) -> String {
        match self.addresses.iter().find(|(known, _)| known == key) {
            Some((_, address)) => format!(
                "Leave the field empty to keep the stored URL: {address}, with its user and password."
            ),
            None => "A secret is stored. Leave the field empty to keep it.".to_owned(),
        }
    }

    fn input(&self, input: &Input) -> Markup {
        let Input { key, label, hint, kind } = *input;
        let (form, names) = (self.form, self.names.iter().map(|name| (&**name, &**name)));
        match kind {
            Kind::Text => form.sql(key, label, hint),
            Kind::Choice(options) | Kind::Flag(options) => form.select(key, label, hint, options),
            Kind::Column => form.suggested(COLUMNS, key, label, hint),
            Kind::Indexes => indexes(form, key, label, hint),
            Kind::Fields => mapper(form, key, label, hint),
            Kind::Miss => html! {
                (form.select(key, label, hint, ON_MISS))
                (form.code(MISS_RECORD, "Record without a match", "Only with the answer that says so: a JSON object, such as {\"found\": false}."))
            },
            Kind::Source | Kind::Model => {
                let options: Vec<_> = std::iter::once(("", "Choose one")).chain(names).collect();
                form.select(key, label, hint, &options)
            }
            Kind::Line | Kind::Password | Kind::List if form.fields.has(KEPT, key) => html! {
                input type="hidden" name=(KEPT) value=(key);
                (form.password(key, label, &self.kept(key)))
            },
            Kind::Password => form.password(key, label, hint),
            Kind::Line | Kind::List | Kind::Share => form.line(key, label, hint),
        }
    }
}

/// That somebody else has stored a version since the form was loaded, and what that version has.
fn overtaken(entry: &StoredName, newest: &StoredView, now: DateTime<Utc>) -> Markup {
    let one = entry.section.singular();
    html! {
        div class="notice fault" role="alert" {
            p {
                "Nothing was saved: " strong { (newest.author) } " has changed this " (one) " " (age(Some(newest.created_at), now))
                ", after you opened the form. All that you entered is still in the form."
            }
            @if let Some(settings) = newest.settings.as_ref().and_then(|settings| settings.as_object()) {
                p {
                    "Compare it with the settings that are stored now, and take over what you want to keep of them. "
                    strong { "Save" } " then stores the form in place of version " (newest.version) "."
                }
                details {
                    summary { "Version " (newest.version) ", which is stored now" }
                    pre tabindex="0" { code { (toml::write(settings).unwrap_or_default()) } }
                }
            } @else {
                p { "It is deleted now. " strong { "Save" } " then stores it again." }
            }
            p { "Code: " code { "precondition_failed" } }
        }
    }
}
