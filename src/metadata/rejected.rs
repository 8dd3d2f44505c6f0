//! Rejected rows: reason, field and primary key, bounded per reason and per run.

use std::{collections::HashMap, fmt::Write};

use super::{
    Error, Metadata,
    runs::RUNS_LISTED_MAX,
    statement::{Statement, storable},
};
use crate::domain::{
    RejectedRow, RunId,
    limits::INDEX_VALUE_BYTES_MAX,
    run::{REJECTED_PER_REASON_MAX, REJECTED_PER_RUN_MAX},
};

/// Columns of one inserted row.
const COLUMNS: usize = 5;
/// Runs of a sync, the newest ones, whose rejected rows are kept beside those of its held run: a sync that runs every
/// second would store 3.6 million rows an hour.
const REJECTED_RUNS_MAX: usize = 10;

/// The rows that still fit the bounds, given the number stored of each reason.
fn admitted(mut stored: HashMap<String, usize>, rows: &[RejectedRow]) -> Vec<&RejectedRow> {
    let mut total: usize = stored.values().sum();
    rows.iter()
        .filter(|row| {
            let of_reason = stored.entry(row.reason.clone()).or_default();
            let fits = *of_reason < REJECTED_PER_REASON_MAX && total < REJECTED_PER_RUN_MAX;
            if fits {
                *of_reason += 1;
                total += 1;
            }
            fits
        })
        .collect()
}

/// One statement for all rows: at most 1,000 rows of 5 values, far below the 32,766 placeholders
/// that SQLite allows and the 65,535 of Postgres.
fn insert(run: RunId, first_place: usize, rows: &[&RejectedRow]) -> Statement {
    let mut sql = "insert into rejected_rows (run_id, place, reason, field, primary_key) values ".to_owned();
    for row in 0..rows.len() {
        let opening = if row == 0 { "(" } else { ", (" };
        let first = row * COLUMNS + 1;
        write!(sql, "{opening}${first}").expect("a string takes all text");
        for placeholder in first + 1..first + COLUMNS {
            write!(sql, ", ${placeholder}").expect("a string takes all text");
        }
        sql.push(')');
    }
    let text = |text: &str| storable(text, INDEX_VALUE_BYTES_MAX);
    rows.iter().enumerate().fold(Statement::assembled(sql), |statement, (number, row)| {
        statement
            .bind(run.to_string())
            .bind(first_place + number)
            .bind(text(&row.reason))
            .bind(row.field.as_deref().map(text))
            .bind(row.primary_key.as_deref().map(text))
    })
}

impl Metadata {
    /// Adds rejected rows of a run, as many as [`REJECTED_PER_REASON_MAX`] and [`REJECTED_PER_RUN_MAX`] allow,
    /// counting those stored already. Texts are cut at 1 KiB. The run must exist. Deletes the rejected rows of all
    /// runs of its sync but the last `REJECTED_RUNS_MAX` that have some, and the held one.
    pub async fn add_rejected(&self, run: RunId, rows: &[RejectedRow]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        let counts =
            "select reason, count(*) as rows_stored from rejected_rows where run_id = $1 group by reason";
        let mut stored = HashMap::new();
        for row in transaction.rows(Statement::new(counts).bind(run.to_string())).await? {
            stored.insert(row.text("reason")?, row.natural("rows_stored")? as usize);
        }
        let first_place = stored.values().sum();
        let rows = admitted(stored, rows);
        if !rows.is_empty() {
            transaction.execute(insert(run, first_place, &rows)).await?;
            let recent = Statement::new(
                "select id from runs where sync = (select sync from runs where id = $1) and status <> 'held'
                    and exists (select 1 from rejected_rows where run_id = runs.id)
                 order by started_at desc, id desc limit $2",
            );
            let recent = recent.bind(run.to_string()).bind(REJECTED_RUNS_MAX + RUNS_LISTED_MAX);
            let recent = transaction.rows(recent).await?;
            let past = recent.iter().skip(REJECTED_RUNS_MAX).map(|row| row.text("id"));
            for id in past.collect::<Result<Vec<_>, _>>()? {
                let delete = Statement::new("delete from rejected_rows where run_id = $1");
                transaction.execute(delete.bind(id)).await?;
            }
        }
        transaction.commit().await
    }

    /// The rejected rows of a run, in the order in which they were added.
    pub async fn rejected(&self, run: RunId) -> Result<Vec<RejectedRow>, Error> {
        let select = "select reason, field, primary_key from rejected_rows where run_id = $1 order by place";
        let rows = self.database.rows(Statement::new(select).bind(run.to_string())).await?;
        rows.iter()
            .map(|row| {
                Ok(RejectedRow {
                    reason: row.text("reason")?,
                    field: row.text_or_null("field")?,
                    primary_key: row.text_or_null("primary_key")?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_is_bounded_per_reason_and_per_run() {
        let rows = |reason: &str, count| {
            vec![RejectedRow { reason: reason.to_owned(), field: None, primary_key: None }; count]
        };
        assert_eq!(admitted(HashMap::new(), &rows("a", 150)).len(), 100);
        assert_eq!(admitted([("a".to_owned(), 99)].into(), &rows("a", 5)).len(), 1);
        assert_eq!(admitted([("a".to_owned(), 100)].into(), &rows("b", 5)).len(), 5);
        let many: Vec<_> = (0..20).flat_map(|reason| rows(&reason.to_string(), 100)).collect();
        assert_eq!(admitted(HashMap::new(), &many).len(), 1000);
        assert_eq!(admitted([("x".to_owned(), 100)].into(), &many).len(), 900);
    }
}
