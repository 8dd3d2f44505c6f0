//! The documentation keeps up with the sources: every code has its section, every path and metric
//! that a page names exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use larder::{
    domain::reject::RejectReason,
    telemetry::{
        Metrics,
        metrics::{Ended, OTHER, Outcome, Shown},
    },
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The sources without their tests, by path.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
                found.push((path, text[..end].to_owned()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    assert!(found.len() > 100, "the sources were not found");
    found
}

/// Every `"snake_case"` text in `code`; one word alone is one too.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

/// The body of the function that `text` begins with, by its indentation.
fn body(text: &str, indent: usize) -> &str {
    let end = format!("\n{}}}\n", " ".repeat(indent));
    &text[..text.find(&end).unwrap_or(text.len())]
}

/// Every code that the sources can give, with the file that gives it.
fn codes() -> BTreeMap<String, PathBuf> {
    let mut codes = BTreeMap::new();
    for (path, text) in sources() {
        // Error kinds are no codes; their words are labels of metrics.
        if path.ends_with("domain/error.rs") {
            continue;
        }
        for function in ["fn code(", "const fn row(self)", "fn list_conflict("] {
            for (at, _) in text.match_indices(function) {
                let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                let indent = text[line..].len() - text[line..].trim_start().len();
                for word in words(body(&text[at..], indent)) {
                    codes.insert(word.to_owned(), path.clone());
                }
            }
        }
        // Codes given outside such a function, but for the outcomes of metrics.
        for (at, _) in text.match_indices("code: \"") {
            let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            if !text[line..at].contains("Outcome {") {
                codes.extend(words(&text[at..at + 80]).take(1).map(|word| (word.to_owned(), path.clone())));
            }
        }
    }
    codes
}

#[test]
fn every_code_has_a_section_and_every_section_a_code() {
    let codes = codes();
    for reason in RejectReason::ALL {
        assert!(codes.contains_key(reason.code()), "the collector misses {reason}");
    }
    // One of each part: the collector sees them all.
    for known in [
        "record_not_found",
        "key_unknown",
        "source_login_refused",
        "metadata_not_migrated",
        "superseded",
        "object_corrupt",
        "apply_broken",
        "collection_gone",
        "segment_corrupt",
        "older_version",
        "max_removed",
        "lease_held",
        "unknown_sync",
        "invalid_configuration",
        "log_filter_invalid",
        "data_dir_locked",
        "index_conflict",
        "listen_failed",
    ] {
        assert!(codes.contains_key(known), "the collector misses {known}: {:?}", codes.keys());
    }
    let page = page("docs/errors.md");
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### ").or(line.strip_prefix("## ")))
        .filter(|title| title.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .collect();
    let unique: BTreeSet<&str> = sections.iter().copied().collect();
    assert_eq!(unique.len(), sections.len(), "a section stands twice");
    let missing: Vec<_> = codes.iter().filter(|(code, _)| !unique.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "docs/errors.md lacks sections: {missing:#?}");
    let unknown: Vec<_> = unique.iter().filter(|title| !codes.contains_key(**title)).collect();
    assert!(unknown.is_empty(), "docs/errors.md has sections of codes that nothing gives: {unknown:?}");
}
