//! The page of a run, and of what was requested.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use hyper::header::REFRESH;

use super::{
    answer::{Refused, see},
    collections::refusal,
    form::Parameters,
};
use crate::{
    admin::{AdminRole, Grant, OperationKind},
    api::{
        admin::{
            AdminState,
            gate::Caller,
            input::{detached, named},
            runs::approve as start_approval,
        },
        http::error::Error,
    },
    console::{Done, OPERATIONS, OperationPage, RunPage, run_path},
    domain::{OperationId, RunId, RunStatus},
};

/// Seconds after which the page of an operation in progress is loaded again.
const RELOAD_SECONDS: &str = "1";

/// One run.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(run): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    render(&state, &grant, named("run", &run)?, None, parameters.done()).await
}

async fn render(
    state: &AdminState,
    grant: &Grant,
    id: RunId,
    refused: Option<&Error>,
    done: Option<Done>,
) -> Result<Html<String>, Refused> {
    let publisher = state.publisher()?;
    let admin = publisher.admin();
    let (run, rejected) = admin.run(id).await?;
    let (progress, sql) = (admin.run_progress(id).await?, admin.run_query(id).await?);
    let is_operator = grant.role >= AdminRole::Operator;
    let removals = match run.status {
        RunStatus::Held if is_operator => publisher.held_removals(id).await,
        _ => None,
    };
    let page = RunPage {
        visitor: grant.into(),
        run: &run,
        removals: removals.as_ref(),
        progress,
        sql: sql.as_deref(),
        rejected: is_operator.then_some(&*rejected),
        refusal: refused.map(refusal),
        done,
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}

/// The page of a run whose form was refused.
async fn refused(state: &AdminState, caller: &Caller, id: RunId, error: &Error) -> Result<Response, Refused> {
    let page = render(state, &caller.0, id, Some(error), None).await?;
    Ok((error.code().status, page).into_response())
}

/// Ends a run.
pub(super) async fn cancel(
    State(state): State<AdminState>,
    caller: Caller,
    Path(run): Path<String>,
) -> Result<Response, Refused> {
    let id: RunId = named("run", &run)?;
    let (admin, principal) = (state.publisher()?.admin(), caller.principal().clone());
    match detached(async move { admin.cancel_run(id, &principal).await }).await {
        Ok(()) => Ok(see(&Done::CancelRequested.at(&run_path(id)))),
        Err(error) => refused(&state, &caller, id, &error).await,
    }
}

/// Announces a held run.
pub(super) async fn approve(
    State(state): State<AdminState>,
    caller: Caller,
    Path(run): Path<String>,
) -> Result<Response, Refused> {
    let id: RunId = named("run", &run)?;
    match start_approval(&state, state.publisher()?, &caller, id, None).await {
        Ok(started) => {
            Ok(see(&format!("{OPERATIONS}/{}", started["operation"].as_str().unwrap_or_default())))
        }
        Err(error) => refused(&state, &caller, id, &error).await,
    }
}

/// What was requested. The page of a run takes its place as soon as there is one; until then it is loaded again and
/// again.
pub(super) async fn show_operation(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(operation): Path<String>,
) -> Result<Response, Refused> {
    let operation = state.operations.find(named::<OperationId>("operation", &operation)?)?;
    if let (Some(run), None, true) =
        (operation.run, &operation.error, operation.kind != OperationKind::DryRun)
    {
        let path = run_path(run);
        let is_approval = operation.kind == OperationKind::Approve;
        return Ok(see(&if is_approval { Done::Approved.at(&path) } else { path }));
    }
    let page = Html(OperationPage { visitor: (&grant).into(), operation: &operation }.render());
    Ok(match operation.ended_at {
        Some(_) => page.into_response(),
        None => ([(REFRESH, RELOAD_SECONDS)], page).into_response(),
    })
}
