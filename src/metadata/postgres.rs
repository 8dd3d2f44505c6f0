//! The Postgres database: migrated by command, opened only at exactly this build's schema.

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tracing::subscriber::NoSubscriber;

use super::{
    Error, Metadata,
    database::{ACQUIRE_TIMEOUT, CONNECTIONS_MAX, Database, answer},
    schema,
};
use crate::support::{
    clock::Clock,
    postgres_url,
    result_code::Phase,
    secret::{ExposeSecret, SecretString},
};

/// The limits of a Postgres session: no statement, lock wait or forgotten transaction may hold anything for
/// long.
const SESSION_LIMITS: &str = "set statement_timeout = '10s'; set lock_timeout = '5s'; \
    set idle_in_transaction_session_timeout = '30s'";

/// Applies the missing migrations. Advisory locks make several processes wait for one another.
pub(super) async fn migrate(url: &SecretString) -> Result<(), Error> {
    let mut connection = connect(&options(url)?).await?;
    schema::migrate(&schema::POSTGRES, &mut connection).await?;
    connection.close().await.map_err(Error::from)
}

/// Opens the database, whose schema must be this build's.
pub(super) async fn open(url: &SecretString, clock: Clock) -> Result<Metadata, Error> {
    let options = options(url)?;
    // A separate connection first: the pool would hide the cause of a failure.
    let mut connection = connect(&options).await?;
    answer(schema::check(&schema::POSTGRES, &mut connection)).await?;
    connection.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SESSION_LIMITS).await.map(drop) })
        })
        // The pool tests a returned connection without a time limit. On a cut network all four connections
        // would be lost for many minutes.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = tokio::time::timeout(ACQUIRE_TIMEOUT, connection.ping()).await;
                answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
        .connect_lazy_with(options);
    Ok(Metadata { database: Database::Postgres(pool), clock, locks: None })
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let connected = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
    connected
        .map_or(Err(Error::TimedOut { doing: "connecting", limit: ACQUIRE_TIMEOUT }), |it| {
            it.map_err(|error| Error::of(error, Phase::Login))
        })
        .map_err(|error| Error::Connect { place: place(options), source: Box::new(error) })
}

fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} at {}, port {}", socket.display(), options.get_port()),
        None => format!("{database} at {}, port {}", options.get_host(), options.get_port()),
    }
}

fn options(url: &SecretString) -> Result<PgConnectOptions, Error> {
    let url = url.expose_secret();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Error::InvalidUrl { reason: "it does not begin with postgres://".to_owned() });
    }
    // The parser logs unknown parameters with their values; a misspelt `password` must not reach a log.
    let parsed =
        tracing::subscriber::with_default(NoSubscriber::default(), || url.parse::<PgConnectOptions>());
    let mut options = parsed.map_err(Error::from)?.disable_statement_logging();
    let host = options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
    if postgres_url::needs_verify_full(url, &host) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if options.get_application_name().is_none() {
        options = options.application_name("larder");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_verify_full_must_be_written_for_a_host_elsewhere() {
        let mode = |url: &str| options(&SecretString::from(url.to_owned())).unwrap().get_ssl_mode();
        let is = |url, expected: PgSslMode| {
            assert_eq!(format!("{:?}", mode(url)), format!("{expected:?}"), "{url}");
        };
        is("postgres://u:p@db.example.com/d", PgSslMode::VerifyFull);
        is("postgres://u:p@localhost/d?hostaddr=10.0.0.7", PgSslMode::VerifyFull);
        is("postgres://u:p@db.example.com/d?sslmode=require", PgSslMode::Require);
        is("postgres://u:p@127.0.0.1/d", PgSslMode::Prefer);
        is("postgres:///d?host=/run/postgresql", PgSslMode::Prefer);
        is("postgres://%2Frun%2Fpostgresql/d", PgSslMode::Prefer);
    }

    #[test]
    fn a_bad_url_is_named_without_its_text() {
        for url in ["postgres://u:secret@h:port/d", "postgres://u:secret@h/d?sslmode=perhaps", "u:secret@h"] {
            let error = options(&SecretString::from(url.to_owned())).unwrap_err();
            assert_eq!(error.code(), "metadata_url_invalid", "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
