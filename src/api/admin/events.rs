//! `GET /admin/v1/events`: server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, extract::State, response::IntoResponse};
use bytes::Bytes;
use futures::stream;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::{AdminState, codes};
use crate::{
    admin::{Event, Watcher},
    api::http::{
        answer::EVENT_STREAM,
        error::{Error, NO_STORE},
    },
};

/// Time after which a comment is sent: proxies see that the connection is alive, and the node that the client is.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a client waits before it connects again, in milliseconds.
const RETRY_MS: u64 = 2000;

/// Server-sent events: a `snapshot` of the newest runs and of the collections of this node, then a `run` or `collection`
/// with its new state whenever one changes, seen every second. A client that reconnects begins with a new snapshot;
/// `Last-Event-ID` has no meaning.
#[utoipa::path(get, path = "/admin/v1/events", responses(
    (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
    (status = 503, description = "Too many clients watch this node already"),
))]
pub(in crate::api) async fn stream_events(
    State(state): State<AdminState>,
) -> Result<impl IntoResponse, Error> {
    let watcher = state.events.watch().await.ok_or(codes::TOO_MANY_WATCHERS)?;
    let begin = Bytes::from(format!("retry: {RETRY_MS}\n\n"));
    let events =
        stream::unfold((Some(begin), watcher), |(begin, watcher)| async move { next(begin, watcher).await });
    Ok(([(CONTENT_TYPE, EVENT_STREAM), (CACHE_CONTROL, NO_STORE)], Body::from_stream(events)))
}

type Step = (Result<Bytes, Infallible>, (Option<Bytes>, Watcher));

async fn next(begin: Option<Bytes>, mut watcher: Watcher) -> Option<Step> {
    let piece = match begin {
        Some(begin) => begin,
        None => match tokio::time::timeout(HEARTBEAT, watcher.next()).await {
            Ok(Some(event)) => text(&event),
            Ok(None) => return None,
            Err(_) => Bytes::from_static(b": heartbeat\n\n"),
        },
    };
    Some((Ok(piece), (None, watcher)))
}

/// An event as its lines. JSON has no line breaks.
fn text(event: &Arc<Event>) -> Bytes {
    Bytes::from(format!("event: {}\ndata: {}\n\n", event.name, event.data))
}
