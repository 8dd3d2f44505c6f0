//! Sync runs: their records, outcomes and manifests, and the runs that are held.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    AuditEntry, Error, Metadata, audit,
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::{CollectionName, Digest, Principal, RunError, RunId, RunProgress, RunRecord, Version};

/// Most runs of one listing.
pub const RUNS_LISTED_MAX: usize = 1000;
/// Runs deleted by one statement, so that it stays well below the statement timeout.
const PRUNE_BATCH: usize = 1000;

/// A manifest that a run has published, announced or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunManifest {
    /// Its object path in the store.
    pub object: String,
    /// SHA-256 of the object.
    pub sha256: Digest,
}

/// A run that a guard holds, and the manifest that it would announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRun {
    /// The run.
    pub record: RunRecord,
    /// Object path of its manifest.
    pub manifest: String,
    /// SHA-256 of that manifest.
    pub manifest_sha256: Digest,
    /// SHA-256 of the manifest that the run was compared with; `None` when none was announced.
    pub from: Option<Digest>,
}

/// `select`, all columns of a run, and the rest of the statement.
macro_rules! select_runs {
    ($rest:literal) => {
        Statement::new(concat!(
            "select id, sync, status, started_by, started_at, finished_at, data_as_of, version, counts, \
             error_code, error_message, manifest, manifest_sha256, held_from from runs ",
            $rest
        ))
    };
}

/// Updates a run to the status `$2` if it may take that status. An open run may take any; a held run any but
/// `running`, since its approval announces it; a run that has ended keeps its status.
macro_rules! update_runs {
    ($more:literal) => {
        Statement::new(concat!(
            "update runs set status = $2, started_by = $3, started_at = $4, finished_at = $5, \
             data_as_of = $6, version = $7, counts = $8, error_code = $9, error_message = $10",
            $more,
            " where id = $1 and (status in ('running', 'announcing') or status = $2 \
             or (status = 'held' and $2 <> 'running'))"
        ))
    };
}

/// Binds `$1` (the id), `$2` (the status) and the rest in the order of [`update_runs`].
fn bind_record(statement: Statement, record: &RunRecord, status: &str) -> Statement {
    let counts = serde_json::to_string(&record.counts).expect("counts are plain JSON");
    let error = record.error.as_ref();
    statement
        .bind(record.id.to_string())
        .bind(status)
        .bind(storable(&record.trigger, TEXT_BYTES_MAX))
        .bind(record.started_at)
        .bind(record.finished_at)
        .bind(record.data_as_of)
        .bind(record.version.map(|version| version.0))
        .bind(counts)
        .bind(error.map(|error| storable(&error.code, TEXT_BYTES_MAX)))
        .bind(error.map(|error| storable(&error.message, TEXT_BYTES_MAX)))
}

fn record(row: &Row) -> Result<RunRecord, Error> {
    let message = row.text_or_null("error_message")?;
    Ok(RunRecord {
        id: row.parsed("id")?,
        sync: row.parsed("sync")?,
        status: row.parsed("status")?,
        trigger: row.text("started_by")?,
        started_at: row.time("started_at")?,
        finished_at: row.time_or_null("finished_at")?,
        data_as_of: row.time_or_null("data_as_of")?,
        version: row.number_or_null("version")?.map(|_| row.natural("version").map(Version)).transpose()?,
        counts: row.json("counts")?,
        error: row
            .text_or_null("error_code")?
            .map(|code| RunError { code, message: message.unwrap_or_default() }),
    })
}

fn run_manifest(row: &Row) -> Result<RunManifest, Error> {
    Ok(RunManifest { object: row.text("manifest")?, sha256: row.parsed("manifest_sha256")? })
}

fn held(row: &Row) -> Result<HeldRun, Error> {
    Ok(HeldRun {
        record: record(row)?,
        manifest: row.text("manifest")?,
        manifest_sha256: row.parsed("manifest_sha256")?,
        from: row.parsed_or_null("held_from")?,
    })
}

impl Metadata {
    async fn run_records(&self, select: Statement) -> Result<Vec<RunRecord>, Error> {
        self.database.rows(select).await?.iter().map(record).collect()
    }

    /// Stores a new run.
    pub async fn insert_run(&self, run: &RunRecord) -> Result<(), Error> {
        let insert = Statement::new(
            "insert into runs (id, status, started_by, started_at, finished_at, data_as_of, version, counts, \
             error_code, error_message, sync) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        );
        let insert = bind_record(insert, run, run.status.as_str()).bind(run.sync.as_str());
        self.database.execute(insert).await.map(drop)
    }

    /// Stores the present state of a run. Returns `false` and changes nothing when the run has ended with
    /// another status or does not exist. A held run may become announced or superseded.
    pub async fn update_run(&self, run: &RunRecord) -> Result<bool, Error> {
        let update = bind_record(update_runs!(""), run, run.status.as_str());
        Ok(self.database.execute(update).await? == 1)
    }

    /// One run.
    pub async fn run(&self, id: RunId) -> Result<Option<RunRecord>, Error> {
        let row = self.database.row(select_runs!("where id = $1").bind(id.to_string())).await?;
        row.as_ref().map(record).transpose()
    }

    /// The newest runs, newest first: of one sync or of all; at most [`RUNS_LISTED_MAX`].
    pub async fn runs(&self, sync: Option<&CollectionName>, limit: usize) -> Result<Vec<RunRecord>, Error> {
        let limit = limit.min(RUNS_LISTED_MAX);
        let select = match sync {
            Some(sync) => select_runs!("where sync = $1 order by started_at desc, id desc limit $2")
                .bind(sync.as_str())
                .bind(limit),
            None => select_runs!("order by started_at desc, id desc limit $1").bind(limit),
        };
        self.run_records(select).await
    }

    /// Runs that began before the one at `before` (`None`: the newest), newest first: of one sync or of all, all of
    /// them or those that announced a version; at most [`RUNS_LISTED_MAX`] and one.
    pub async fn runs_before(
        &self,
        sync: Option<&CollectionName>,
        is_announced: bool,
        before: Option<(DateTime<Utc>, RunId)>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, Error> {
        // Both are read from an index, from the first row of the page on.
        let select = match sync {
            Some(_) => select_runs!(
                "where sync = $5 and (started_at, id) < ($1, $2) and ($3 = 0 or status = 'announced') \
                 order by started_at desc, id desc limit $4"
            ),
            None => select_runs!(
                "where (started_at, id) < ($1, $2) and ($3 = 0 or status = 'announced') \
                 order by started_at desc, id desc limit $4"
            ),
        };
        let (at, id) =
            before.map_or((i64::MAX, String::new()), |(at, id)| (at.timestamp_micros(), id.to_string()));
        let select = select.bind(at).bind(id).bind(i64::from(is_announced));
        let select = select.bind(limit.min(RUNS_LISTED_MAX + 1));
        self.run_records(sync.into_iter().fold(select, |select, sync| select.bind(sync.as_str()))).await
    }

    /// Stores what an open run has done so far. Returns whether an operator has asked for its end.
    pub async fn report_progress(&self, id: RunId, progress: RunProgress) -> Result<bool, Error> {
        let update = Statement::new(
            "update runs set progress = $2 where id = $1 and status in ('running', 'announcing') \
             returning cancel_requested_at",
        );
        let progress = serde_json::to_string(&progress).expect("counts are plain JSON");
        let row = self.database.row(update.bind(id.to_string()).bind(progress)).await?;
        Ok(row.map(|row| row.time_or_null("cancel_requested_at")).transpose()?.flatten().is_some())
    }

    /// The stored progress of a run.
    pub async fn run_progress(&self, id: RunId) -> Result<Option<RunProgress>, Error> {
        let select = Statement::new("select progress from runs where id = $1 and progress is not null");
        self.database.row(select.bind(id.to_string())).await?.map(|row| row.json("progress")).transpose()
    }

    /// Asks for the end of a run that has not begun to announce, at `now`. Returns whether there is such a run.
    pub async fn request_cancel(
        &self,
        id: RunId,
        principal: &Principal,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        let update = Statement::new(
            "update runs set cancel_requested_at = coalesce(cancel_requested_at, $2) \
             where id = $1 and status = 'running' returning sync",
        );
        let Some(row) = transaction.row(update.bind(id.to_string()).bind(now)).await? else {
            return Ok(false);
        };
        let (sync, detail) = (row.text("sync")?, Some(id.to_string()));
        audit::add(&mut transaction, &AuditEntry::new(now, principal, "run.cancel", &sync, detail)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The newest runs of a sync that began by `until`, newest first; at most [`RUNS_LISTED_MAX`].
    pub async fn runs_until(
        &self,
        sync: &CollectionName,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, Error> {
        let select =
            select_runs!("where sync = $1 and started_at <= $2 order by started_at desc, id desc limit $3");
        let select = select.bind(sync.as_str()).bind(until).bind(limit.min(RUNS_LISTED_MAX));
        self.run_records(select).await
    }

    /// The newest runs of a sync that were started by `trigger`, newest first; at most [`RUNS_LISTED_MAX`].
    pub async fn runs_started_by(
        &self,
        sync: &CollectionName,
        trigger: &str,
        limit: usize,
    ) -> Result<Vec<RunRecord>, Error> {
        let select =
            select_runs!("where sync = $1 and started_by = $2 order by started_at desc, id desc limit $3");
        let select = select.bind(sync.as_str()).bind(trigger).bind(limit.min(RUNS_LISTED_MAX));
        self.run_records(select).await
    }

    /// The newest runs that announced a version, newest first: of one sync or of all; at most
    /// [`RUNS_LISTED_MAX`].
    pub async fn announced_runs(
        &self,
        sync: Option<&CollectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, Error> {
        let select = select_runs!(
            "where status = 'announced' and sync = coalesce($1, sync) \
             order by started_at desc, id desc limit $2"
        );
        let sync = sync.map(|sync| sync.as_str().to_owned());
        self.run_records(select.bind(sync).bind(limit.min(RUNS_LISTED_MAX))).await
    }

    /// The runs of a sync that are under way or whose process died before it recorded their end; oldest first,
    /// at most [`RUNS_LISTED_MAX`].
    pub async fn open_runs(&self, sync: &CollectionName) -> Result<Vec<RunRecord>, Error> {
        let select = select_runs!(
            "where sync = $1 and status in ('running', 'announcing') order by started_at, id limit $2"
        );
        self.run_records(select.bind(sync.as_str()).bind(RUNS_LISTED_MAX)).await
    }

    /// The syncs that have open runs.
    pub async fn syncs_with_open_runs(&self) -> Result<Vec<CollectionName>, Error> {
        let select = Statement::new(
            "select distinct sync from runs where status in ('running', 'announcing') order by sync",
        );
        self.database.rows(select).await?.iter().map(|row| row.parsed("sync")).collect()
    }

    /// The newest run of a sync.
    pub async fn last_run(&self, sync: &CollectionName) -> Result<Option<RunRecord>, Error> {
        Ok(self.runs(Some(sync), 1).await?.pop())
    }

    /// The newest run of every sync that has one, by the sync's name.
    pub async fn last_runs(&self) -> Result<BTreeMap<CollectionName, RunRecord>, Error> {
        // One step into the index for each sync, however many runs it has.
        let select = select_runs!(
            "where id in (
                with recursive syncs (name) as (
                    select min(sync) from runs
                    union all
                    select (select min(sync) from runs where sync > syncs.name) from syncs where name is not null)
                select (select id from runs newest where newest.sync = syncs.name
                    order by started_at desc, id desc limit 1)
                from syncs where name is not null)"
        );
        let runs = self.run_records(select).await?;
        Ok(runs.into_iter().map(|run| (run.sync.clone(), run)).collect())
    }

    /// The held run of every sync that has one.
    pub async fn held_runs(&self) -> Result<BTreeMap<CollectionName, RunId>, Error> {
        let select = Statement::new("select sync, id from runs where status = 'held'");
        let rows = self.database.rows(select).await?;
        rows.iter().map(|row| Ok((row.parsed("sync")?, row.parsed("id")?))).collect()
    }

    /// The newest run that announced each of the versions from `lowest` to `highest` of a sync's collection, and its
    /// manifest; of the newest [`RUNS_LISTED_MAX`] runs.
    pub async fn announced_versions(
        &self,
        sync: &CollectionName,
        (lowest, highest): (Version, Version),
    ) -> Result<BTreeMap<Version, (RunRecord, RunManifest)>, Error> {
        let select = select_runs!(
            "where sync = $1 and version between $2 and $3 and status = 'announced' and manifest is not null \
             order by started_at desc, id desc limit $4"
        );
        let select = select.bind(sync.as_str()).bind(lowest.0).bind(highest.0).bind(RUNS_LISTED_MAX);
        let mut found = BTreeMap::new();
        for row in &self.database.rows(select).await? {
            let (run, manifest) = (record(row)?, run_manifest(row)?);
            let version = run.version.ok_or(Error::Unreadable("version"))?;
            found.entry(version).or_insert((run, manifest));
        }
        Ok(found)
    }

    /// Records the manifest that an open run has published, so that the run can be resolved when its process
    /// dies. Returns `false` when the run is not open.
    pub async fn set_run_manifest(&self, id: RunId, object: &str, sha256: Digest) -> Result<bool, Error> {
        let update = Statement::new(
            "update runs set manifest = $2, manifest_sha256 = $3 \
             where id = $1 and status in ('running', 'announcing')",
        );
        let update = update.bind(id.to_string()).bind(object).bind(sha256.to_string());
        Ok(self.database.execute(update).await? == 1)
    }

    /// The run with this id, if it is held.
    pub async fn held_run_by_id(&self, id: RunId) -> Result<Option<HeldRun>, Error> {
        let select = select_runs!("where id = $1 and status = 'held'").bind(id.to_string());
        self.database.row(select).await?.as_ref().map(held).transpose()
    }

    /// The held run of a sync; there is at most one.
    pub async fn held_run(&self, sync: &CollectionName) -> Result<Option<HeldRun>, Error> {
        let select = select_runs!("where sync = $1 and status = 'held'").bind(sync.as_str());
        self.database.row(select).await?.as_ref().map(held).transpose()
    }

    /// The manifests of runs that are held or whose announcement has no known outcome. Housekeeping keeps the
    /// objects that they reference.
    pub async fn manifests_in_use(&self) -> Result<Vec<String>, Error> {
        let select = Statement::new(
            "select manifest from runs where status in ('held', 'announcing') and manifest is not null",
        );
        self.database.rows(select).await?.iter().map(|row| row.text("manifest")).collect()
    }

    /// Whether anything was announced with this database: a version or a key set.
    pub async fn has_announced(&self) -> Result<bool, Error> {
        let select = Statement::new(
            "select only_row from key_set where announced > 0 \
             or exists (select id from runs where status = 'announced')",
        );
        Ok(self.database.row(select).await?.is_some())
    }

    /// The newest run that announced `version` of a sync's collection, and its manifest.
    pub async fn announced_run(
        &self,
        sync: &CollectionName,
        version: Version,
    ) -> Result<Option<(RunRecord, RunManifest)>, Error> {
        let select = select_runs!(
            "where sync = $1 and version = $2 and status = 'announced' and manifest is not null \
             order by started_at desc, id desc limit 1"
        );
        let row = self.database.row(select.bind(sync.as_str()).bind(version.0)).await?;
        row.map(|row| Ok((record(&row)?, run_manifest(&row)?))).transpose()
    }

    /// Whether this database knows that `version` of a sync's collection, or a later one, was announced or may have
    /// been.
    pub async fn has_version(&self, sync: &CollectionName, version: Version) -> Result<bool, Error> {
        let select = Statement::new(
            "select id from runs where sync = $1 and version >= $2 and status in ('announced', 'announcing') limit 1",
        );
        Ok(self.database.row(select.bind(sync.as_str()).bind(version.0)).await?.is_some())
    }

    /// Makes `run` the held run of its sync, with the manifest that it would announce and the one that it was
    /// compared with. An earlier held run becomes superseded. Returns `false` and changes nothing when the run
    /// has ended already.
    pub async fn hold_run(
        &self,
        run: &RunRecord,
        manifest: &str,
        sha256: Digest,
        from: Option<Digest>,
    ) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        let supersede = Statement::new(
            "update runs set status = 'superseded' where sync = $1 and status = 'held' and id <> $2",
        );
        transaction.execute(supersede.bind(run.sync.as_str()).bind(run.id.to_string())).await?;
        let hold = bind_record(
            update_runs!(", manifest = $11, manifest_sha256 = $12, held_from = $13"),
            run,
            crate::domain::run::RunStatus::Held.as_str(),
        );
        let hold = hold.bind(manifest).bind(sha256.to_string()).bind(from.map(|from| from.to_string()));
        if transaction.execute(hold).await? == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends the held run of a sync as superseded and returns its id, if there is one.
    pub async fn supersede_held(&self, sync: &CollectionName) -> Result<Option<RunId>, Error> {
        let update = Statement::new(
            "update runs set status = 'superseded' where sync = $1 and status = 'held' returning id",
        );
        let row = self.database.row(update.bind(sync.as_str())).await?;
        row.map(|row| row.parsed("id")).transpose()
    }

    /// Deletes runs, with their rejected rows, that are past the newest `keep_per_sync` of their sync or began
    /// before `older_than`, and returns their number. Keeps the newest run of a sync, open runs, held runs, and
    /// the newest `keep_announced` that announced a version: they lead to an earlier version when its catalog
    /// documents are gone.
    pub async fn prune_runs(
        &self,
        keep_per_sync: usize,
        keep_announced: usize,
        older_than: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let mut total = 0;
        loop {
            let delete = Statement::new(
                "delete from runs where id in (
                    select id from (
                        select id, status, started_at,
                            row_number() over (partition by sync order by started_at desc, id desc) as place,
                            row_number() over (partition by sync, status order by started_at desc, id desc)
                                as place_in_status
                        from runs) ranked
                    where status not in ('running', 'announcing', 'held')
                        and not (status = 'announced' and place_in_status <= $2)
                        and place > 1 and (place > $1 or started_at < $3)
                    limit $4)",
            );
            let delete = delete.bind(keep_per_sync).bind(keep_announced).bind(older_than).bind(PRUNE_BATCH);
            let deleted = self.database.execute(delete).await?;
            total += deleted;
            if deleted < PRUNE_BATCH as u64 {
                return Ok(total);
            }
        }
    }
}
