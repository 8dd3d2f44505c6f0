//! Where drivers are found: files of libraries, and manifests that name them.
//!
//! The places and the manifests are those of the standard:
//! <https://arrow.apache.org/adbc/current/format/driver_manifests.html>.

use std::{
    env::consts::{ARCH, DLL_PREFIX, DLL_SUFFIX, OS},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::kinds;
use crate::{
    settings::Environment,
    source::{
        error::{Error, cause},
        file::regular,
    },
};

/// Longest manifest that is read, in bytes: one has about twenty lines.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;
/// Most files of a directory that are looked at.
const FILES_MAX: usize = 10_000;

/// A driver as a configuration names it.
#[derive(Debug, Clone)]
pub(super) enum DriverName {
    /// A file.
    File(DriverFile),
    /// A name that is looked up in the directories.
    Named { name: String, entrypoint: Option<String>, directories: Vec<PathBuf> },
}

/// A driver's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DriverFile {
    pub(super) path: PathBuf,
    /// The function that begins it; `None` for the one that the file's name implies.
    pub(super) entrypoint: Option<String>,
}

/// A driver that a source type needs, or that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundDriver {
    /// Its name, as `driver =` takes it.
    pub name: String,
    /// Its file, when it was found.
    pub path: Option<PathBuf>,
    /// Its version, when a manifest or a package of Python tells it.
    pub version: Option<String>,
    /// How to install it.
    pub install: String,
    /// Why what was found cannot be used.
    pub fault: Option<String>,
}

/// The directories in which drivers are looked for, first to last: `ADBC_DRIVER_PATH`, `drivers` beside the
/// configuration, the user's, the system's.
pub(super) fn directories(dir: &Path, env: &Environment) -> Vec<PathBuf> {
    let listed = env.get("ADBC_DRIVER_PATH").map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let config = env.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let user = config.or_else(|| env.get("HOME").map(|home| Path::new(home).join(".config")));
    let mut directories = listed.unwrap_or_default();
    directories.retain(|directory| !directory.as_os_str().is_empty());
    directories.push(dir.join("drivers"));
    directories.extend(user.map(|user| user.join("adbc/drivers")));
    directories.push(PathBuf::from("/etc/adbc/drivers"));
    directories
}

impl DriverName {
    /// The file to load.
    ///
    /// # Errors
    /// `source_driver_missing`, `source_driver_unusable`.
    pub(super) fn find(&self) -> Result<DriverFile, Error> {
        let (name, entrypoint, directories) = match self {
            Self::File(file) if file.path.is_file() => {
                // A library without a slash in its path is looked for in the system's places.
                let path = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
                check_library(&path)?;
                return Ok(DriverFile { path, ..file.clone() });
            }
            Self::File(file) => {
                let message = format!("there is no driver {}", file.path.display());
                return Err(Error::new(cause::DRIVER_MISSING, message)
                    .with_hint("check `driver`; `larder drivers` shows what is found where"));
            }
            Self::Named { name, entrypoint, directories } => (name, entrypoint, directories),
        };
        for directory in directories {
            if let Some((mut file, _)) = in_directory(directory, name)? {
                file.entrypoint = entrypoint.clone().or(file.entrypoint);
                check_library(&file.path)?;
                return Ok(file);
            }
        }
        let places: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
        let message = format!("there is no driver `{name}` in {}", places.join(", "));
        Err(Error::new(cause::DRIVER_MISSING, message).with_hint(format!(
            "install it, {}; or name its file, driver = \"/path/of/the/library{DLL_SUFFIX}\"",
            kinds::install(name)
        )))
    }
}

/// The drivers of all source types, and all others that `directories` have.
pub fn found(dir: &Path, env: &Environment) -> Vec<FoundDriver> {
    let directories = directories(dir, env);
    let mut names: Vec<String> = kinds::driver_names().map(str::to_owned).collect();
    for name in directories.iter().flat_map(|directory| names_in(directory)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let find = |name: String| {
        let mut places = directories.iter().map(|directory| in_directory(directory, &name));
        let found = places.find_map(Result::transpose).transpose();
        let (found, fault) = found.map_or_else(|error| (None, Some(error)), |found| (found, None));
        let (path, version) = found.map_or((None, None), |(file, version)| (Some(file.path), version));
        let fault = fault.or_else(|| check_library(path.as_ref()?).err()).map(|error| error.to_string());
        FoundDriver { install: kinds::install(&name), name, path, version, fault }
    };
    names.into_iter().map(find).collect()
}

/// Processors by their numbers in libraries of ELF, as [`ARCH`] names them.
const PROCESSORS: [(u16, &str); 5] =
    [(3, "x86"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64")];

/// Refuses a library that is not there, and one of another processor: the loader of the system says of both that there
/// is no such file.
fn check_library(path: &Path) -> Result<(), Error> {
    let name = path.display();
    let mut header = [0; 20];
    if let Err(error) = regular(path).and_then(|_| fs::File::open(path)?.read(&mut header)) {
        return Err(Error::new(cause::DRIVER_UNUSABLE, format!("the driver {name} cannot be read: {error}"))
            .with_hint("install the driver again, or correct its manifest"));
    }
    let [0x7f, b'E', b'L', b'F', ..] = header else { return Ok(()) };
    let number = [header[18], header[19]];
    let number = if header[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    let found = PROCESSORS.iter().find(|(of, _)| *of == number);
    let is_known = PROCESSORS.iter().any(|(_, own)| *own == ARCH);
    if !is_known || found.is_some_and(|(_, processor)| *processor == ARCH) {
        return Ok(());
    }
    let found = found.map_or_else(|| format!("processor {number}"), |(_, processor)| (*processor).to_owned());
    let message = format!("the driver {name} is made for {found}, and this machine is {ARCH}");
    Err(Error::new(cause::DRIVER_UNUSABLE, message).with_hint("install the driver for this machine"))
}

/// The driver `name` of a directory, and its version: by its manifest, or by the name of its library.
fn in_directory(directory: &Path, name: &str) -> Result<Option<(DriverFile, Option<String>)>, Error> {
    let manifest = directory.join(format!("{name}.toml"));
    if manifest.is_file() {
        return read_manifest(&manifest).map(Some);
    }
    let library = format!("{DLL_PREFIX}adbc_driver_{name}{DLL_SUFFIX}");
    // The last one is in a package of Python.
    let libraries =
        [library.clone(), format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"), format!("adbc_driver_{name}/{library}")];
    let path = libraries.iter().map(|library| directory.join(library)).find(|path| path.is_file());
    Ok(path.map(|path| {
        let version = package_version(&path);
        (DriverFile { path, entrypoint: None }, version)
    }))
}

/// The version of the package of Python that has a library: `adbc_driver_NAME-1.2.3.dist-info` is beside its directory.
fn package_version(library: &Path) -> Option<String> {
    let package = library.parent()?;
    let start = format!("{}-", package.file_name()?.to_str()?);
    let names = fs::read_dir(package.parent()?).ok()?.flatten().take(FILES_MAX);
    let version_of = |file: fs::DirEntry| {
        let file = file.file_name().into_string().ok()?;
        Some(file.strip_prefix(&start)?.strip_suffix(".dist-info")?.to_owned())
    };
    names.into_iter().find_map(version_of)
}

fn names_in(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten().take(FILES_MAX);
    let name_of = |file: fs::DirEntry| {
        let file = file.file_name().into_string().ok()?;
        let library = file.strip_prefix(DLL_PREFIX).and_then(|name| name.strip_suffix(DLL_SUFFIX));
        let library = library.map(|name| name.strip_prefix("adbc_driver_").unwrap_or(name));
        file.strip_suffix(".toml").or(library).map(str::to_owned)
    };
    let mut names: Vec<String> = files.filter_map(name_of).collect();
    names.sort();
    names
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    version: Option<String>,
    #[serde(rename = "Driver")]
    driver: ManifestDriver,
}

#[derive(Deserialize)]
struct ManifestDriver {
    shared: Shared,
    #[serde(default)]
    entrypoint: Option<String>,
}

/// One library, or one for each platform.
#[derive(Deserialize)]
#[serde(untagged)]
enum Shared {
    One(PathBuf),
    Platforms(std::collections::BTreeMap<String, PathBuf>),
}

fn read_manifest(path: &Path) -> Result<(DriverFile, Option<String>), Error> {
    let unusable = |reason: String| {
        let message = format!("the driver's manifest {} cannot be used: {reason}", path.display());
        Error::new(cause::DRIVER_UNUSABLE, message)
            .with_hint("install the driver again, or remove the manifest")
    };
    let text = crate::settings::read_bounded(path, MANIFEST_BYTES_MAX)
        .map_err(|error| unusable(error.to_string()))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|error| unusable(error.message().to_owned()))?;
    let library = match manifest.driver.shared {
        Shared::One(library) => library,
        Shared::Platforms(mut libraries) => {
            let platform = platform();
            libraries
                .remove(&platform)
                .ok_or_else(|| unusable(format!("it has no library for {platform}")))?
        }
    };
    // A relative library is beside its manifest.
    let library = path.parent().unwrap_or(Path::new("")).join(library);
    Ok((DriverFile { path: library, entrypoint: manifest.driver.entrypoint }, manifest.version))
}

/// The name of this machine's platform in manifests, such as `linux_amd64`.
fn platform() -> String {
    let arch = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let libc = if cfg!(target_env = "musl") { "_musl" } else { "" };
    format!("{OS}_{arch}{libc}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, directories: &[&Path]) -> DriverName {
        let directories = directories.iter().map(|path| path.to_path_buf()).collect();
        DriverName::Named { name: name.to_owned(), entrypoint: None, directories }
    }

    #[test]
    fn drivers_are_found_by_manifest_and_by_name() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| fs::write(first.path().join(name), text).unwrap();
        let library = format!("{DLL_PREFIX}duckdb{DLL_SUFFIX}");
        fs::write(second.path().join(&library), "").unwrap();
        let both = [first.path(), second.path()];
        let found = |name: &str| named(name, &both).find();
        assert_eq!(
            found("duckdb").unwrap(),
            DriverFile { path: second.path().join(&library), entrypoint: None }
        );
        write(
            "duckdb.toml",
            &format!(
                "version = '1.2'\n[Driver]\nentrypoint = 'begin'\n[Driver.shared]\n{} = 'x/y.so'",
                platform()
            ),
        );
        fs::create_dir(first.path().join("x")).unwrap();
        write("x/y.so", "");
        let file = found("duckdb").unwrap();
        assert_eq!((file.path, file.entrypoint.as_deref()), (first.path().join("x/y.so"), Some("begin")));
        write("other.toml", &format!("[Driver]\nshared = {:?}", second.path().join(&library)));
        assert_eq!(found("other").unwrap().path, second.path().join(&library));
        for text in [
            "[Driver]\nshared = '/nowhere.so'",
            "[Driver]\n[Driver.shared]\nplan9_mips = 'x'",
            "[Driver]\nshared = 1",
            "Driver = ",
            "",
        ] {
            write("other.toml", text);
            assert_eq!(found("other").unwrap_err().code(), "source_driver_unusable", "{text}");
        }
        write("other.toml", "[Driver]\nshared = 'other.so'");
        for (order, number, is_good) in
            [(1, 62_u16.to_le_bytes(), ARCH == "x86_64"), (2, [0, 183], ARCH == "aarch64")]
        {
            let mut library = b"\x7fELF\x02".to_vec();
            library.extend([order, 1, 0]);
            library.extend([0; 10]);
            library.extend(number);
            fs::write(first.path().join("other.so"), library).unwrap();
            assert_eq!(found("other").is_ok(), is_good, "{number:?}");
        }
        let missing = found("snowflake").unwrap_err();
        assert_eq!(missing.code(), "source_driver_missing");
        for place in both {
            assert!(missing.to_string().contains(&place.display().to_string()), "{missing}");
        }
        let env =
            Environment::from_iter([("ADBC_DRIVER_PATH", second.path().to_str().unwrap()), ("HOME", "/h")]);
        let expected = [
            second.path(),
            Path::new("/c/drivers"),
            Path::new("/h/.config/adbc/drivers"),
            Path::new("/etc/adbc/drivers"),
        ];
        assert_eq!(directories(Path::new("/c"), &env), expected);
    }
}
