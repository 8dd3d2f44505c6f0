//! Files of a server that speaks SFTP, version 3 of the SSH file transfer protocol
//! (<https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02>), as OpenSSH does.

mod connection;
mod fault;
mod read;
mod settings;

use std::{fmt, sync::Arc, time::Duration};

use russh::keys::PrivateKey;
use secrecy::SecretString;

use self::connection::Session;
pub(super) use self::read::{RemoteFile, SftpReader, Stamp};
use super::{
    blocking,
    pattern::Pattern,
    place::{DEPTH_MAX, ENTRIES_MAX, Entry, FILES_MAX, Found, too_many_entries},
};
use crate::{
    settings::{item::Item, section::Section},
    source::{driver::OpenOptions, error::Error},
};

/// A directory of a server. Its `Debug` shows no secret.
pub(super) struct Server {
    /// A name or an address; one of IPv6 in brackets.
    host: String,
    port: u16,
    user: String,
    /// The directory, for the server: absolute, or from the directory of the login.
    directory: String,
    login: Login,
    /// Fingerprints of the keys that the server may have, as `SHA256:...`.
    host_keys: Vec<String>,
    connect_timeout: Duration,
}

enum Login {
    Password(SecretString),
    Key(Arc<PrivateKey>),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.shown()).finish()
    }
}

impl Server {
    /// Reads the place that `url`, which begins with `sftp://`, names, and the table `sftp`.
    pub(super) fn read(section: &Section<'_>, url: &Item<'_>, options: &OpenOptions<'_>) -> Option<Self> {
        settings::read(section, url, options)
    }

    /// The place in words.
    pub(super) fn shown(&self) -> String {
        format!("{} of {}", self.directory, self.address())
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The path of a file below the place.
    fn path(&self, name: &str) -> String {
        match (self.directory.as_str(), name) {
            (directory, "") => directory.to_owned(),
            ("/", name) => format!("/{name}"),
            (directory, name) => format!("{directory}/{name}"),
        }
    }

    /// Connects, and looks into the directory.
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.connect().await?.check_directory(&self.path("")).await
    }

    /// Connects, and finds the files that `pattern` matches. The connection stays open for reading them.
    pub(super) async fn snapshot(
        self: &Arc<Self>,
        pattern: &Pattern,
    ) -> Result<(Arc<SftpReader>, Found), Error> {
        let (server, pattern) = (Arc::clone(self), pattern.clone());
        blocking(move || {
            let reader = SftpReader::connect(server)?;
            let found = reader.run(|session, server| files(session, server, &pattern))?;
            Ok((Arc::new(reader), found))
        })
        .await
    }
}

async fn files(session: Arc<Session>, server: &Server, pattern: &Pattern) -> Result<Found, Error> {
    if pattern.is_literal() {
        let name = pattern.text().to_owned();
        let stamp = session.file(&server.path(&name)).await?;
        return Ok(Found::of(stamp.map(|stamp| Entry::Remote { name, stamp }).into_iter().collect()));
    }
    let (mut found, mut entries) = (Found::default(), 0);
    let mut directories = vec![(pattern.root().to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for (name, attributes) in session.list(&server.path(&directory)).await? {
            entries += 1;
            if entries > ENTRIES_MAX {
                return Err(too_many_entries(&server.shown()));
            }
            // The client puts this character in place of bytes that are not UTF-8.
            let is_text = !name.contains(char::REPLACEMENT_CHARACTER);
            let name = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            let is_directory = attributes.file_type().is_dir();
            if !pattern.may_mean(&name, is_directory) {
                continue;
            }
            if !is_text {
                found.misnamed.get_or_insert_with(|| server.path(&directory));
            } else if !is_directory {
                let stamp = Stamp::of(&attributes).filter(|_| found.files.len() <= FILES_MAX);
                found.files.extend(stamp.map(|stamp| Entry::Remote { name, stamp }));
            } else if depth < DEPTH_MAX {
                directories.push((name, depth + 1));
            }
        }
    }
    Ok(found)
}
