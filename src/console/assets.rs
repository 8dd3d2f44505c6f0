//! Files of the pages, which are part of the binary. Their names have a hash of their content, so that browsers keep
//! them for good.

use std::sync::LazyLock;

use crate::domain::Digest;

/// Below this path are the files.
pub const PATH: &str = "/console/assets";
/// Characters of the digest that a name has: enough that two releases never share a name.
const HASH_CHARS: usize = 16;

/// A file.
#[derive(Debug)]
pub struct Asset {
    name: String,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub text: &'static str,
}

/// The style sheet of every page.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")));
/// The icon of every page.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));
/// The module of pages with forms.
pub(super) static FORMS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("forms", "js", "text/javascript; charset=utf-8", include_str!("assets/forms.js"))
});
/// The module of the form of a sync.
pub(super) static ENTRY: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("entry", "js", "text/javascript; charset=utf-8", include_str!("assets/entry.js"))
});
/// The module that keeps the page of a run up to date.
pub(super) static WATCH: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("watch", "js", "text/javascript; charset=utf-8", include_str!("assets/watch.js"))
});

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, text: &'static str) -> Self {
        let digest = Digest::of(text.as_bytes()).to_string();
        Self { name: format!("{stem}-{}.{extension}", &digest[..HASH_CHARS]), content_type, text }
    }

    /// Its path on the listener.
    pub(super) fn path(&self) -> String {
        format!("{PATH}/{}", self.name)
    }
}

/// The file of this name.
pub fn find(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*ICON, &*FORMS, &*ENTRY, &*WATCH].into_iter().find(|asset| asset.name == name)
}
