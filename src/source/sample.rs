//! The sample warehouse of `larder quickstart`: a SQLite file with customers and products.

use std::path::Path;

use sqlx::{Connection as _, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};

/// Creates the tables and fills them; the same rows every time.
const SQL: &str = include_str!("sample.sql");
/// Customers in the sample.
pub const CUSTOMERS: usize = 10_000;
/// Products in the sample.
pub const PRODUCTS: usize = 500;
/// The customer whose record is the example of the documentation.
pub const EXAMPLE_CUSTOMER: u64 = 12_345;

/// Creates the sample warehouse at `path`, which must not exist.
///
/// # Errors
/// What SQLite says when the file cannot be written.
pub async fn create(path: &Path) -> Result<(), sqlx::Error> {
    // Written beside its place and renamed, so that an interrupted start leaves no half warehouse.
    let unfinished = path.with_extension("unfinished");
    let _ = std::fs::remove_file(&unfinished);
    let options = SqliteConnectOptions::new().filename(&unfinished).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut transaction = connection.begin().await?;
    raw_sql(SQL).execute(&mut *transaction).await?;
    transaction.commit().await?;
    connection.close().await?;
    std::fs::rename(&unfinished, path).map_err(sqlx::Error::Io)
}
