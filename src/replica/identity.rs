//! The node's id: 128 random bits, created once and kept in `data_dir`.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use crate::{
    domain::id::NodeId,
    support::{private_file, random},
};

/// The file in `data_dir`.
const FILE: &str = "node-id";
/// Most bytes read: an id and a line break.
const BYTES_MAX: u64 = 64;

/// Reads the node's id from `data_dir`, or creates one and writes it there (mode 0600). Blocks.
///
/// When the id cannot be written, it holds for this process and a warning is logged: a node with a full disk
/// must still serve.
pub fn node_id(data_dir: &Path) -> NodeId {
    let path = data_dir.join(FILE);
    match read(&path) {
        Ok(Some(id)) => return id,
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the node's id; creating a new one");
        }
    }
    let id = NodeId::from_uuid(random::uuid());
    if let Err(error) = write(data_dir, &path, id) {
        tracing::warn!(
            path = %path.display(), %error,
            "cannot write the node's id; after a restart `larder status` shows a new node"
        );
    }
    id
}

/// Returns `None` when there is no file yet.
fn read(path: &Path) -> io::Result<Option<NodeId>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    text.trim().parse().map(Some).map_err(io::Error::other)
}

/// Writes a temporary file and renames it, so that the file is complete or absent.
fn write(data_dir: &Path, path: &Path, id: NodeId) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = private_file::options().write(true).create(true).truncate(true).open(&temporary)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn node_id_is_created_once_and_replaced_when_damaged() {
        let root = tempfile::tempdir().unwrap();
        let first = node_id(root.path());
        assert_eq!(node_id(root.path()), first);
        let path = root.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(node_id(tempfile::tempdir().unwrap().path()), first);

        for damaged in ["", "node_7", "\u{0}\u{0}\u{0}", &"x".repeat(1000)] {
            fs::write(&path, damaged).unwrap();
            let replacement = node_id(root.path());
            assert_ne!(replacement, first);
            assert_eq!(node_id(root.path()), replacement);
        }
        let _ = node_id(&root.path().join("missing"));
    }
}
