//! The `Dockerfile` copies every path that the build needs, and the files of `deploy` fit the image.

use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn dockerfile() -> String {
    fs::read_to_string(root().join("Dockerfile")).unwrap()
}

/// Paths that the `Dockerfile` copies from the repository.
fn copied() -> Vec<String> {
    let text = dockerfile();
    let lines = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let from_here = lines.filter(|line| !line.starts_with("--from="));
    let sources = from_here.flat_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[..words.len() - 1].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    });
    sources.collect()
}

#[test]
fn copied_paths_exist_and_are_not_ignored() {
    let ignored = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let paths = copied();
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        assert!(root().join(&path).exists(), "{path} is copied and does not exist");
        assert!(!ignored.lines().any(|line| line == path), "{path} is copied and ignored");
    }
}

/// Files that the sources include have to be copied; those of tests need not.
#[test]
fn files_included_by_the_sources_are_copied() {
    fn walk(directory: &Path, copied: &[String], seen: &mut usize) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, copied, seen);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for part in ["include_str!(\"", "include_bytes!(\"", "include_str!(concat!(\""] {
                for included in code.split(part).skip(1) {
                    let name = included.split('"').next().unwrap();
                    let whole = path.parent().unwrap().join(name);
                    let whole = whole.canonicalize().unwrap_or_else(|error| panic!("{name}: {error}"));
                    let relative = whole.strip_prefix(root()).unwrap();
                    assert!(
                        copied.iter().any(|copied| relative.starts_with(copied)),
                        "{} includes {}, which the Dockerfile does not copy",
                        path.display(),
                        relative.display()
                    );
                    *seen += 1;
                }
            }
        }
    }
    let mut seen = 0;
    walk(&root().join("src"), &copied(), &mut seen);
    assert!(seen >= 3, "the sources include the default configuration and migrations");
}

/// Cargo needs the file of every target. The `Dockerfile` creates those that it does not copy.
#[test]
fn targets_outside_the_copied_paths_are_stubbed() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let text = dockerfile();
    let mut stubbed = 0;
    for kind in ["lib", "bin", "test", "bench", "example"] {
        let targets = match manifest.get(kind) {
            Some(toml::Value::Array(targets)) => targets.clone(),
            Some(target) => vec![target.clone()],
            None => Vec::new(),
        };
        for target in targets {
            let path = target["path"].as_str().unwrap().to_owned();
            if copied().iter().any(|copied| path.starts_with(copied.as_str())) {
                continue;
            }
            // The `Dockerfile` finds benches by a pattern, and names the others.
            assert!(
                path.starts_with("benches/") || text.contains(&path),
                "{path} is neither copied nor created"
            );
            stubbed += 1;
        }
    }
    assert!(stubbed >= 2 && text.contains(r#"sed -n 's/^path = "\(benches\/.*\)"/\1/p' Cargo.toml"#));
}

/// They load with the variables that Compose and Kubernetes set.
#[test]
fn deployed_configurations_load() {
    use larder::config::{Environment, Overrides, load};
    let env: Environment = [
        ("WAREHOUSE_URL", "postgres://reader:x@warehouse.example.com/analytics"),
        ("METADATA_URL", "postgres://larder:x@metadata.example.com/larder"),
    ]
    .into_iter()
    .collect();
    let mut loaded = 0;
    for directory in ["deploy/compose", "deploy/kubernetes/publisher", "deploy/kubernetes/replica"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "toml") {
                let config = load(Some(&path), &env, &Overrides::default());
                config.unwrap_or_else(|faults| panic!("{faults}"));
                loaded += 1;
            }
        }
    }
    assert_eq!(loaded, 4, "a publisher and a replica, twice");
}

#[test]
fn files_mounted_by_compose_exist() {
    let text = fs::read_to_string(root().join("deploy/compose.yaml")).unwrap();
    let mounts = text.lines().filter_map(|line| line.trim_start().strip_prefix("- ./"));
    let paths: Vec<&str> = mounts.filter_map(|mount| mount.split(':').next()).collect();
    assert!(paths.len() >= 6, "{paths:?}");
    for path in paths {
        assert!(root().join("deploy").join(path).exists(), "{path} is mounted and does not exist");
    }
}

#[test]
fn kubernetes_runs_as_the_user_of_the_image() {
    assert!(dockerfile().contains("USER 10001:10001"));
    for file in ["replica/replica.yaml", "publisher/publisher.yaml"] {
        let text = fs::read_to_string(root().join("deploy/kubernetes").join(file)).unwrap();
        assert!(text.contains("runAsUser: 10001") && text.contains("runAsGroup: 10001"), "{file}");
    }
}

/// `docs/operations.md` links every policy, and shows those with statements.
#[test]
fn documented_policies_equal_the_files() {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let mut shown = 0;
    for entry in fs::read_dir(root().join("deploy/policies")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let policy: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(&format!("(../deploy/policies/{name})")), "{name} is not linked");
        if policy.get("Statement").is_some() {
            let block = format!("    {}\n", text.trim_end().replace('\n', "\n    "));
            assert!(page.contains(&block), "docs/operations.md shows another {name}");
            shown += 1;
        }
    }
    assert_eq!(shown, 3, "of a publisher, a replica, a read-only replica");
}
