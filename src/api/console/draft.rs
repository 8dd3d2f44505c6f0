//! The panel beside the form of a model or sync. It uses the current values of the form; nothing is stored.

use std::time::Duration;

use super::{at_fault::field_at_fault, collections::refusal, editor::Shown};
use crate::{
    admin::{self, Configuration, Draft, Fault, Grant, SAMPLE_ROWS},
    api::{
        admin::{AdminState, codes, input::invalid, sources::Rows},
        http::error::{Detail, Error},
    },
    console::entry::{CONTAINS, ROW, add_placed, document, place},
    domain::{StoredName, StoredSection},
};

/// Times of the next runs.
const TIMES_LISTED: usize = 5;
/// Longest wait for the columns of a form's model; the form works without them.
const COLUMNS_WAIT: Duration = Duration::from_secs(3);
/// How long the page of a model or sync that was just saved waits for the source. Of one that takes longer it says nothing.
pub(super) const SAVED_WAIT: Duration = Duration::from_secs(5);
/// Columns that a message names.
const COLUMNS_NAMED_MAX: usize = 20;
/// How long it waits for them when somebody has requested them: less than a request may take.
const COLUMNS_WAIT_MAX: Duration = Duration::from_secs(20);

/// What a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DraftRequest {
    /// Of a sync: the record of a row, and the next times.
    Preview,
    /// Of a model: the tables of its source.
    Tables,
    /// Of a model: its columns and first rows.
    Rows,
    /// Of a model: whether the primary key fits.
    Key,
    /// Of a source: whether it answers.
    Connection,
}

impl DraftRequest {
    /// What the button of this value asks for.
    pub(super) fn of(act: &str, section: StoredSection) -> Option<Self> {
        match (section, act) {
            (StoredSection::Syncs, "preview") => Some(Self::Preview),
            (StoredSection::Models, "tables") => Some(Self::Tables),
            (StoredSection::Models, "rows") => Some(Self::Rows),
            (StoredSection::Models, "key") => Some(Self::Key),
            (StoredSection::Sources, "connect") => Some(Self::Connection),
            _ => None,
        }
    }
}

/// The entry that a form is about. A new one that has no name yet gets one that no other has.
pub(super) fn drafted(state: &AdminState, section: StoredSection, name: Option<StoredName>) -> StoredName {
    name.unwrap_or_else(|| {
        let configuration = state.configured.read();
        let names = (1..).map(|number: u64| StoredName { section, name: format!("draft-{number}") });
        let mut free = names.filter(|name| configuration.entry(name).is_none());
        free.next().expect("there are more numbers than entries")
    })
}

/// Adds what the form asks for, or why there is none.
pub(super) async fn add(
    state: &AdminState,
    grant: &Grant,
    entry: &StoredName,
    requested: DraftRequest,
    shown: &mut Shown,
) {
    let holder = grant.session.as_ref().unwrap_or(&grant.id);
    let _turn = state.samples.turn(holder).await;
    let added = match requested {
        DraftRequest::Preview => preview(state, entry, shown).await,
        DraftRequest::Tables => tables(state, shown).await,
        DraftRequest::Rows => rows(state, entry, shown).await,
        DraftRequest::Key => key(state, entry, shown).await,
        DraftRequest::Connection => connection(state, entry, shown).await,
    };
    if let Err(error) = added {
        refuse_at(field_at_fault(error.code().code, &shown.fields, requested), &error, shown);
    }
}

/// Reads a row for a model or sync whose settings have no fault. Why that does not work is noted beside the form, and at the field
/// at fault.
pub(super) async fn try_out(state: &AdminState, grant: &Grant, entry: &StoredName, shown: &mut Shown) {
    match entry.section {
        StoredSection::Sources => {}
        StoredSection::Syncs => add(state, grant, entry, DraftRequest::Preview, shown).await,
        StoredSection::Models => {
            let holder = grant.session.as_ref().unwrap_or(&grant.id);
            let _turn = state.samples.turn(holder).await;
            let read = async {
                let Some(draft) = draft(state, entry, shown).await? else { return Ok(()) };
                read_model(draft.configuration(), &entry.name).await
            };
            let read = tokio::time::timeout(COLUMNS_WAIT_MAX, read).await;
            if let Err(error) = read.unwrap_or_else(|_| Err(unanswered())) {
                let is_of_key = error.code() == codes::INVALID_INPUT;
                let field = is_of_key.then_some("primary_key");
                let field =
                    field.or_else(|| field_at_fault(error.code().code, &shown.fields, DraftRequest::Rows));
                refuse_at(field, &error, shown);
            }
        }
    }
}

fn refuse_at(field: Option<&'static str>, error: &Error, shown: &mut Shown) {
    if let Some(field) = field {
        shown.faults.add(field, error.message());
    }
    shown.refuse(error);
}

/// That a source is too slow for a check.
fn unanswered() -> Error {
    let seconds = COLUMNS_WAIT_MAX.as_secs();
    let message = format!(
        "the settings have no fault, but the source has not answered within {seconds} s, so it is not known whether the model can \
         be read; save it, and look at its rows"
    );
    Error::new(codes::REQUEST_TIMEOUT, Detail::Message(message))
}

/// Reads a row of a model.
///
/// # Errors
/// The source's; that the model lacks its primary key.
pub(super) async fn read_model(configuration: &Configuration, model: &str) -> Result<(), Error> {
    let columns = configuration.preview_model(model, 1, |_| {}).await?;
    let key = configuration.primary_key(model)?;
    let Some(key) = key.filter(|key| columns.iter().all(|column| column.name != **key)) else {
        return Ok(());
    };
    let names: Vec<&str> = columns.iter().take(COLUMNS_NAMED_MAX).map(|column| &*column.name).collect();
    let more = if columns.len() > COLUMNS_NAMED_MAX { ", ..." } else { "" };
    Err(invalid(format!("the model has no column {key:?}; it has {}{more}", names.join(", "))))
}

/// Adds the columns of the model of a sync, or why there are none. A source that does not answer in time adds nothing.
pub(super) async fn add_columns(state: &AdminState, grant: &Grant, is_asked: bool, shown: &mut Shown) {
    let model = shown.fields.text("model");
    if model.is_empty() {
        return;
    }
    let holder = grant.session.as_ref().unwrap_or(&grant.id);
    let read = async {
        let _turn = state.samples.turn(holder).await;
        state.samples.read(&state.configured.read(), model).await
    };
    let wait = if is_asked { COLUMNS_WAIT_MAX } else { COLUMNS_WAIT };
    match tokio::time::timeout(wait, read).await {
        Ok(Ok(sample)) => shown.beside.columns.clone_from(&sample.columns),
        Ok(Err(error)) if is_asked => shown.refuse(&error.into()),
        Ok(Err(error)) => shown.beside.refusal = Some(refusal(&error.into())),
        Err(_) => {}
    }
}

/// The configuration with the form's entry; `None` if the form has faults, which are noted.
async fn draft(state: &AdminState, entry: &StoredName, shown: &mut Shown) -> Result<Option<Draft>, Error> {
    let (mut document, faults) = document(entry.section, &shown.fields);
    shown.faults.extend(faults);
    if entry.section == StoredSection::Models && !document.contains_key("primary_key") {
        // Somebody who chooses one sees the columns first.
        let listed = document.get("columns").and_then(|columns| columns.get(0)).cloned();
        document.insert("primary_key".to_owned(), listed.unwrap_or_else(|| "id".into()));
    }
    let file = state.configured.read().file.clone();
    match state.publisher()?.admin().draft(&*file, entry, document).await {
        Ok(draft) => Ok(Some(draft).filter(|_| shown.faults.is_empty())),
        Err(admin::Error::ConfigurationInvalid(faults)) => {
            let (placed, elsewhere) = place(entry, &shown.fields, &faults);
            add_placed(&mut shown.faults, placed);
            shown.elsewhere = elsewhere;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn preview(state: &AdminState, entry: &StoredName, shown: &mut Shown) -> Result<(), Error> {
    let model = shown.fields.text("model").to_owned();
    let mut sample = None;
    if !model.is_empty() {
        match state.samples.read(&state.configured.read(), &model).await {
            Ok(read) => {
                shown.beside.columns.clone_from(&read.columns);
                sample = Some(read);
            }
            Err(error) => shown.refuse(&error.into()),
        }
    }
    let Some(draft) = draft(state, entry, shown).await? else { return Ok(()) };
    let admin = state.publisher()?.admin();
    shown.beside.schedule = Some(admin.schedule_of_draft(&draft, TIMES_LISTED).await?);
    let at = shown.fields.text(ROW).parse().unwrap_or_default();
    let Some(sample) = sample else { return Ok(()) };
    match draft.map(&sample, at, state.clock.now()) {
        Ok(record) => shown.beside.record = Some(record),
        Err(admin::Error::Mapping { faults, .. }) => {
            let fault = |path: &str, message: &str, hint: &Option<String>| Fault {
                key: format!("{entry}.{path}"),
                message: message.to_owned(),
                hint: hint.clone(),
                ..Fault::default()
            };
            let faults: Vec<Fault> =
                faults.iter().map(|one| fault(&one.path, &one.message, &one.hint)).collect();
            (shown.faults, shown.elsewhere) = place(entry, &shown.fields, &faults);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn tables(state: &AdminState, shown: &mut Shown) -> Result<(), Error> {
    let source = shown.fields.text("source");
    if source.is_empty() {
        shown.faults.add("source", "Choose a source.");
        return Ok(());
    }
    let sources = state.configured.read().sources.clone();
    let mut tables = sources.tables(source, shown.fields.text(CONTAINS)).await?;
    tables.sort();
    shown.beside.tables = Some(tables);
    Ok(())
}

async fn rows(state: &AdminState, entry: &StoredName, shown: &mut Shown) -> Result<(), Error> {
    let Some(draft) = draft(state, entry, shown).await? else { return Ok(()) };
    let mut rows = Rows::default();
    let read = draft.configuration().preview_model(&entry.name, SAMPLE_ROWS, |row| rows.push(row));
    shown.beside.columns = read.await?;
    shown.beside.rows = Some((rows.texts().into_iter().map(str::to_owned).collect(), rows.is_cut));
    Ok(())
}

async fn key(state: &AdminState, entry: &StoredName, shown: &mut Shown) -> Result<(), Error> {
    let column = shown.fields.text("primary_key").to_owned();
    if column.is_empty() {
        shown.faults.add("primary_key", "Name the column to check.");
        return Ok(());
    }
    let Some(draft) = draft(state, entry, shown).await? else { return Ok(()) };
    let configuration = draft.configuration();
    match configuration.check_key(&entry.name, &column).await.map_err(Error::from) {
        Ok(checked) => shown.beside.key = Some(checked),
        Err(error) => {
            // Another column may be at fault. Then the model cannot be read either.
            let read = configuration.preview_model(&entry.name, 1, |_| {}).await.map_err(Error::from);
            let (error, requested) =
                read.err().map_or((error, DraftRequest::Key), |error| (error, DraftRequest::Rows));
            refuse_at(field_at_fault(error.code().code, &shown.fields, requested), &error, shown);
        }
    }
    Ok(())
}

async fn connection(state: &AdminState, entry: &StoredName, shown: &mut Shown) -> Result<(), Error> {
    let Some(draft) = draft(state, entry, shown).await? else { return Ok(()) };
    shown.beside.connected = Some(draft.configuration().sources.check(&entry.name).await?);
    Ok(())
}
