//! The pages of a query's answer. Each names the address of the next one; the last one names none.

use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Trino, fault, types};
use crate::{
    domain::row::Column,
    source::{
        error::{Error, malformed},
        http::RunningQuery,
    },
    support::result_code::Phase,
};

/// Most bytes of one page. Servers make pages of a megabyte, and of one row that is longer.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A query whose pages are fetched.
pub(super) struct Pages<'a> {
    trino: &'a Trino,
    phase: Phase,
    next: Next,
    /// Ends the query on the server when it is dropped early.
    running: Option<RunningQuery>,
}

enum Next {
    /// The answer to the query itself.
    First(Response),
    At(Url),
    End,
}

/// One page.
pub(super) struct Page {
    pub(super) columns: Option<Vec<Column>>,
    data: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    next_uri: Option<String>,
    columns: Option<Vec<AnswerColumn>>,
    data: Option<Box<RawValue>>,
    error: Option<fault::Words>,
}

#[derive(Deserialize)]
struct AnswerColumn {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
}

impl Page {
    /// The rows, each the values of its columns.
    pub(super) fn rows(&self) -> Result<Vec<Vec<&RawValue>>, Error> {
        let Some(data) = &self.data else { return Ok(Vec::new()) };
        serde_json::from_str(data.get()).map_err(|_| malformed("a page's rows are not arrays"))
    }
}

impl<'a> Pages<'a> {
    /// Sends a query.
    pub(super) async fn start(trino: &'a Trino, sql: String, phase: Phase) -> Result<Self, Error> {
        let Ok(url) = trino.endpoint.url.join("/v1/statement") else { return Err(malformed("its address")) };
        let request = || trino.with_session(trino.endpoint.client.post(url.clone()).body(sql.clone()));
        let response = trino.endpoint.send(request).await?;
        Ok(Self { trino, phase, next: Next::First(response), running: None })
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, Error> {
        let endpoint = &self.trino.endpoint;
        let response = match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Ok(None),
            Next::First(response) => response,
            Next::At(url) => {
                endpoint.send(|| self.trino.with_session(endpoint.client.get(url.clone()))).await?
            }
        };
        if response.status() != StatusCode::OK {
            return Err(endpoint.unexpected(response.status()));
        }
        let body = endpoint.body(response, PAGE_BYTES_MAX).await?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| malformed("a page is not that of a query"))?;
        let next = answer.next_uri.map(|next| self.address(&next)).transpose()?;
        let running =
            next.clone().map(|url| RunningQuery::new(self.trino.with_session(endpoint.client.delete(url))));
        // The page before it has been read: its address ends nothing any more.
        if let Some(before) = std::mem::replace(&mut self.running, running) {
            before.ended();
        }
        if let Some(words) = answer.error {
            if let Some(running) = self.running.take() {
                running.ended();
            }
            return Err(fault::of(&words, self.phase));
        }
        self.next = next.map_or(Next::End, Next::At);
        let column = |column: AnswerColumn| types::column(column.name, column.type_name);
        let columns = answer.columns.map(|columns| columns.into_iter().map(column).collect());
        Ok(Some(Page { columns, data: answer.data }))
    }

    /// The columns, once the query has ended: it has no rows.
    pub(super) async fn into_columns(mut self) -> Result<Vec<Column>, Error> {
        let mut columns = None;
        while let Some(page) = self.next().await? {
            columns = columns.or(page.columns);
        }
        columns.ok_or_else(|| malformed("it has no columns"))
    }

    /// An address that the server gives. Credentials go to the server that was named, and to no other.
    fn address(&self, next: &str) -> Result<Url, Error> {
        let url = Url::parse(next).ok().filter(|url| url.origin() == self.trino.endpoint.url.origin());
        url.ok_or_else(|| {
            malformed("the address of the next page is on another server").with_hint(
                "behind a proxy set http-server.process-forwarded=true on the coordinator, and let the proxy send \
                 X-Forwarded-Proto and X-Forwarded-Host",
            )
        })
    }
}
