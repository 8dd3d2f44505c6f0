//! Which deployment this database belongs to.

use super::{Error, Metadata, statement::Statement};
use crate::domain::id::DeploymentId;

impl Metadata {
    /// The deployment; `None` before the first catalog document.
    pub async fn deployment(&self) -> Result<Option<DeploymentId>, Error> {
        let row = self.database.row(Statement::new("select id from deployment where only_row = 1")).await?;
        row.map(|row| row.parsed("id")).transpose()
    }

    /// Sets the deployment unless one is set, and returns the one that is set then.
    pub async fn fix_deployment(&self, id: DeploymentId) -> Result<DeploymentId, Error> {
        let insert = Statement::new(
            "insert into deployment (only_row, id, fixed_at) values (1, $1, $2) on conflict (only_row) do nothing",
        );
        self.database.execute(insert.bind(id.to_string()).bind(self.clock.now())).await?;
        self.deployment().await?.ok_or(Error::Unreadable { column: "id" })
    }
}
