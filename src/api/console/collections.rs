//! The page of a collection, and the forms that change what is announced of it.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};

use super::{
    answer::{Refused, see},
    form::{Parameters, Sent},
};
use crate::{
    admin::{self, Grant, Publisher},
    api::{
        admin::{
            AdminState, codes,
            collections::{tag, version, versions},
            gate::Caller,
            input::{detached, invalid, named},
        },
        http::error::{Detail, Error},
    },
    console::{self, CollectionPage, Done, Faults, Fields, Form, HOME, STATE, collection_path},
    domain::{CollectionName, RegionName, Version},
};

/// Versions of one page.
const VERSIONS_LISTED: usize = 20;

/// Why a form was refused, and the field at fault; `None` for the form as a whole.
type Fault = (Option<&'static str>, Error);

/// What a page shows of a form that was refused, or before it was sent.
#[derive(Default)]
struct Shown<'a> {
    fields: Fields,
    faults: Faults,
    refusal: Option<Error>,
    cursor: Option<&'a str>,
    done: Option<Done>,
}

/// The collection.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    let version = parameters.get("version").unwrap_or_default();
    let fields = Fields::preset(&[("version", version), ("pin_version", version)]);
    let (cursor, done) = (parameters.cursor(), parameters.done());
    let shown = Shown { fields, cursor, done, ..Shown::default() };
    render(&state, &grant, &named("collection", &name)?, &shown).await
}

async fn render(
    state: &AdminState,
    grant: &Grant,
    name: &CollectionName,
    shown: &Shown<'_>,
) -> Result<Html<String>, Refused> {
    let status = state.overview.collection(state.admin().as_ref(), name).await?;
    let (items, next) = match status.version {
        Some(_) => {
            let page = versions(state, name, VERSIONS_LISTED, shown.cursor).await?;
            (page.items, page.next)
        }
        None => (Vec::new(), None),
    };
    let tag = tag(&status);
    let page = CollectionPage {
        visitor: grant.into(),
        public_url: state.public_url.as_deref(),
        tag: tag.to_str().unwrap_or_default(),
        fleet: &*state.fleet.read().await,
        versions: &items,
        cursor: shown.cursor,
        next: next.as_deref(),
        is_configured: state.publisher()?.registry.has(name),
        form: Form { fields: &shown.fields, faults: &shown.faults },
        refusal: shown.refusal.as_ref().map(refusal),
        done: shown.done,
        now: state.clock.now(),
        status: &status,
    };
    Ok(Html(page.render()))
}

/// A refusal as a page shows it.
pub(super) fn refusal(error: &Error) -> console::Refusal {
    console::Refusal { code: error.code().code, message: error.message().into_owned() }
}

/// A form of the page.
struct Change<'a> {
    state: &'a AdminState,
    caller: Caller,
    name: CollectionName,
    sent: Sent,
    /// Which field is at fault when a use case gives this code.
    fields_at_fault: &'static [(&'static str, &'static str)],
}

impl<'a> Change<'a> {
    fn new(
        state: &'a AdminState,
        caller: Caller,
        name: &str,
        sent: Sent,
        fields_at_fault: &'static [(&'static str, &'static str)],
    ) -> Result<Self, Refused> {
        Ok(Self { state, caller, name: named("collection", name)?, sent, fields_at_fault })
    }

    /// Makes the change if the collection is in the state that the form was made for. `act` reads the form: its error has
    /// the field at fault. When the change is refused, the page comes again with the present state, what was entered, and
    /// why it was refused.
    async fn make<T, F: Future<Output = Result<T, admin::Error>> + Send + 'static>(
        self,
        done: Done,
        act: impl FnOnce(Publisher) -> Result<F, Fault>,
    ) -> Result<Response, Refused>
    where
        T: Send + 'static,
    {
        let made = async {
            let publisher = self.state.publisher().map_err(|error| (None, error))?;
            self.check_state(&publisher).await.map_err(|error| (None, error))?;
            let act = act(publisher)?;
            detached(act).await.map_err(|error| (self.field_at_fault(&error), error))
        };
        match made.await {
            Ok(_) if done == Done::Dropped => Ok(see(&done.at(HOME))),
            Ok(_) => Ok(see(&done.at(&collection_path(&self.name)))),
            Err((field, error)) => self.refused(field, error).await,
        }
    }

    fn field_at_fault(&self, error: &Error) -> Option<&'static str> {
        let code = error.code().code;
        self.fields_at_fault.iter().find(|(known, _)| *known == code).map(|(_, field)| *field)
    }

    async fn check_state(&self, publisher: &Publisher) -> Result<(), Error> {
        let status = self.state.overview.collection(Some(&publisher.admin()), &self.name).await?;
        if tag(&status) == self.sent.fields.text(STATE) {
            return Ok(());
        }
        let message = "the collection was changed after this page was loaded, so nothing was done; the page shows the \
                       present state now: look at it, and send the form again if it still fits";
        Err(Error::new(codes::PRECONDITION_FAILED, Detail::Message(message.to_owned())))
    }

    async fn refused(self, field: Option<&'static str>, error: Error) -> Result<Response, Refused> {
        let (status, mut faults) = (error.code().status, Faults::default());
        if let Some(field) = field {
            faults.add(field, error.message());
        }
        let refusal = field.is_none().then_some(error);
        let shown = Shown { fields: self.sent.fields, faults, refusal, ..Shown::default() };
        let page = render(self.state, &self.caller.0, &self.name, &shown).await?;
        Ok((status, page).into_response())
    }
}

/// Serves an earlier version again.
pub(super) async fn roll_back(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    const AT_FAULT: &[(&str, &str)] = &[("unknown_version", "version"), ("version_in_force", "version")];
    let to = entered_version("version", &sent);
    let (principal, change) =
        (caller.principal().clone(), Change::new(&state, caller, &name, sent, AT_FAULT)?);
    let name = change.name.clone();
    change
        .make(Done::RolledBack, |publisher| {
            let to = to?;
            Ok(async move { publisher.rollback(&name, to, &principal).await })
        })
        .await
}

/// Pins a region.
pub(super) async fn pin(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    const AT_FAULT: &[(&str, &str)] =
        &[("unknown_version", "pin_version"), ("region_not_served", "pin_region")];
    let to = entered_version("pin_version", &sent);
    let region = named::<RegionName>("region", sent.fields.text("pin_region"));
    let (principal, change) =
        (caller.principal().clone(), Change::new(&state, caller, &name, sent, AT_FAULT)?);
    let name = change.name.clone();
    change
        .make(Done::Pinned, |publisher| {
            let (region, to) = (region.map_err(|error| (Some("pin_region"), error))?, to?);
            Ok(async move { publisher.pin(&name, &region, to, &principal).await })
        })
        .await
}

/// Lets a pinned region follow the newest version again.
pub(super) async fn unpin(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let region = named::<RegionName>("region", sent.fields.text("region"));
    let (principal, change) = (caller.principal().clone(), Change::new(&state, caller, &name, sent, &[])?);
    let name = change.name.clone();
    change
        .make(Done::Unpinned, |publisher| {
            let region = region.map_err(|error| (None, error))?;
            Ok(async move { publisher.unpin(&name, &region, &principal).await })
        })
        .await
}

/// Ends the pause of the sync.
pub(super) async fn resume(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let (principal, change) = (caller.principal().clone(), Change::new(&state, caller, &name, sent, &[])?);
    let name = change.name.clone();
    change.make(Done::Resumed, |publisher| Ok(async move { publisher.resume(&name, &principal).await })).await
}

/// Drops the collection, if its name was entered.
pub(super) async fn drop_collection(
    State(state): State<AdminState>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Refused> {
    let entered = sent.fields.text("name").to_owned();
    let (principal, change) = (caller.principal().clone(), Change::new(&state, caller, &name, sent, &[])?);
    let name = change.name.clone();
    change
        .make(Done::Dropped, |publisher| {
            if entered != name.as_str() {
                let message = format!("this is not the name of the collection; enter {name} to drop it");
                return Err((Some("name"), invalid(message)));
            }
            Ok(async move { publisher.drop_collection(&name, &principal).await })
        })
        .await
}

/// The version in a field.
fn entered_version(field: &'static str, sent: &Sent) -> Result<Version, Fault> {
    let number =
        sent.fields.text(field).parse().map_err(|_| invalid("version must be a whole number from 1"));
    number.and_then(version).map_err(|error| (Some(field), error))
}
