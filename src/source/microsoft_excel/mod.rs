//! A workbook of Excel in OneDrive or SharePoint, which Microsoft Graph gives: a sheet, whose first row names the columns.
//!
//! <https://learn.microsoft.com/graph/api/driveitem-get-content>

mod fault;
mod session;
mod settings;
mod token;

use async_trait::async_trait;

use self::token::Login;
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, cause},
    files::{RowReader as _, SQL_UNSUPPORTED, Workbook, blocking},
    http::Endpoint,
    rows::RowSender,
};
use crate::{domain::row::Column, support::secret::SecretString};

pub(super) const TYPE: SourceType = SourceType { name: "microsoft_excel", causes: &[], open: settings::open };

/// A workbook.
struct MicrosoftExcel {
    /// Microsoft Graph.
    endpoint: Endpoint,
    login: Login,
    /// The workbook below the API's address, percent-encoded. An address that a workbook is shared by may open it for
    /// everybody, so it is never printed.
    item: SecretString,
}

impl std::fmt::Debug for MicrosoftExcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MicrosoftExcel").field("client_id", &self.login.client_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for MicrosoftExcel {
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        sheet(query).map(drop)
    }

    async fn check(&self) -> Result<(), Error> {
        self.find().await.map(drop)
    }

    async fn tables(&self) -> Result<Tables, Error> {
        let workbook = self.download().await?;
        Ok(Tables::Listed(blocking(move || workbook.sheets()).await?))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let (sheet, chosen) = sheet(query)?;
        let workbook = self.download().await?;
        blocking(move || Ok(workbook.open(&sheet, chosen.as_deref())?.columns().to_vec())).await
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let (sheet, chosen) = sheet(query)?;
        let workbook = self.download().await?;
        let described = columns.to_vec();
        rows.read_blocking(move |rows| {
            let mut reader = workbook.open(&sheet, chosen.as_deref())?;
            check_unchanged(&described, reader.columns())?;
            let mut left = limit.unwrap_or(u64::MAX);
            while left > 0 && reader.read_row(&mut rows.batch)? {
                left -= 1;
                if rows.is_full() && rows.send_blocking().is_err() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }
}

/// The sheet of a query, and the columns that it chooses.
fn sheet(query: &Query) -> Result<(String, Option<Vec<String>>), Error> {
    let Query::Table { name, columns } = query else {
        return Err(Error::new(SQL_UNSUPPORTED, "a workbook cannot be queried with SQL").with_hint(
            "name a sheet of it instead: `table = \"Sheet1\"` of a model, `--table Sheet1` of a command",
        ));
    };
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err(Error::new(cause::TABLE_NAME_INVALID, "this is not the name of a sheet")
            .with_hint("write the name as the tab below the sheet has it"));
    }
    Ok((name.clone(), columns.clone()))
}
