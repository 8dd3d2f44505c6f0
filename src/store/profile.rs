//! Credentials from a profile of Amazon's credentials file
//! (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>).

use std::path::{Path, PathBuf};

use crate::{
    settings::{Environment, Section, read_bounded},
    support::secret::SecretString,
};

/// Largest credentials file; one with a hundred profiles has 20 kB.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Keys of a profile that are credentials. Each is an option of the client, too.
const CREDENTIALS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

/// The file of profiles: `configured`, else the environment's, else that of the user.
pub(super) fn file(configured: Option<PathBuf>, env: &Environment) -> Option<PathBuf> {
    let named = env.get("AWS_SHARED_CREDENTIALS_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let of_user = || env.get("HOME").map(|home| Path::new(home).join(".aws/credentials"));
    configured.or(named).or_else(of_user)
}

/// The credentials of profile `name` in `file`, as options of the client. Reports why there are none.
pub(super) fn read(section: &Section<'_>, name: &str, file: &Path) -> Option<Vec<(String, SecretString)>> {
    let text = match read_bounded(file, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("has a profile of {}, which cannot be read: {error}", file.display());
            let hint = "write credentials_file, or set AWS_SHARED_CREDENTIALS_FILE".to_owned();
            return section.fail(message, hint);
        }
    };
    let found = credentials(&text, name);
    if CREDENTIALS[..2].iter().all(|needed| found.iter().any(|(key, _)| key == needed)) {
        return Some(found.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect());
    }
    section.fail(
        format!("has a profile that has no keys in {}", file.display()),
        "name a profile with aws_access_key_id and aws_secret_access_key; roles, SSO and processes of a profile are \
         not used"
            .to_owned(),
    )
}

fn credentials<'a>(text: &'a str, profile: &str) -> Vec<(&'static str, &'a str)> {
    let mut is_inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_inside = name.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_inside) {
            let known = CREDENTIALS.iter().find(|known| **known == key.trim().to_ascii_lowercase());
            found.extend(known.map(|known| (*known, value.trim())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_profile_is_read() {
        let text = "# a comment = x\n[default]\naws_access_key_id = a\naws_secret_access_key=b\n\
                    [ work ]\nregion = eu\nAWS_ACCESS_KEY_ID = c=\n; aws_session_token = no\naws_session_token = d\n";
        assert_eq!(
            credentials(text, "default"),
            [("aws_access_key_id", "a"), ("aws_secret_access_key", "b")]
        );
        assert_eq!(credentials(text, "work"), [("aws_access_key_id", "c="), ("aws_session_token", "d")]);
        assert!(credentials(text, "other").is_empty());
    }
}
