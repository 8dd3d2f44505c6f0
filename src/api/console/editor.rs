//! The forms of sources, models and syncs: of new ones and of stored ones.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{Refused, see},
    collections::refusal,
    draft::{self, DraftRequest},
    entries::{DELETED, entry, expected, section},
    form::{Parameters, Sent},
};
use crate::{
    admin::{self, Expected, Fault, Grant, ManagedBy, NewStored, StoredView},
    api::{
        admin::{AdminState, codes, gate::Caller, stored::change},
        http::error::Error,
    },
    console::{
        Done, Faults, Fields, Form, STATE,
        entry::{
            self as entry_form, Beside, EditPage, NAME, NewSourcePage, ROW, TYPE, add_placed, document,
            entry_path, fields, place,
        },
    },
    domain::{StoredName, StoredSection},
};

/// The fault of the name of a new entry that another one has.
const IS_TAKEN: &str = "is taken already; choose another name";

/// What a page shows of a form that was refused or checked, or that requested something, or before it was sent.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) fields: Fields,
    pub(super) faults: Faults,
    pub(super) elsewhere: Vec<Fault>,
    is_sound: bool,
    /// The newest version, if it is another one than that of which the form was made.
    newest: Option<StoredView>,
    refusal: Option<Error>,
    pub(super) beside: Beside,
    /// The status of the refusal of what the form has requested.
    beside_status: Option<StatusCode>,
}

impl Shown {
    /// Notes why the source did not give what the form has requested.
    pub(super) fn refuse(&mut self, error: &Error) {
        self.beside.refusal = Some(refusal(error));
        self.beside_status = Some(error.code().status);
    }
}

fn render(
    state: &AdminState,
    grant: &Grant,
    section: StoredSection,
    entry: Option<&StoredName>,
    shown: &Shown,
) -> Response {
    let chosen = match section {
        StoredSection::Sources => None,
        StoredSection::Models => Some(StoredSection::Sources),
        StoredSection::Syncs => Some(StoredSection::Models),
    };
    let configuration = state.configured.read();
    let names = chosen.into_iter().flat_map(|section| configuration.section(section));
    let page = EditPage {
        visitor: grant.into(),
        section,
        entry,
        addresses: &entry.map(|entry| configuration.addresses(entry)).unwrap_or_default(),
        names: &names.map(|entry| entry.name).collect::<Vec<_>>(),
        form: Form { fields: &shown.fields, faults: &shown.faults },
        elsewhere: &shown.elsewhere,
        newest: shown.newest.as_ref(),
        is_sound: shown.is_sound,
        refusal: shown.refusal.as_ref().map(refusal),
        beside: &shown.beside,
        now: state.clock.now(),
    };
    let has_fault = !shown.faults.is_empty() || !shown.elsewhere.is_empty();
    let status = match &shown.refusal {
        _ if shown.newest.is_some() => codes::PRECONDITION_FAILED.status,
        Some(error) => error.code().status,
        None if has_fault => StatusCode::BAD_REQUEST,
        None => shown.beside_status.unwrap_or_default(),
    };
    (status, Html(page.render())).into_response()
}

/// The form of a new entry. The parameters fill in what is known already.
pub(super) async fn show_new(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(section_name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refused> {
    let section = section(&section_name)?;
    let given = |key| parameters.get(key).unwrap_or_default();
    let mut settings = match section {
        StoredSection::Sources if given(TYPE).is_empty() => {
            return Ok(Html(NewSourcePage { visitor: (&grant).into() }.render()).into_response());
        }
        StoredSection::Sources => json!({ TYPE: given(TYPE) }),
        StoredSection::Models => json!({ "source": given("source"), "table": given("table") }),
        StoredSection::Syncs => new_sync(&state, given("model")),
    };
    if let Some(settings) = settings.as_object_mut() {
        // What is not known yet is no setting: an empty one would have no place but among the others.
        settings.retain(|_, value| value != "");
    }
    let name = given("table").rsplit('.').next().unwrap_or_default();
    let name = if name.is_empty() { given("model") } else { name };
    let name = free_name(&state, section, name.to_ascii_lowercase());
    let mut fields = fields(section, &name, &settings);
    if section == StoredSection::Syncs && settings.get("indexes").is_none() {
        fields = entry_form::change(&fields, "index-add", &[]);
    }
    let mut shown = Shown { fields, ..Shown::default() };
    if section == StoredSection::Syncs {
        draft::add_columns(&state, &grant, false, &mut shown).await;
    }
    Ok(render(&state, &grant, section, None, &shown))
}

/// `name`, or with a number when an entry has it already.
fn free_name(state: &AdminState, section: StoredSection, name: String) -> String {
    let configuration = state.configured.read();
    let is_taken = |name: &String| configuration.entry(&StoredName { section, name: name.clone() }).is_some();
    let numbered = (2..).map(|number: u64| format!("{name}_{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or(name)
}

/// What a sync of `model` has to begin with.
fn new_sync(state: &AdminState, model: &str) -> Value {
    let name = StoredName { section: StoredSection::Models, name: model.to_owned() };
    let model = state.configured.read().entry(&name);
    let key = model.and_then(|model| model.settings["primary_key"].as_str().map(str::to_owned));
    let mut settings = json!({ "model": name.name, "schedule": "every 15m" });
    if let Some(key) = key {
        settings["indexes"] = json!({ "id": key });
    }
    settings
}

/// Stores a new entry.
pub(super) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Path(section_name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let section = section(&section_name)?;
    let name = entry(&section_name, sent.fields.text(NAME));
    let is_taken = |name: &StoredName| state.configured.read().entry(name).is_some();
    // What is beside the form does not need the name.
    let free = name.as_ref().ok().filter(|name| !is_taken(name));
    let sent = match answer(&state, &caller.0, section, free, None, sent).await {
        Ok(answered) => return Ok(answered),
        Err(to_save) => to_save,
    };
    let fault = match name {
        Ok(name) if is_taken(&name) => IS_TAKEN.to_owned(),
        Ok(name) => return save(&state, &caller, name, true, Expected::Absent, sent).await,
        Err(error) => error.message().into_owned(),
    };
    // Every other fault is reported with it.
    let mut shown = Shown { fields: sent.fields, ..Shown::default() };
    shown.faults.add(NAME, fault);
    let drafted = draft::drafted(&state, section, None);
    store(&state, &caller, &drafted, Expected::Absent, true, &mut shown).await?;
    shown.is_sound = false;
    Ok(render(&state, &caller.0, section, None, &shown))
}

/// The form of a stored entry.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path((section_name, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    let found = state.configured.read().entry(&name);
    let found = found.ok_or_else(|| admin::Error::UnknownEntry(name.clone()))?;
    if found.managed_by == ManagedBy::File {
        return Err(admin::Error::ManagedByFile(name).into());
    }
    let version = found.version.unwrap_or_default().to_string();
    let fields = fields(name.section, &name.name, &found.settings).with(STATE, &version);
    let mut shown = Shown { fields, ..Shown::default() };
    if name.section == StoredSection::Syncs {
        draft::add_columns(&state, &grant, false, &mut shown).await;
    }
    Ok(render(&state, &grant, name.section, Some(&name), &shown))
}

/// Stores an entry in place of the version that the form was made of.
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: Caller,
    Path((section_name, name)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    let sent = match answer(&state, &caller.0, name.section, Some(&name), Some(&name), sent).await {
        Ok(answered) => return Ok(answered),
        Err(to_save) => to_save,
    };
    let expected = expected(&sent);
    save(&state, &caller, name, false, expected, sent).await
}

/// The page for a button of a form that neither saves nor checks; `Err` gives the form back for those.
async fn answer(
    state: &AdminState,
    grant: &Grant,
    section: StoredSection,
    name: Option<&StoredName>,
    stored: Option<&StoredName>,
    sent: Sent,
) -> Result<Response, Sent> {
    let (change, pick) = (sent.fields.text("change").to_owned(), sent.fields.text("pick").to_owned());
    let row = change.strip_prefix("row-");
    let act = match row {
        Some(_) => "preview",
        None if !pick.is_empty() => "rows",
        None => sent.fields.text("act"),
    };
    let requested = DraftRequest::of(act, section);
    if requested.is_none() && change.is_empty() {
        return Err(sent);
    }
    let mut shown = Shown { fields: sent.fields, ..Shown::default() };
    if let Some(requested) = requested {
        if let Some(row) = row {
            shown.fields = shown.fields.with(ROW, row);
        }
        if !pick.is_empty() {
            shown.fields = shown.fields.with("table", &pick).with("sql", "");
        }
        let name = draft::drafted(state, section, name.cloned());
        draft::add(state, grant, &name, requested, &mut shown).await;
    } else {
        draft::add_columns(state, grant, change == "columns", &mut shown).await;
        shown.fields = entry_form::change(&shown.fields, &change, &shown.beside.columns);
    }
    Ok(render(state, grant, section, stored, &shown))
}

async fn save(
    state: &AdminState,
    caller: &Caller,
    name: StoredName,
    is_new: bool,
    expected: Expected,
    sent: Sent,
) -> Result<Response, Refused> {
    let dry_run = sent.fields.has("act", "check");
    let mut shown = Shown { fields: sent.fields, ..Shown::default() };
    if store(state, caller, &name, expected, dry_run, &mut shown).await? {
        return Ok(see(&Done::Saved.at(&entry_path(&name))));
    }
    if shown.is_sound {
        draft::try_out(state, &caller.0, &name, &mut shown).await;
        shown.is_sound = shown.faults.is_empty() && shown.beside.refusal.is_none();
    }
    Ok(render(state, &caller.0, name.section, (!is_new).then_some(&name), &shown))
}

/// Stores what the form has, unless it has a fault or the change is only checked: whether it did. All faults are noted, those
/// of the form and those that the configuration would have.
async fn store(
    state: &AdminState,
    caller: &Caller,
    name: &StoredName,
    expected: Expected,
    dry_run: bool,
    shown: &mut Shown,
) -> Result<bool, Error> {
    let (document, faults) = document(name.section, &shown.fields);
    shown.faults.extend(faults);
    let dry_run = dry_run || !shown.faults.is_empty();
    let is_new = shown.fields.text(STATE).is_empty() && matches!(expected, Expected::Absent);
    let (publisher, new) = (state.publisher()?, NewStored::Document(document));
    match change(state, publisher, name, new, expected, dry_run, caller.principal()).await {
        Ok(Ok(_)) if !dry_run => return Ok(true),
        Ok(Ok(_)) => shown.is_sound = shown.faults.is_empty(),
        Ok(Err(faults)) => {
            let (placed, elsewhere) = place(name, &shown.fields, &faults);
            add_placed(&mut shown.faults, placed);
            shown.elsewhere = elsewhere;
        }
        Err(error) if error.code() == codes::PRECONDITION_FAILED && is_new => {
            shown.faults.add(NAME, IS_TAKEN);
        }
        Err(error) if error.code() == codes::PRECONDITION_FAILED => {
            let newest = state.publisher()?.admin().stored_versions(name).await?.into_iter().next();
            // The form shows that version, so that the next save may replace it.
            let version = newest.as_ref().filter(|newest| newest.settings.is_some());
            let version = version.map_or_else(|| DELETED.to_owned(), |newest| newest.version.to_string());
            shown.fields = std::mem::take(&mut shown.fields).with(STATE, &version);
            shown.refusal = newest.is_none().then_some(error);
            shown.newest = newest;
        }
        Err(error) => shown.refusal = Some(error),
    }
    Ok(false)
}
