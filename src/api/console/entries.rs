//! Sources, models and syncs as entries of the configuration: lists, one entry, and what is done with one.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use hyper::StatusCode;

use super::{
    answer::{Refused, see},
    collections::refusal,
    draft,
    form::{Parameters, Sent},
};
use crate::{
    admin::{self, AdminRole, Configuration, Expected, Grant, NewStored},
    api::{
        admin::{
            AdminState, codes, gate::Caller, input::invalid, page::Page, sources::Rows, stored,
            syncs::SyncPreview,
        },
        http::error::Error,
    },
    console::{
        Done, STATE,
        entry::{EntriesPage, EntryPage, PreviewedModel, SourceAnswer, entry_path, section_path},
    },
    domain::{StoredName, StoredSection},
};

/// Entries of one page.
const ENTRIES_LISTED: usize = 50;
/// Rows of a preview.
const ROWS_PREVIEWED: u64 = 100;

/// A section of the path.
pub(super) fn section(text: &str) -> Result<StoredSection, Error> {
    text.parse().map_err(|_| codes::ROUTE_NOT_FOUND.into())
}

/// An entry of the path.
pub(super) fn entry(section_name: &str, name: &str) -> Result<StoredName, Error> {
    stored::entry(section(section_name)?, name)
}

/// The entries of a section, by name.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(section_name): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    let section = section(&section_name)?;
    let entries = state.configured.read().section(section);
    let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    let Page { items, next } = Page::by_name(entries, ENTRIES_LISTED, parameters.cursor());
    let page = EntriesPage {
        visitor: (&grant).into(),
        section,
        entries: &items,
        cursor: parameters.cursor(),
        next: next.as_deref(),
        done: parameters.done(),
    };
    Ok(Html(page.render()))
}

/// What a page shows beside its entry.
#[derive(Default)]
struct Shown {
    source_answer: Option<SourceAnswer>,
    refusal: Option<Error>,
    /// Why a model or sync that was just saved does not work.
    unread: Option<Error>,
    /// Whether it was not deleted because something uses it.
    is_used: bool,
    done: Option<Done>,
}

/// One entry; of a source with what the parameters ask it for.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path((section_name, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    let mut shown = Shown { done: parameters.done(), ..Shown::default() };
    if name.section == StoredSection::Sources {
        match query_source(&state, &grant, &name, &parameters).await {
            Ok(source_answer) => shown.source_answer = source_answer,
            Err(error) => shown.refusal = Some(error.into()),
        }
    }
    if shown.done == Some(Done::Saved) && grant.role >= AdminRole::Operator {
        shown.unread = try_saved(&state, &name).await.err();
    }
    render(&state, &grant, &name, shown).await
}

/// Reads a row for a model or sync that was just saved. One that is not in force says so already.
async fn try_saved(state: &AdminState, name: &StoredName) -> Result<(), Error> {
    let configuration = state.configured.read();
    let is_in_force = configuration.entry(name).is_some_and(|entry| entry.faults.is_empty());
    let read = async {
        match name.section {
            StoredSection::Models if is_in_force => draft::read_model(&configuration, &name.name).await,
            StoredSection::Syncs if is_in_force => {
                let publisher = state.publisher()?;
                SyncPreview::read(&publisher, &name.name, state.clock.now(), 1).await.map(drop)
            }
            _ => Ok(()),
        }
    };
    tokio::time::timeout(draft::SAVED_WAIT, read).await.unwrap_or(Ok(()))
}

async fn query_source(
    state: &AdminState,
    grant: &Grant,
    name: &StoredName,
    parameters: &Parameters,
) -> Result<Option<SourceAnswer>, admin::Error> {
    let sources = state.configured.read().sources.clone();
    Ok(match (parameters.get("show"), parameters.get("table")) {
        (Some("tables"), _) => {
            let contains = parameters.get("contains").unwrap_or_default().to_owned();
            let mut names = sources.tables(&name.name, &contains).await?;
            names.sort();
            Some(SourceAnswer::Tables { contains, names })
        }
        (Some("columns"), Some(table)) if grant.role >= AdminRole::Operator => {
            let query = admin::Query::Table { name: table.to_owned(), columns: None };
            let columns = sources.columns(&name.name, &query).await?;
            Some(SourceAnswer::Columns { table: table.to_owned(), columns })
        }
        _ => None,
    })
}

async fn render(
    state: &AdminState,
    grant: &Grant,
    name: &StoredName,
    shown: Shown,
) -> Result<Response, Refused> {
    let configuration = state.configured.read();
    let entry = configuration.entry(name).ok_or_else(|| admin::Error::UnknownEntry(name.clone()))?;
    let versions = match entry.version {
        Some(_) => state.publisher()?.admin().stored_versions(name).await?,
        None => Vec::new(),
    };
    let status = shown.refusal.as_ref().map_or(StatusCode::OK, |error| error.code().status);
    let page = EntryPage {
        visitor: grant.into(),
        name,
        entry: &entry,
        addresses: &configuration.addresses(name),
        is_used: shown.is_used,
        users: &users(&configuration, name),
        versions: &versions,
        source_answer: shown.source_answer,
        refusal: shown.refusal.as_ref().map(refusal),
        unread: shown.unread.as_ref().map(refusal),
        done: shown.done,
        now: state.clock.now(),
    };
    Ok((status, Html(page.render())).into_response())
}

/// The models of a source, or the syncs of a model.
fn users(configuration: &Configuration, used: &StoredName) -> Vec<StoredName> {
    let (section, key) = match used.section {
        StoredSection::Sources => (StoredSection::Models, "source"),
        StoredSection::Models => (StoredSection::Syncs, "model"),
        StoredSection::Syncs => return Vec::new(),
    };
    let entries = configuration.section(section).into_iter();
    let users = entries.filter(|entry| entry.settings[key] == *used.name);
    users.map(|entry| StoredName { section, name: entry.name }).collect()
}

/// Connects to a source, and asks for its version.
pub(super) async fn check(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path((section_name, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    if name.section != StoredSection::Sources {
        return Err(Error::from(codes::ROUTE_NOT_FOUND).into());
    }
    let sources = state.configured.read().sources.clone();
    let shown = match sources.check(&name.name).await {
        Ok(checked) => Shown { source_answer: Some(SourceAnswer::Checked(checked)), ..Shown::default() },
        Err(error) => Shown { refusal: Some(error.into()), ..Shown::default() },
    };
    render(&state, &grant, &name, shown).await
}

/// The first rows of a model.
pub(super) async fn preview(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path((section_name, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    if name.section != StoredSection::Models {
        return Err(Error::from(codes::ROUTE_NOT_FOUND).into());
    }
    let mut rows = Rows::default();
    state.audit_read(&grant, "model.preview", &name.name).await?;
    let configuration = state.configured.read();
    let read = configuration.preview_model(&name.name, ROWS_PREVIEWED, |row| rows.push(row)).await;
    let (columns, error) = match read {
        Ok(columns) => (columns, None),
        Err(error) => (Vec::new(), Some(Error::from(error))),
    };
    let page = PreviewedModel {
        visitor: (&grant).into(),
        name: &name,
        columns: &columns,
        rows: &rows.texts(),
        is_cut: rows.is_cut,
        refusal: error.as_ref().map(refusal),
    };
    let status = error.as_ref().map_or(StatusCode::OK, |error| error.code().status);
    Ok((status, Html(page.render())).into_response())
}

/// The state of a form whose entry was deleted after the form was loaded.
pub(super) const DELETED: &str = "deleted";

/// What a form expects: the version in its hidden field.
pub(super) fn expected(sent: &Sent) -> Expected {
    if sent.fields.text(STATE) == DELETED {
        return Expected::Absent;
    }
    Expected::Versions(sent.fields.text(STATE).parse().into_iter().collect())
}

/// Stores an earlier version again.
pub(super) async fn undo(
    State(state): State<AdminState>,
    caller: Caller,
    Path((section_name, name)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    let version =
        sent.fields.text("version").parse().map_err(|_| invalid("version must be a whole number"))?;
    let at = Done::Saved.at(&entry_path(&name));
    act(&state, &caller, &name, NewStored::Version(version), &sent, &at).await
}

/// Deletes an entry.
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    Path((section_name, name)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name = entry(&section_name, &name)?;
    let at = Done::Deleted.at(&section_path(name.section));
    act(&state, &caller, &name, NewStored::Deleted, &sent, &at).await
}

async fn act(
    state: &AdminState,
    caller: &Caller,
    name: &StoredName,
    new: NewStored,
    sent: &Sent,
    at: &str,
) -> Result<Response, Refused> {
    let publisher = state.publisher()?;
    let is_deletion = new == NewStored::Deleted;
    let changed = stored::change(state, publisher, name, new, expected(sent), false, caller.principal());
    let refused = match changed.await {
        Ok(Ok(_)) => return Ok(see(at)),
        Ok(Err(faults)) => admin::Error::ConfigurationInvalid(faults).into(),
        Err(error) => error,
    };
    let is_used = is_deletion
        && refused.code().code == "configuration_invalid"
        && !users(&state.configured.read(), name).is_empty();
    render(state, &caller.0, name, Shown { refusal: Some(refused), is_used, ..Shown::default() }).await
}
