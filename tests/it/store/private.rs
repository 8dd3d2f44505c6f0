//! A directory store that exists already, with rights for every user of the machine.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use larder::{domain::keyset::KeySetDocument, store::Location};

use crate::support::catalog::{announcer, change, manifest, name, open_catalog, publish, quick};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Records, keys and documents in a directory with mode 0755 are not for every user. The group keeps its rights.
#[tokio::test]
async fn records_of_a_shared_directory_are_private() {
    for (root_mode, expected) in [(0o755, 0o750), (0o700, 0o700)] {
        let root = tempfile::tempdir().unwrap();
        let store = root.path().join("store");
        fs::create_dir(&store).unwrap();
        fs::set_permissions(&store, Permissions::from_mode(root_mode)).unwrap();
        let other = store.join("other");
        // One directory of an earlier release, and one that is not ours.
        for directory in [&store.join("keys"), &other] {
            fs::create_dir(directory).unwrap();
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        }
        let catalog = open_catalog(&Location::Directory(store.clone()));
        assert_eq!(mode(&store.join("keys")), 0o750, "at once");
        catalog.publish_key_set(&KeySetDocument::new(1, &[])).await.unwrap();
        let running = announcer(&catalog, None, quick());
        let entry = publish(&catalog, &manifest(&name("a"), 1, Vec::new())).await;
        running.handle.announce(change(&name("a"), None, &entry)).await.unwrap();
        running.end().await;
        for directory in ["catalog", "collections"] {
            assert_eq!(mode(&store.join(directory)), expected, "{directory}");
        }
        assert_eq!((mode(&store), mode(&other)), (root_mode, 0o755));
    }
}
