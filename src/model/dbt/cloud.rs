//! A job of dbt Cloud: its last successful run, and the manifest of that run.

use serde::Deserialize;

use super::place::ARTIFACT_BYTES_MAX;
use crate::{
    model::{error::Error, service::Service},
    support::secret::{ExposeSecret as _, SecretString},
};

/// The status of a run that succeeded.
const SUCCESS: i64 = 10;

/// A job. Its `Debug` shows no secret.
#[derive(Debug)]
pub(super) struct CloudJob {
    pub(super) service: Service,
    pub(super) account: u64,
    pub(super) job: u64,
    pub(super) token: SecretString,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    status: i64,
}

impl CloudJob {
    pub(super) fn shown(&self) -> String {
        format!("the manifest of job {} of account {}", self.job, self.account)
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let Self { service, account, token, .. } = self;
        let url = service.at(&format!("/api/v2/accounts/{account}/runs/{path}"));
        let request = service.endpoint.client.get(url).header("accept", "application/json");
        request.header("authorization", format!("Token {}", token.expose_secret()))
    }

    /// The newest run that succeeded.
    pub(super) async fn last_run(&self, project: &str) -> Result<u64, Error> {
        let job = self.job;
        let path = format!("?job_definition_id={job}&status={SUCCESS}&order_by=-id&limit=1");
        let what = format!("the runs of job {job}");
        let Listed { data } = self.service.json(&what, || self.get(&path)).await?;
        // Whatever the service makes of the filter.
        let run = data.into_iter().find(|run| run.status == SUCCESS);
        run.map(|run| run.id).ok_or_else(|| Error::DbtJobNotRun { project: project.to_owned(), job })
    }

    /// The manifest of that run.
    pub(super) async fn manifest(&self, project: &str) -> Result<Vec<u8>, Error> {
        let run = self.last_run(project).await?;
        let (path, what) = (format!("{run}/artifacts/manifest.json"), format!("the manifest of run {run}"));
        let answer = self.service.ask(&what, ARTIFACT_BYTES_MAX as usize, || self.get(&path)).await?;
        if answer.status.as_u16() == 404 {
            return Err(Error::DbtArtifactMissing { project: project.to_owned(), place: what });
        }
        self.service.succeeded(&what, answer)
    }
}
