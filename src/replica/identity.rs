//! Who a node is: 128 random bits in `data_dir`, made once.

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
/// Longest content read: an id and a line's end.
const BYTES_MAX: u64 = 64;

/// The node's id, from `data_dir`, or a new one that is written there (0600). One that cannot be kept
/// holds for this process, and the log says so: a full disk keeps no node from serving. Blocks.
pub fn node_id(data_dir: &Path) -> NodeId {
    let path = data_dir.join(FILE);
    match read(&path) {
        Ok(Some(id)) => return id,
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the node's id cannot be read; it gets a new one");
        }
    }
    let id = NodeId::from_uuid(random::uuid());
    if let Err(error) = write(data_dir, &path, id) {
        tracing::warn!(
            path = %path.display(), %error,
            "the node's id cannot be kept; after a restart it is another node in `larder status`"
        );
    }
    id
}

/// `None` when there is no file yet.
fn read(path: &Path) -> io::Result<Option<NodeId>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    text.trim().parse().map(Some).map_err(io::Error::other)
}

/// Whole or not at all: a temporary file, then its name.
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
    fn an_id_is_made_once_and_made_anew_when_it_is_damaged() {
        let root = tempfile::tempdir().unwrap();
        let first = node_id(root.path());
        assert_eq!(node_id(root.path()), first);
        let path = root.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(node_id(tempfile::tempdir().unwrap().path()), first);

        for damaged in ["", "node_7", "\u{0}\u{0}\u{0}", &"x".repeat(1000)] {
            fs::write(&path, damaged).unwrap();
            let anew = node_id(root.path());
            assert_ne!(anew, first);
            assert_eq!(node_id(root.path()), anew);
        }
        let _ = node_id(&root.path().join("missing"));
    }
}
