//! Other users: a part of a test that has the rights of another user, when the tests run as root.

use std::{fs, os::unix::fs::chown, path::Path, thread};

use rustix::{
    fs::{Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

/// A user without a name, a group or a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User(u32);

/// The user whose files are read.
pub(crate) const OWNER: User = User(61_201);
/// The user who reads them.
pub(crate) const READER: User = User(61_202);

/// Whether this process may act for other users. Tests of other users' rights say so and end without it.
pub(crate) fn can_act_for_others() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can act for another user");
    }
    is_root
}

impl User {
    /// Runs `work` with this user's rights, in a thread of its own, with a runtime of that thread. Linux keeps
    /// rights for each thread.
    pub(crate) fn run<T: Send>(self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let run = || {
            let (user, group) = (Uid::from_raw(self.0), Gid::from_raw(self.0));
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(user, user, user).unwrap();
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
        };
        thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    /// Makes `path` this user's.
    pub(crate) fn takes(self, path: &Path) {
        chown(path, Some(self.0), Some(self.0)).unwrap();
    }

    /// Whether every file in `directory` is this user's.
    pub(crate) fn owns_all_in(self, directory: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let mut files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().metadata().unwrap());
        files.all(|file| (file.uid(), file.gid()) == (self.0, self.0))
    }
}
