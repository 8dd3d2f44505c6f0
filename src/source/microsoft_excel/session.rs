//! The requests of one call: the workbook's version, its content behind a pre-authenticated address, its version again.

use reqwest::{Response, StatusCode, Url, header::LOCATION};
use serde::{Deserialize, de::IgnoredAny};

use super::{MicrosoftExcel, Workbook, fault};
use crate::{
    source::{
        error::{Error, cause, connection_lost, malformed},
        files::WORKBOOK_BYTES_MAX,
    },
    support::secret::ExposeSecret as _,
};

/// What an answer should have of an item.
const FIELDS: &str = "id,name,size,eTag,cTag,file,parentReference";
/// Most bytes of such an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A file of a drive.
#[derive(Deserialize)]
pub(super) struct Item {
    id: String,
    name: String,
    #[serde(default)]
    size: u64,
    /// Changes with the content of a file.
    #[serde(rename = "cTag")]
    content_tag: Option<String>,
    /// Changes with anything of a file.
    #[serde(rename = "eTag")]
    tag: Option<String>,
    /// Absent for folders.
    file: Option<IgnoredAny>,
    #[serde(rename = "parentReference")]
    parent: Parent,
}

#[derive(Deserialize)]
struct Parent {
    #[serde(rename = "driveId")]
    drive: String,
}

impl Item {
    fn version(&self) -> Result<&str, Error> {
        let tag = self.content_tag.as_deref().or(self.tag.as_deref());
        tag.ok_or_else(|| malformed("the workbook has no version"))
    }
}

impl MicrosoftExcel {
    /// Finds the workbook.
    pub(super) async fn find(&self) -> Result<Item, Error> {
        let item = self.item(self.api(self.item.expose_secret())?).await?;
        if item.file.is_none() {
            return Err(Error::new(cause::FILE_MISSING, format!("`{}` is a folder", item.name))
                .with_hint("name a workbook in it"));
        }
        if item.size > WORKBOOK_BYTES_MAX {
            return Err(malformed(format_args!("{} has more than {WORKBOOK_BYTES_MAX} bytes", item.name)));
        }
        Ok(item)
    }

    /// The workbook in one version.
    pub(super) async fn download(&self) -> Result<Workbook, Error> {
        let item = self.find().await?;
        // By its id: another file that takes its name meanwhile is not read.
        let mut url = self.api("drives")?;
        let mut content_url = url.clone();
        for (url, last) in [(&mut url, None), (&mut content_url, Some("content"))] {
            let mut path = url.path_segments_mut().map_err(|()| malformed("its address"))?;
            path.extend([&*item.parent.drive, "items", &*item.id]).extend(last);
        }
        let bytes = self.content(content_url).await?;
        if self.item(url).await?.version()? != item.version()? {
            let message = format!("{} changed while it was read", item.name);
            return Err(Error::new(cause::FILE_CHANGED, message).with_hint("the run will be tried again"));
        }
        Ok(Workbook::new(item.name, bytes))
    }

    fn api(&self, path: &str) -> Result<Url, Error> {
        self.endpoint.url.join(&format!("/v1.0/{path}")).map_err(|_| malformed("its address"))
    }

    async fn item(&self, mut url: Url) -> Result<Item, Error> {
        url.query_pairs_mut().append_pair("$select", FIELDS);
        let response = self.get(&url).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let body = self.endpoint.body(response, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|_| malformed("it is no file of a drive"))
    }

    async fn content(&self, url: Url) -> Result<Vec<u8>, Error> {
        let response = self.get(&url).await?;
        match response.status() {
            StatusCode::OK => return self.endpoint.body(response, WORKBOOK_BYTES_MAX as usize).await,
            status if status.is_redirection() => {}
            _ => return Err(self.refused(response).await),
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|text| url.join(text).ok());
        let location = location.ok_or_else(|| malformed("the workbook has no address"))?;
        if location.scheme() != "https" && self.endpoint.url.scheme() == "https" {
            return Err(malformed("the address of the workbook is without TLS"));
        }
        // The address itself is the credential: the token must not go to another server.
        let server = self.endpoint.at(location.clone());
        let response = server.send(|| server.client.get(location.clone())).await?;
        match response.status() {
            StatusCode::OK => server.body(response, WORKBOOK_BYTES_MAX as usize).await,
            status => Err(connection_lost(format_args!(
                "{} does not give the workbook: HTTP status {status}",
                server.address
            ))),
        }
    }

    /// Sends a request with a token; with another one when the first is refused, which may have been revoked.
    async fn get(&self, url: &Url) -> Result<Response, Error> {
        let token = self.login.token(None).await?;
        let send = async |token: &str| {
            self.endpoint.send(|| self.endpoint.client.get(url.clone()).bearer_auth(token)).await
        };
        let response = send(token.expose_secret()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        send(self.login.token(Some(&token)).await?.expose_secret()).await
    }

    async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let body = self.endpoint.refusal(response).await;
        fault::of_graph(&body, status).unwrap_or_else(|| self.endpoint.unexpected(status))
    }
}
