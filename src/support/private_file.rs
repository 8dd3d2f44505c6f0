//! Files and directories that only their owner can read.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Creates `path` and its missing parents with mode 0700. An existing directory is not changed; an empty
/// path is the working directory, which exists.
pub fn create_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Options that create a file with mode 0600.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn new_files_are_private_and_existing_modes_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        create_directory(&inner).unwrap();
        assert_eq!((mode(&inner), mode(&root.path().join("a"))), (0o700, 0o700));

        let file = inner.join("f");
        options().write(true).create_new(true).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);

        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
        create_directory(&inner).unwrap();
        assert_eq!(mode(&inner), 0o755);
        assert!(create_directory(&file).is_err(), "a file is no directory");
        create_directory(Path::new("")).unwrap();
    }
}
