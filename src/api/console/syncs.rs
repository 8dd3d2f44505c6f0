//! The list of syncs, the page of one, and the forms that run it.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};

use super::{
    answer::{Refused, see},
    collections::refusal,
    form::{Parameters, Sent},
};
use crate::{
    admin::{self, Admin, EntryView, Grant, RequestKey, RequestedRun, RunsFilter},
    api::{
        admin::{
            AdminState,
            gate::Caller,
            input::{detached, named},
            page::{Page, cursor_of_run, time_and_id},
            syncs::{SyncPreview, start},
        },
        http::error::{Error, INTERNAL},
    },
    console::{Done, Faults, Fields, Form, OPERATIONS, PreviewPage, REQUEST, SyncPage, SyncsPage, sync_path},
    domain::{CollectionName, StoredName, StoredSection},
};

/// Syncs of one page.
const SYNCS_LISTED: usize = 50;
/// Runs of one page, and of its chart.
const RUNS_LISTED: usize = 30;
/// Times of the next runs.
const TIMES_LISTED: usize = 5;
/// Records of a preview.
const RECORDS_PREVIEWED: u64 = 20;

/// The configured syncs, by name.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    let admin = state.publisher()?.admin();
    let entries = state.configured.read().section(StoredSection::Syncs);
    let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    let Page { items, next } = Page::by_name(entries, SYNCS_LISTED, parameters.cursor());
    let runs = admin.last_runs().await?;
    let with_run = |entry: EntryView| {
        let run = entry.name.parse::<CollectionName>().ok().and_then(|name| runs.get(&name).cloned());
        (entry, run)
    };
    let syncs: Vec<_> = items.into_iter().map(with_run).collect();
    let page = SyncsPage {
        visitor: (&grant).into(),
        syncs: &syncs,
        cursor: parameters.cursor(),
        next: next.as_deref(),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}

/// What a page shows of a form that was refused, or before it was sent.
#[derive(Default)]
struct Shown<'a> {
    fields: Fields,
    refusal: Option<Error>,
    cursor: Option<&'a str>,
    done: Option<Done>,
}

/// One sync.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    let fields = Fields::preset(&[(REQUEST, &RequestKey::new_name())]);
    let (cursor, done) = (parameters.cursor(), parameters.done());
    let shown = Shown { fields, cursor, done, ..Shown::default() };
    render(&state, &grant, &named("sync", &name)?, &shown).await
}

async fn render(
    state: &AdminState,
    grant: &Grant,
    name: &CollectionName,
    shown: &Shown<'_>,
) -> Result<Html<String>, Refused> {
    let publisher = state.publisher()?;
    let admin = publisher.admin();
    let Some((entry, source)) = configured(state, name) else {
        let unknown = publisher.registry.find(name.as_str()).err();
        return Err(unknown.map_or_else(|| INTERNAL.into(), Error::from).into());
    };
    // A sync that is left out because of its faults has no schedule, and may have announced nothing.
    let schedule = match admin.schedule(name, TIMES_LISTED).await {
        Ok(schedule) => Some(schedule),
        Err(admin::Error::UnknownSync { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let collection = match state.overview.collection(Some(&admin), name).await {
        Ok(status) => Some(status),
        Err(admin::Error::UnknownCollection { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let Page { items, next } = runs(&admin, name, shown.cursor).await?;
    let page = SyncPage {
        visitor: grant.into(),
        name,
        entry: &entry,
        source: source.as_deref(),
        schedule: schedule.as_ref(),
        collection: collection.as_ref(),
        runs: &items,
        cursor: shown.cursor,
        next: next.as_deref(),
        form: Form { fields: &shown.fields, faults: &Faults::default() },
        refusal: shown.refusal.as_ref().map(refusal),
        done: shown.done,
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}

/// A configured sync, and the source of its model.
fn configured(state: &AdminState, name: &CollectionName) -> Option<(EntryView, Option<String>)> {
    let configuration = state.configured.read();
    let entry = |section, name: &str| configuration.entry(&StoredName { section, name: name.to_owned() });
    let sync = entry(StoredSection::Syncs, name.as_str())?;
    let model = sync.settings["model"].as_str().and_then(|model| entry(StoredSection::Models, model));
    let source = model.and_then(|model| model.settings["source"].as_str().map(str::to_owned));
    Some((sync, source))
}

/// A page of the runs of a sync, newest first.
async fn runs(
    admin: &Admin,
    name: &CollectionName,
    cursor: Option<&str>,
) -> Result<Page<crate::domain::RunRecord>, Error> {
    let before = time_and_id(cursor)?;
    let filter = RunsFilter { sync: Some(name), announced: false, before, limit: RUNS_LISTED + 1 };
    match admin.runs(filter).await {
        Ok(runs) => Ok(Page::of(runs, RUNS_LISTED, cursor_of_run)),
        // A sync that is left out because of its faults has none yet.
        Err(admin::Error::UnknownSync { .. }) => Ok(Page::of(Vec::new(), RUNS_LISTED, cursor_of_run)),
        Err(error) => Err(error.into()),
    }
}

/// Starts a run, once for each page that was loaded.
pub(super) async fn run(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let name: CollectionName = named("sync", &name)?;
    let is_on = |field| sent.fields.has(field, "yes");
    let requested = RequestedRun { accept: is_on("accept"), full: is_on("full"), dry_run: is_on("dry_run") };
    let started = async {
        let key = sent.request_key(&caller, &format!("start {name}"))?;
        start(&state, state.publisher()?, &caller, name.to_string(), requested, Some(key)).await
    };
    match started.await {
        Ok(started) => {
            Ok(see(&format!("{OPERATIONS}/{}", started["operation"].as_str().unwrap_or_default())))
        }
        Err(error) => {
            let status = error.code().status;
            let fields = sent.fields.with(REQUEST, &RequestKey::new_name());
            let shown = Shown { fields, refusal: Some(error), ..Shown::default() };
            Ok((status, render(&state, &caller.0, &name, &shown).await?).into_response())
        }
    }
}

/// Lets the sync run by its schedule again.
pub(super) async fn resume(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let name: CollectionName = named("sync", &name)?;
    let (publisher, principal, sync) = (state.publisher()?, caller.principal().clone(), name.clone());
    match detached(async move { publisher.resume(&sync, &principal).await }).await {
        Ok(_) => Ok(see(&Done::Resumed.at(&sync_path(&name)))),
        Err(error) => {
            let status = error.code().status;
            let fields = Fields::preset(&[(REQUEST, &RequestKey::new_name())]);
            let shown = Shown { fields, refusal: Some(error), ..Shown::default() };
            Ok((status, render(&state, &caller.0, &name, &shown).await?).into_response())
        }
    }
}

/// Records as they would be served.
pub(super) async fn preview(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let name: CollectionName = named("sync", &name)?;
    let publisher = state.publisher()?;
    state.audit_read(&grant, "sync.preview", &name).await?;
    let read = SyncPreview::read(&publisher, name.as_str(), state.clock.now(), RECORDS_PREVIEWED).await;
    let (status, preview, refused) = match read {
        Ok(preview) => (hyper::StatusCode::OK, Some(preview), None),
        Err(error) => (error.code().status, None, Some(refusal(&error))),
    };
    let page = PreviewPage {
        visitor: (&grant).into(),
        name: &name,
        records: &preview.as_ref().map(|preview| preview.records.texts()).unwrap_or_default(),
        rejected: preview.as_ref().map(|preview| &*preview.rejected).unwrap_or_default(),
        warnings: preview.as_ref().map(|preview| &*preview.warnings).unwrap_or_default(),
        is_cut: preview.as_ref().is_some_and(|preview| preview.records.is_cut),
        refusal: refused,
    };
    Ok((status, Html(page.render())).into_response())
}
