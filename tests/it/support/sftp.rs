//! A server of OpenSSH for its own user, with keys of its own.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::service::Service;

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Sftp {
    /// Its directory is the server's `/`, as far as a test goes.
    pub(crate) directory: TempDir,
    user: String,
    service: Service,
}

impl Sftp {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        make_key("ed25519", &at("host_key"), "");
        make_key("rsa", &at("login_key"), "open sesame");
        fs::copy(at("login_key.pub"), at("authorized_keys")).unwrap();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        if user.trim() == "root" {
            // OpenSSH wants this directory when it runs as root. It may be there.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication yes\nSubsystem sftp internal-sftp\n",
            at("host_key"),
            at("authorized_keys")
        );
        fs::write(at("sshd_config"), config).unwrap();
        let service = Service::start(Path::new(SSHD), |address| {
            let (port, listen) =
                (format!("-p{}", address.port()), format!("-oListenAddress={}", address.ip()));
            ["-D", "-e", "-f", &at("sshd_config"), &port, &listen].map(str::to_owned).to_vec()
        })
        .await;
        Self { directory, user: user.trim().to_owned(), service }
    }

    /// The URL of a directory below [`Sftp::directory`].
    pub(crate) fn url(&self, directory: &str) -> String {
        let path = self.directory.path().join(directory);
        format!("sftp://{}@{}{}", self.user, self.service.address, path.display())
    }

    /// `key_file`, `key_passphrase` and `host_key`.
    pub(crate) fn access(&self) -> String {
        let key = self.directory.path().join("login_key");
        format!("key_file = {key:?}\nkey_passphrase = \"open sesame\"\nhost_key = {:?}\n", self.host_key())
    }

    /// The fingerprint of the server's key.
    pub(crate) fn host_key(&self) -> String {
        let key = self.directory.path().join("host_key.pub");
        let shown = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap().stdout;
        String::from_utf8(shown).unwrap().split(' ').nth(1).unwrap().to_owned()
    }
}

fn make_key(kind: &str, path: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f", path]).status();
    assert!(made.unwrap().success());
}
