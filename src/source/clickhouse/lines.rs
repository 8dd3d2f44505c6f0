//! The lines of an answer, read as they arrive.

use memchr::memchr;
use reqwest::Response;

use super::{ClickHouse, fault, types, values::RowReader};
use crate::{
    domain::row::{Column, RowBatch},
    source::{
        cell::ROW_BYTES_MAX,
        error::{Error, connection_lost, malformed},
        http::REFUSAL_BYTES_MAX,
    },
    support::result_code::Phase,
};

/// An answer that is being read.
pub(super) struct Lines<'a> {
    server: &'a ClickHouse,
    response: Response,
    /// The query, without what is written around it.
    sql: String,
    phase: Phase,
    /// Bytes that arrived; those before `at` are read.
    buffer: Vec<u8>,
    at: usize,
    is_ended: bool,
}

/// The next line of an answer.
enum Line {
    /// Its place in the buffer.
    At(usize, usize),
    /// It is longer than a row may be. The rest of it was skipped.
    TooLong,
    /// There is none.
    End,
}

impl<'a> Lines<'a> {
    pub(super) fn new(server: &'a ClickHouse, response: Response, sql: String, phase: Phase) -> Self {
        Self { server, response, sql, phase, buffer: Vec::new(), at: 0, is_ended: false }
    }

    /// The columns, from the first two lines.
    pub(super) async fn columns(&mut self) -> Result<Vec<Column>, Error> {
        let mut texts = Vec::with_capacity(2);
        for _ in 0..2 {
            let line = self.next().await?;
            let Line::At(from, to) = line else { return Err(malformed("it ends before the columns")) };
            self.check(from).await?;
            let line = serde_json::from_slice::<Vec<String>>(&self.buffer[from..to]);
            texts.push(line.map_err(|_| malformed("it does not begin with the columns"))?);
        }
        let (types, names) = (texts.pop().unwrap_or_default(), texts.pop().unwrap_or_default());
        if names.len() != types.len() {
            return Err(malformed("it has not as many types as columns"));
        }
        names.into_iter().zip(types).map(|(name, type_name)| types::column(name, type_name)).collect()
    }

    /// Appends the next row to `batch`. Returns false after the last one.
    pub(super) async fn read_row(
        &mut self,
        reader: &mut RowReader,
        batch: &mut RowBatch,
    ) -> Result<bool, Error> {
        match self.next().await? {
            Line::End => Ok(false),
            Line::TooLong => {
                reader.reject_row(batch);
                Ok(true)
            }
            Line::At(from, to) => {
                self.check(from).await?;
                if reader.read_row(&self.buffer[from..to], batch) {
                    Ok(true)
                } else {
                    Err(malformed("a row has not as many values as there are columns"))
                }
            }
        }
    }

    /// Refuses a line that is no row: the exception that ended the query after its first rows.
    async fn check(&mut self, from: usize) -> Result<(), Error> {
        if self.buffer.get(from) == Some(&b'[') {
            return Ok(());
        }
        let mut text = self.buffer[from..].to_vec();
        while text.len() < REFUSAL_BYTES_MAX
            && let Ok(Some(chunk)) = self.response.chunk().await
        {
            text.extend_from_slice(&chunk);
        }
        Err(fault::read(&text, &self.sql, self.phase, &self.server.endpoint.address)
            .unwrap_or_else(|| malformed("a line is not a row")))
    }

    async fn next(&mut self) -> Result<Line, Error> {
        let mut searched = self.at;
        let mut is_too_long = false;
        loop {
            if let Some(found) = memchr(b'\n', &self.buffer[searched..]) {
                let (from, to) = (self.at, searched + found);
                self.at = to + 1;
                if is_too_long {
                    return Ok(Line::TooLong);
                }
                // An empty line separates an exception from the rows.
                if self.buffer[from..to].iter().all(u8::is_ascii_whitespace) {
                    searched = self.at;
                    continue;
                }
                return Ok(Line::At(from, to));
            }
            searched = self.buffer.len();
            if self.buffer.len() - self.at > ROW_BYTES_MAX {
                (is_too_long, self.at) = (true, searched);
            }
            if self.is_ended {
                let (from, to) = (self.at, self.buffer.len());
                self.at = to;
                let is_empty = self.buffer[from..to].iter().all(u8::is_ascii_whitespace);
                return match (is_too_long, is_empty) {
                    (false, true) => Ok(Line::End),
                    // Every row ends with a line break; the words of an exception need not.
                    (false, false) if self.buffer[from] != b'[' => Ok(Line::At(from, to)),
                    _ => Err(connection_lost("the answer ends within a row")),
                };
            }
            self.buffer.drain(..self.at);
            searched -= self.at;
            self.at = 0;
            let Self { server, response, .. } = self;
            match server.endpoint.heard_while(response.chunk(), || server.answers()).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => self.is_ended = true,
            }
        }
    }
}
