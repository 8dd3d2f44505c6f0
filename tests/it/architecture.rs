//! The architecture's rules, read from the sources: layers, crates that stay in one module, pure modules, the
//! read path, and the length and heading of every file.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The layer of each module. A module imports strictly lower layers only.
const LAYERS: [(&str, u8); 29] = [
    ("domain", 0),
    ("support", 0),
    ("settings", 1),
    ("status", 1),
    ("liquid", 2),
    ("postgres", 2),
    ("secrets", 2),
    ("segment", 2),
    ("store", 2),
    ("telemetry", 2),
    ("cache", 3),
    ("disk", 3),
    ("mapping", 3),
    ("metadata", 3),
    ("source", 3),
    ("auth", 4),
    ("catalog", 4),
    ("model", 4),
    ("engine", 5),
    ("replica", 5),
    ("scheduler", 6),
    ("admin", 7),
    ("console", 8),
    ("api", 9),
    ("config", 10),
    ("app", 11),
    ("cli", 12),
    ("main", 13),
    ("fuzzing", 13),
];

/// Crates that only the modules beside them name.
const CRATES: [(&str, &[&str]); 21] = [
    ("adbc_core", &["source/adbc/worker.rs"]),
    ("adbc_driver_manager", &["source/adbc/worker.rs"]),
    ("dashmap", &["cache/", "auth/ring.rs"]),
    ("sqlx", &["postgres/", "source/", "metadata/"]),
    ("axum", &["api/", "app/"]),
    ("object_store", &["store/"]),
    ("parquet", &["source/files/"]),
    ("calamine", &["source/files/"]),
    ("bigdecimal", &["liquid/"]),
    ("maud", &["console/"]),
    ("md5", &["liquid/filters/codes.rs"]),
    ("governor", &["auth/ring.rs"]),
    ("ipnet", &["domain/network.rs"]),
    ("jsonwebtoken", &["auth/tokens/", "source/google_sheets/", "source/microsoft_excel/"]),
    ("openidconnect", &["auth/oidc/"]),
    ("anyhow", &["app/", "cli/", "main.rs"]),
    ("tokio_rustls", &["api/http/listener/", "postgres/"]),
    (
        "tokio_util",
        &[
            "support/background.rs",
            "support/shutdown.rs",
            "api/http/listener/",
            "source/sqlserver/connection.rs",
        ],
    ),
    ("tiberius", &["source/sqlserver/"]),
    ("russh", &["source/files/sftp/"]),
    ("russh_sftp", &["source/files/sftp/"]),
];

/// Modules without clock, files, sockets or async.
const PURE: [&str; 10] = [
    "domain/",
    "liquid/",
    "mapping/",
    "segment/",
    "cache/",
    "engine/ingest/diff.rs",
    "engine/ingest/conflicts.rs",
    "engine/run/guard.rs",
    "replica/plan.rs",
    "scheduler/due.rs",
];
const IMPURE: [&str; 7] =
    ["tokio::", "std::fs", "std::net", "Utc::now", "SystemTime::now", "Instant::now", "async fn"];

/// The modules that `api/read` may import: a request is answered from memory.
const READ_PATH: [&str; 7] = ["domain", "support", "segment", "telemetry", "cache", "auth", "api"];

/// What handlers of the admin listener may use.
const ADMIN_ROUTES: [&str; 6] = ["admin", "api", "domain", "status", "support", "telemetry"];

/// What the pages of the console show, and what their routes may use.
const CONSOLE: [&str; 4] = ["admin", "console", "domain", "status"];
const CONSOLE_ROUTES: [&str; 4] = ["admin", "api", "console", "domain"];

/// What commands may use: use cases, and what opens a process for them.
const CLI: [&str; 8] = ["admin", "app", "cli", "config", "domain", "status", "support", "telemetry"];
/// Files of `cli` that are not yet so.
const CLI_EXCEPTIONS: [(&str, &str); 1] = [("cli/quickstart.rs", "source")];

struct Source {
    /// Relative to `src/`.
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    sources_below("src")
}

fn sources_below(folder: &str) -> Vec<Source> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "the sources were not found");
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(read).collect()
}

impl Source {
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }

    /// Lines of code with their numbers, without comments and unit tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let before_tests = lines.take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        before_tests.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The modules of this crate that the file imports, with line numbers. Handles grouped imports that span
    /// lines (`use crate::{a, b::c}`).
    fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut depth = 0_i32;
        let mut begins = false;
        for (number, line) in self.code() {
            let mut rest = line;
            if depth == 0 {
                let Some(at) = line.find("crate::") else { continue };
                rest = &line[at + "crate::".len()..];
                if !rest.starts_with('{') {
                    for part in line.split("crate::").skip(1) {
                        found.push((number, identifier(part)));
                    }
                    continue;
                }
            }
            for (at, character) in rest.char_indices() {
                match character {
                    '{' => {
                        depth += 1;
                        begins = depth == 1;
                    }
                    '}' => depth -= 1,
                    ';' => depth = 0,
                    ',' => begins = depth == 1,
                    _ if begins && character.is_alphabetic() => {
                        found.push((number, identifier(&rest[at..])));
                        begins = false;
                    }
                    _ => {}
                }
                if depth <= 0 {
                    depth = 0;
                    break;
                }
            }
        }
        found
    }
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn modules_import_strictly_lower_layers() {
    let mut faults = Vec::new();
    for source in sources() {
        let own = source.module();
        if own == "lib" {
            continue;
        }
        let own_layer = layer(own).unwrap_or_else(|| panic!("{}: the module has no layer", source.path));
        for (line, module) in source.imports() {
            match layer(&module) {
                None => faults.push(format!("{}:{line}: {module} has no layer", source.path)),
                Some(layer) if module != own && layer >= own_layer => faults.push(format!(
                    "{}:{line}: {own} (layer {own_layer}) imports {module} (layer {layer})",
                    source.path
                )),
                Some(_) => {}
            }
        }
    }
    report(&faults);
}

#[test]
fn imports_are_found_in_groups_and_paths() {
    let text = "use crate::{\n    a::{b, c as x},\n    d::y as _,\n};\nuse crate::e::f;\nlet x = crate::g::h(crate::i::j);\n// crate::k\n#[cfg(test)]\nuse crate::l;\n";
    let source = Source { path: "x/y.rs".into(), text: text.into() };
    let names: Vec<String> = source.imports().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["a", "d", "e", "g", "i"]);
}

#[test]
fn crates_are_named_only_in_their_modules() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "lib") {
        for (name, modules) in CRATES {
            if modules.iter().any(|module| source.path.starts_with(module)) {
                continue;
            }
            let path = format!("{name}::");
            for (line, code) in source.code() {
                let is_named = code.match_indices(&path).any(|(at, _)| {
                    !code[..at]
                        .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
                });
                if is_named {
                    faults.push(format!("{}:{line}: crate {name} is named outside its modules", source.path));
                }
            }
        }
        let reads_environment =
            !["settings/environment.rs", "cli/"].iter().any(|module| source.path.starts_with(module));
        for (line, code) in source.code().filter(|_| reads_environment) {
            if code.contains("env::var") {
                faults.push(format!(
                    "{}:{line}: the environment is read in settings and cli only",
                    source.path
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn pure_modules_are_pure() {
    let mut faults = Vec::new();
    for source in sources() {
        if source.is_test() || !PURE.iter().any(|pure| source.path.starts_with(pure)) {
            continue;
        }
        for (line, code) in source.code() {
            for impure in IMPURE.iter().filter(|impure| code.contains(**impure)) {
                faults.push(format!("{}:{line}: `{impure}` in a pure module", source.path));
            }
        }
    }
    report(&faults);
}

/// Files below `folder` import these modules only.
fn imports_only(folder: &str, allowed: &[&str], exceptions: &[(&str, &str)]) {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with(folder)) {
        for (line, module) in source.imports() {
            let module = module.as_str();
            if !allowed.contains(&module) && !exceptions.contains(&(source.path.as_str(), module)) {
                faults.push(format!("{}:{line}: {folder} imports {module}", source.path));
            }
        }
    }
    report(&faults);
}

#[test]
fn the_read_path_reaches_memory_only() {
    imports_only("api/read/", &READ_PATH, &[]);
}

#[test]
fn commands_and_admin_routes_call_use_cases_only() {
    imports_only("cli/", &CLI, &CLI_EXCEPTIONS);
    imports_only("api/admin/", &ADMIN_ROUTES, &[]);
    imports_only("api/ops/", &ADMIN_ROUTES, &[]);
    imports_only("api/console/", &CONSOLE_ROUTES, &[]);
    imports_only("console/", &CONSOLE, &[]);
}

#[test]
fn files_say_what_they_are_for_and_are_short() {
    let mut faults = Vec::new();
    for source in ["src", "tests", "benches", "fuzz/src"].into_iter().flat_map(sources_below) {
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}: does not open with `//!`", source.path));
        }
        let lines = source.text.lines().count();
        if lines > 700 {
            faults.push(format!("{}: {lines} lines, at most 700", source.path));
        }
    }
    report(&faults);
}
