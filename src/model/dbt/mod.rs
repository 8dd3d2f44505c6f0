//! Models of dbt: a name in the manifest of a project becomes the relation that dbt builds, or its compiled SQL.

mod adapter;
mod cloud;
mod invocation;
mod manifest;
mod place;
mod settings;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

pub use self::invocation::Invocation;
pub(crate) use self::settings::SECTION;
pub(super) use self::settings::{Selector, read};
use self::{
    invocation::{Command, Stamp, read_run_results},
    manifest::Manifest,
    place::{FileStamp, Place},
};
use super::{Target, error::Error};
use crate::{domain::CollectionName, support::blocking};

/// A project, `[dbt.NAME]`. Cheap to clone. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct DbtProject(Arc<Project>);

struct Project {
    name: String,
    place: Place,
    poll_interval: Duration,
    /// The last poll. Syncs that wait for the same project share it.
    polled: Mutex<Option<Poll>>,
}

/// What was found when it was looked up whether dbt has run.
struct Poll {
    at: Instant,
    /// The version of the file that was read, when the results are a file.
    stamp: Option<FileStamp>,
    invocation: Option<Invocation>,
}

impl fmt::Debug for DbtProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DbtProject({}, {})", self.0.name, self.0.place.shown())
    }
}

/// Two projects are equal when they are one section of one configuration.
impl PartialEq for DbtProject {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DbtProject {}

impl DbtProject {
    fn new(name: &str, place: Place, poll_interval: Duration) -> Self {
        Self(Arc::new(Project { name: name.to_owned(), place, poll_interval, polled: Mutex::default() }))
    }

    /// How often it is looked up whether dbt has run.
    pub fn poll_interval(&self) -> Duration {
        self.0.poll_interval
    }

    /// The newest invocation that has built models. One that was seen stays known while later ones only compile or
    /// document the project, since a run after it may have to be tried again. Within a poll interval the answer is
    /// the same.
    ///
    /// # Errors
    /// The results of the last run cannot be read.
    pub async fn newest_build(&self) -> Result<Option<Invocation>, Error> {
        let mut polled = self.0.polled.lock().await;
        if let Some(last) = &*polled
            && last.at.elapsed() < self.0.poll_interval / 2
        {
            return Ok(last.invocation.clone());
        }
        // Taken before the file is read: one that changes meanwhile is read again.
        let stamp = self.0.place.stamp().await;
        let is_unchanged = stamp.is_some() && polled.as_ref().is_some_and(|last| last.stamp == stamp);
        let known = polled.as_ref().and_then(|last| last.invocation.clone());
        let invocation = match &self.0.place {
            _ if is_unchanged => known,
            Place::Cloud(job) => Some(Invocation::of_job(job.last_run(self.name()).await?)),
            place => match read_run_results(self.name(), place).await? {
                Command::Build(invocation) => Some(invocation),
                Command::Other(last) => known.map(|known| known.before(last)),
            },
        };
        *polled = Some(Poll { at: Instant::now(), stamp, invocation: invocation.clone() });
        Ok(invocation)
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    /// Reads the manifest and takes out of it what `find` wants.
    async fn with_manifest<T: Send + 'static>(
        &self,
        find: impl FnOnce(&Manifest<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let bytes = self.0.place.manifest(self.name()).await?;
        let project = self.clone();
        let read = move || {
            let manifest = Manifest::parse(&bytes).map_err(|error| Error::DbtArtifactInvalid {
                project: project.name().to_owned(),
                place: project.0.place.shown(),
                reason: format!("line {}, column {}", error.line(), error.column()),
            })?;
            find(&manifest)
        };
        // A manifest may have a hundred megabytes.
        blocking::run(read).await.unwrap_or_else(|| {
            Err(Error::DbtArtifactUnreadable {
                project: self.name().to_owned(),
                place: self.0.place.shown(),
                reason: "the process ends".to_owned(),
            })
        })
    }
}

/// A model of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DbtModel {
    pub(super) project: DbtProject,
    pub(super) selector: Selector,
    /// Whether the primary key is what dbt says, because the model does not say it.
    pub(super) infers_key: bool,
}

impl DbtModel {
    pub(super) fn is_of(&self, project: &DbtProject) -> bool {
        self.project == *project
    }

    /// The SQL that reads the model.
    pub(super) async fn resolve(&self, target: Target<'_>) -> Result<String, Error> {
        let (selector, sync) = (self.selector.clone(), target.sync.clone());
        let (source_type, project) = (target.source.type_name(), self.project.name().to_owned());
        let key = target.primary_key.filter(|_| self.infers_key).map(str::to_owned);
        self.project
            .with_manifest(move |manifest| {
                let named = manifest.named(&project);
                adapter::check(&project, manifest.adapter(), source_type)?;
                let (id, node) = named.find(&selector, &sync)?;
                if let Some(key) = key {
                    named.check_key(id, node, &key)?;
                }
                named.sql(node)
            })
            .await
    }

    /// Whether `invocation` has built it. An error says that the manifest is that of an earlier command, or that the last command did
    /// not compile an ephemeral model.
    pub(super) async fn is_built_by(
        &self,
        invocation: &Invocation,
        sync: &CollectionName,
    ) -> Result<bool, Error> {
        let (selector, sync, invocation) = (self.selector.clone(), sync.clone(), invocation.clone());
        let (project, place) = (self.project.name().to_owned(), self.project.0.place.shown());
        self.project
            .with_manifest(move |manifest| {
                let check_age = |results: &Stamp| {
                    if !invocation.is_of_results() || manifest.is_as_new_as(results) {
                        return Ok(());
                    }
                    Err(Error::DbtManifestOutdated {
                        project: project.clone(),
                        place: place.clone(),
                        generated_at: manifest.generated_at().to_owned(),
                        results_at: results.generated_at.to_string(),
                    })
                };
                check_age(invocation.stamp())?;
                let named = manifest.named(&project);
                let (id, node) = named.find(&selector, &sync)?;
                let is_built = invocation.has_built(id, manifest);
                if is_built && let Err(error) = named.sql(node) {
                    // A manifest that comes later may have the SQL.
                    return check_age(invocation.last()).and(Err(error));
                }
                Ok(is_built)
            })
            .await
    }
}
