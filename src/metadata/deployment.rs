//! Which database this is, and which deployment it belongs to.

use super::{Error, Metadata, statement::Statement};
use crate::domain::{DeploymentId, MetadataId};

impl Metadata {
    /// The id of this database, which its migration has made. A restored backup has the same.
    pub async fn id(&self) -> Result<MetadataId, Error> {
        let row = self.database.row(Statement::new("select id from database_id where only_row = 1")).await?;
        row.ok_or(Error::Unreadable("id"))?.parsed("id")
    }

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
        self.deployment().await?.ok_or(Error::Unreadable("id"))
    }

    /// Removes the deployment `id`, in which nothing was announced with this database.
    pub async fn forget_deployment(&self, id: DeploymentId) -> Result<(), Error> {
        let delete = Statement::new("delete from deployment where id = $1");
        self.database.execute(delete.bind(id.to_string())).await.map(drop)
    }
}
