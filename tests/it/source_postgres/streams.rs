//! Snapshots, bounds, and ends that come early.

use larder::{
    domain::{
        limits::{BATCH_BYTES, BATCH_ROWS},
        row::RowBatch,
    },
    source::Query,
};
use tokio::sync::mpsc;

use super::{section, sql};
use crate::support::{
    postgres::{Database, Postgres},
    process::wait_until,
    source::{open, read},
};

/// A table too large for the buffers between server and receiver, and its query.
async fn large_table(database: &Database) -> Query {
    database
        .execute(
            "create table big as select n as id, repeat('x', 500) as text from generate_series(1, 200000) n",
        )
        .await;
    sql("select * from big")
}

#[tokio::test]
async fn a_stream_is_one_snapshot_in_bounded_memory() {
    let database = Postgres::database().await;
    let query = large_table(&database).await;
    let source = open(&section(&database.url()));
    let columns = source.describe(&query).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
    let stream = source.stream(&query, sender, &columns, None);
    let receive = async {
        let first = receiver.recv().await.unwrap();
        // Nobody receives: the server must come to wait for us, with most rows unread.
        let waits = "select 1 from pg_stat_activity where datname = current_database() \
                     and application_name = 'larder' and wait_event = 'ClientWrite'";
        wait_until("the server waits", || async { database.value(waits).await.is_some() }).await;
        let sent = database.value("select tuples_processed from pg_stat_progress_copy").await.unwrap();
        assert!(sent.parse::<u64>().unwrap() < 100_000, "{sent} rows have left the server");
        database
            .execute("insert into big values (0, 'late'); update big set text = 'late' where id > 199000")
            .await;
        let mut rows = first.rows();
        while let Some(batch) = receiver.recv().await {
            rows += batch.rows();
            assert!(batch.rows() <= BATCH_ROWS && batch.bytes() < BATCH_BYTES + 1000);
            assert!((0..batch.rows()).all(|row| batch.cell(row, 1).1.len() == 500), "a late row was seen");
        }
        rows
    };
    let (result, rows) = tokio::join!(stream, receive);
    result.unwrap();
    assert_eq!(rows, 200_000);
}

#[tokio::test]
async fn a_lost_connection_is_reported() {
    let database = Postgres::database().await;
    let query = large_table(&database).await;
    let source = open(&section(&database.url()));
    let columns = source.describe(&query).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        let first = receiver.recv().await.unwrap();
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where datname = current_database() and application_name = 'larder'";
        database.execute(kill).await;
        let mut rows = first.rows();
        while let Some(batch) = receiver.recv().await {
            rows += batch.rows();
        }
        rows
    };
    let (result, rows) = tokio::join!(source.stream(&query, sender, &columns, None), receive);
    assert_eq!(result.unwrap_err().code(), "source_connection_lost");
    assert!(rows < 200_000);
}

#[tokio::test]
async fn nobody_to_receive_ends_the_query_on_the_server() {
    let database = Postgres::database().await;
    let source = open(&section(&database.url()));
    let query = sql("select pg_sleep(3600)::text as x");
    let columns = source.describe(&query).await.unwrap();
    let running = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'larder' and query like 'copy%'";
    let count = || database.value(running);

    // The receiver goes away while the server has not sent a row.
    let (sender, receiver) = mpsc::channel::<RowBatch>(1);
    let go = async {
        wait_until("the query runs", || async { count().await.as_deref() == Some("1") }).await;
        drop(receiver);
    };
    let (result, ()) = tokio::join!(source.stream(&query, sender, &columns, None), go);
    result.unwrap();
    wait_until("the query ends", || async { count().await.as_deref() == Some("0") }).await;

    // The future is dropped.
    let (sender, _receiver) = mpsc::channel::<RowBatch>(1);
    tokio::select! {
        result = source.stream(&query, sender, &columns, None) => panic!("{result:?}"),
        () = wait_until("the query runs", || async { count().await.as_deref() == Some("1") }) => {}
    }
    wait_until("the query ends", || async { count().await.as_deref() == Some("0") }).await;
}

#[tokio::test]
async fn several_tasks_use_one_source() {
    let database = Postgres::database().await;
    let source = open(&section(&database.url()));
    let one = read(&source, "select n from generate_series(1, 5000) n");
    let other = read(&source, "select n, array[n] as list from generate_series(1, 3000) n");
    let (one, other) = tokio::join!(one, other);
    assert_eq!((one.unwrap().rows().len(), other.unwrap().rows().len()), (5000, 3000));
}
