//! A session with a server.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use russh::{
    client::{self, AuthResult, Handle},
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use russh_sftp::{
    client::{RawSftpSession, error::Error as SftpError},
    protocol::{FileAttributes, StatusCode},
};
use secrecy::ExposeSecret;

use super::{ENTRIES_MAX, Login, Server, fault, read::Stamp};
use crate::source::error::{Error, cause};

/// A request that has no answer for so long has failed.
const ANSWER_TIMEOUT_SECONDS: u64 = 60;
/// The server is asked whether it lives after so long without a word of it.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A session after the login. It ends when it is dropped.
pub(super) struct Session {
    pub(super) sftp: RawSftpSession,
    _connection: Handle<HostKeys>,
}

/// Checks the server's key, and keeps the fingerprint of one that is not accepted.
pub(super) struct HostKeys {
    accepted: Vec<String>,
    refused: Arc<OnceLock<String>>,
}

impl client::Handler for HostKeys {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let fingerprint = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256),
            PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().fingerprint(HashAlg::Sha256)
            }
        };
        let fingerprint = fingerprint.to_string();
        let is_accepted = self.accepted.contains(&fingerprint);
        if !is_accepted {
            let _ = self.refused.set(fingerprint);
        }
        Ok(is_accepted)
    }
}

impl Server {
    /// Connects and logs in, within the source's `connect_timeout`.
    pub(super) async fn connect(&self) -> Result<Session, Error> {
        let connected = tokio::time::timeout(self.connect_timeout, self.connect_unbounded()).await;
        connected.unwrap_or_else(|_| {
            let milliseconds = self.connect_timeout.as_millis();
            let message = format!("{} did not answer within {milliseconds} ms", self.address());
            Err(Error::new(cause::CONNECT_TIMEOUT, message).with_hint(
                "check host and port of the source's url, and that the server may be reached from here",
            ))
        })
    }

    async fn connect_unbounded(&self) -> Result<Session, Error> {
        let refused = Arc::new(OnceLock::new());
        let keys = HostKeys { accepted: self.host_keys.clone(), refused: Arc::clone(&refused) };
        let config = client::Config {
            keepalive_interval: Some(KEEPALIVE_INTERVAL),
            nodelay: true,
            ..client::Config::default()
        };
        let failed = |error| fault::of_connecting(&error, &self.address(), refused.get());
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let mut connection = client::connect(Arc::new(config), address, keys).await.map_err(failed)?;
        let answer = self.log_in(&mut connection).await.map_err(failed)?;
        if !answer.success() {
            return Err(fault::login_refused(&self.address()));
        }
        let channel = connection.channel_open_session().await.map_err(failed)?;
        channel.request_subsystem(true, "sftp").await.map_err(failed)?;
        let sftp = RawSftpSession::new(channel.into_stream());
        sftp.set_timeout(ANSWER_TIMEOUT_SECONDS);
        sftp.init().await.map_err(|error| fault::of_session(&error, &self.address()))?;
        Ok(Session { sftp, _connection: connection })
    }

    async fn log_in(&self, connection: &mut Handle<HostKeys>) -> Result<AuthResult, russh::Error> {
        match &self.login {
            Login::Password(password) => {
                connection.authenticate_password(&self.user, password.expose_secret()).await
            }
            Login::Key(key) => {
                // A server that does not say what it takes is of our time, as a rule.
                let hash = if key.algorithm().is_rsa() {
                    connection.best_supported_rsa_hash().await?.unwrap_or(Some(HashAlg::Sha512))
                } else {
                    None
                };
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                connection.authenticate_publickey(&self.user, key).await
            }
        }
    }
}

impl Session {
    /// Fails when the directory cannot be read.
    pub(super) async fn check_directory(&self, path: &str) -> Result<(), Error> {
        let failed = |error: SftpError| fault::of_path(&error, path);
        let handle = self.sftp.opendir(path).await.map_err(failed)?.handle;
        self.sftp.close(handle).await.map(drop).map_err(failed)
    }

    /// The entries of a directory, without itself and the one above; of a link the attributes are those of what it
    /// leads to. Ends early with more than [`ENTRIES_MAX`].
    pub(super) async fn list(&self, path: &str) -> Result<Vec<(String, FileAttributes)>, Error> {
        let failed = |error: SftpError| fault::of_path(&error, path);
        let handle = self.sftp.opendir(path).await.map_err(failed)?.handle;
        let mut entries = Vec::new();
        while entries.len() <= ENTRIES_MAX {
            match self.sftp.readdir(handle.as_str()).await {
                // A server that answers with nothing could do so for ever.
                Ok(names) if names.files.is_empty() => break,
                Ok(names) => {
                    let is_entry = |name: &str| !matches!(name, "." | "..") && !name.contains('/');
                    let names = names.files.into_iter().filter(|file| is_entry(&file.filename));
                    entries.extend(names.map(|file| (file.filename, file.attrs)));
                }
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(failed(error)),
            }
        }
        self.sftp.close(handle).await.map_err(failed)?;
        for (name, attributes) in &mut entries {
            if attributes.file_type().is_symlink() {
                // A link that leads nowhere is no file.
                let target = self.sftp.stat(format!("{path}/{name}")).await;
                *attributes = target.map(|found| found.attrs).unwrap_or_default();
            }
        }
        Ok(entries)
    }

    /// What changes when the file at `path` is written to; `None` when there is no such file.
    pub(super) async fn file(&self, path: &str) -> Result<Option<Stamp>, Error> {
        match self.sftp.stat(path).await {
            Ok(found) => Ok(Stamp::of(&found.attrs)),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(error) => Err(fault::of_path(&error, path)),
        }
    }
}
