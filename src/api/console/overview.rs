//! The first page, the way to it, and the files of all pages.

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::{
    answer::{Refused, see},
    form::Parameters,
};
use crate::{
    api::{
        ReadState,
        admin::{AdminState, codes, gate::Caller},
        http::error::Error,
    },
    console::{self, COLLECTIONS_MAX, assets},
};

/// `Cache-Control` of files whose name changes with their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// `/`: the console.
pub(super) async fn go_home() -> Response {
    see(console::HOME)
}

/// A file of the pages.
pub(super) async fn show_asset(Path(name): Path<String>) -> Result<Response, Refused> {
    let asset = assets::find(&name).ok_or(Error::from(codes::ROUTE_NOT_FOUND))?;
    let headers = [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, IMMUTABLE)];
    Ok((headers, asset.text).into_response())
}

/// Problems, collections and nodes.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    query: Parameters,
) -> Result<Html<String>, Refused> {
    let mut status =
        state.overview.status_with(state.admin().as_ref(), query.cursor(), COLLECTIONS_MAX).await?;
    status.fleet = Some((*state.fleet.read().await).clone());
    let page = console::Overview {
        visitor: (&grant).into(),
        rates: state.reads.as_ref().map(ReadState::request_rates),
        status: &status,
        after: query.cursor(),
        done: query.done(),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}
