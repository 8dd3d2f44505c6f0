//! The built-in migrations of both databases, and the check which of them a database has.

use std::sync::LazyLock;

use sqlx::{
    SqlSafeStr,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use super::Error;

/// Declares the migrators of both databases. Number and name of a migration are those of its two files.
macro_rules! migrations {
    ($($version:literal $name:literal),*) => {
        /// The migrations of a SQLite file.
        pub(super) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(&[
            $(($version, $name, include_str!(concat!("../../migrations/sqlite/", $version, "_", $name, ".sql")))),*
        ]));
        /// The migrations of a Postgres database.
        pub(super) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(&[
            $(($version, $name, include_str!(concat!("../../migrations/postgres/", $version, "_", $name, ".sql")))),*
        ]));
    };
}
migrations!(
    "0001" "begin",
    "0002" "pauses",
    "0003" "pending_pauses",
    "0004" "one_publishing_database",
    "0005" "queries",
    "0006" "admin",
    "0007" "stored_configuration",
    "0008" "sessions",
    "0009" "uses_and_subjects",
    "0010" "single_sign_on",
    "0011" "sessions_of_sessions"
);

fn migrator(migrations: &[(&str, &'static str, &'static str)]) -> Migrator {
    let migration = |&(version, name, sql): &(&str, &'static str, &'static str)| {
        let version = version.parse().expect("the number of a file");
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

/// Applies the missing migrations to a SQLite file. A schema newer than this build is left alone.
pub(super) async fn migrate<C: Migrate>(migrator: &Migrator, connection: &mut C) -> Result<(), Error> {
    match migrator.run_direct(None, connection, false).await {
        Err(MigrateError::VersionMissing(found)) => {
            let known = newest(migrator);
            Err(if found > known {
                Error::NewerSchema { found, known }
            } else {
                Error::ForeignMigration(found)
            })
        }
        done => done.map_err(convert),
    }
}

/// Checks that a database with the migrations `applied` has exactly this build's.
pub(super) fn compare(migrator: &Migrator, applied: &[AppliedMigration]) -> Result<(), Error> {
    let known = newest(migrator);
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(Error::NewerSchema { found, known });
    }
    for done in applied {
        let same = migrator.iter().any(|own| own.version == done.version && own.checksum == done.checksum);
        if !same {
            return Err(Error::ForeignMigration(done.version));
        }
    }
    if applied.len() < migrator.iter().count() {
        return Err(Error::NotMigrated { found, needed: known });
    }
    Ok(())
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn convert(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => {
            Error::ForeignMigration(version)
        }
        _ => Error::Connection("the migrations could not be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn both_databases_have_every_migration_file_under_its_number_and_name() {
        for (folder, migrator) in [("sqlite", &SQLITE), ("postgres", &POSTGRES)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
            let mut files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
            files.sort();
            let known = migrator.iter().map(|one| format!("{:04}_{}.sql", one.version, one.description));
            assert_eq!(files, known.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_database_is_older_newer_foreign_or_right() {
        let own: Vec<AppliedMigration> = SQLITE
            .iter()
            .map(|one| AppliedMigration { version: one.version, checksum: one.checksum.clone() })
            .collect();
        let known = newest(&SQLITE);
        let other = |version| AppliedMigration { version, checksum: vec![0].into() };

        compare(&SQLITE, &own).unwrap();
        let none = compare(&SQLITE, &[]);
        assert!(matches!(none, Err(Error::NotMigrated { found: 0, needed }) if needed == known));
        let mut newer = own;
        newer.push(other(known + 1));
        let newer = compare(&SQLITE, &newer);
        assert!(matches!(newer, Err(Error::NewerSchema { found, .. }) if found == known + 1));
        assert!(matches!(compare(&SQLITE, &[other(1)]), Err(Error::ForeignMigration(1))));
    }
}
