//! The documentation agrees with the program: every code has a section, and every path, metric and command
//! of a page exists.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use larder::{
    domain::{
        id::RunId,
        label::Label,
        manifest::Version,
        name::CollectionName,
        reject::RejectReason,
        run::{RunCounts, RunRecord, RunStatus},
    },
    status::{MemoryUsage, NodeCollectionStatus, Problem},
    support::random,
    telemetry::{
        Metrics,
        metrics::{OTHER, Outcome},
    },
};

use strum::VariantArray;

use crate::support::board::board;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Codes that are in no table of an error type: of guards, of refused databases, of a follower, and others that are
/// given at one place.
const SINGLE_CODES: [&str; 16] = [
    "apply_broken",
    larder::status::CLOCK_AHEAD,
    "collection_gone",
    "data_dir_locked",
    "data_dir_unusable",
    "fields_changed",
    "index_conflict",
    "max_rejected",
    "max_removed",
    "metadata_conflict",
    "metadata_corrupt",
    "metadata_refused",
    "metadata_unavailable",
    "no_rows",
    "state_unwritable",
    larder::app::TASK_FAILED,
];

/// Every code that the program can give.
fn codes() -> BTreeSet<&'static str> {
    let of_errors = [
        larder::admin::Error::CODES,
        larder::admin::SegmentFileError::CODES,
        larder::api::listener::Error::CODES,
        larder::api::tls::Error::CODES,
        larder::auth::oidc::Error::CODES,
        larder::auth::tokens::Error::CODES,
        larder::cache::Error::CODES,
        larder::catalog::AnnounceError::CODES,
        larder::catalog::Error::CODES,
        larder::disk::Error::CODES,
        larder::engine::Error::CODES,
        larder::metadata::Error::CODES,
        larder::model::Error::CODES,
        larder::segment::Error::CODES,
        larder::store::Error::CODES,
        larder::telemetry::Error::CODES,
    ];
    let of_errors = of_errors.into_iter().flatten().copied().chain(SINGLE_CODES);
    let of_rows = RejectReason::VARIANTS.iter().map(|reason| reason.code());
    of_errors.chain(larder::source::codes()).chain(larder::api::codes()).chain(of_rows).collect()
}

#[test]
fn every_code_has_a_section_and_every_section_a_code() {
    let codes = codes();
    let page = page("docs/errors.md");
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### ").or(line.strip_prefix("## ")))
        .filter(|title| title.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .collect();
    let unique: BTreeSet<&str> = sections.iter().copied().collect();
    assert_eq!(unique.len(), sections.len(), "a section stands twice");
    assert_eq!(
        codes.difference(&unique).copied().collect::<Vec<_>>(),
        [""; 0],
        "docs/errors.md lacks sections"
    );
    assert_eq!(
        unique.difference(&codes).copied().collect::<Vec<_>>(),
        [""; 0],
        "sections of codes that nothing gives"
    );
}

/// The pages that are checked.
const PAGES: [&str; 15] = [
    "README.md",
    "ARCHITECTURE.md",
    "deploy/README.md",
    "docs/admin-api.md",
    "docs/api.md",
    "docs/benchmarks.md",
    "docs/configuration.md",
    "docs/console.md",
    "docs/errors.md",
    "docs/models.md",
    "docs/operations.md",
    "docs/scale.md",
    "docs/security.md",
    "docs/sources.md",
    "docs/sync.md",
];

#[test]
fn links_have_targets() {
    let mut seen = 0;
    for name in PAGES {
        let text = page(name);
        let anchor = |text: &str, wanted: &str| {
            let heading = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                line.starts_with('#')
                    && title.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).eq(wanted.chars())
            };
            text.lines().any(heading)
        };
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let target = match path {
                "" => root().join(name),
                path => root().join(name).parent().unwrap().join(path),
            };
            assert!(target.exists(), "{name} links to {link}, which does not exist");
            if !fragment.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                assert!(anchor(&text, fragment), "{name} links to {link}, a heading that does not exist");
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} links");
}

#[test]
fn documented_metrics_are_those_of_a_node() {
    let metrics = Metrics::new();
    metrics.requests(OTHER, OTHER, &[Outcome { status: 200, code: "hit" }]);
    metrics.connections("public");
    metrics.task_starts("reporter");
    let now = chrono::DateTime::UNIX_EPOCH;
    let customer = CollectionName::new("customer").unwrap();
    metrics.run_ended(&RunRecord {
        id: RunId::from_uuid(random::uuid()),
        sync: customer.clone(),
        status: RunStatus::Announced,
        trigger: "schedule".to_owned(),
        started_at: now,
        finished_at: Some(now),
        data_as_of: None,
        version: None,
        counts: RunCounts::default(),
        error: None,
    });
    let problem = |code| Some(Problem::lasting(None, code, String::new(), now));
    let one = NodeCollectionStatus {
        wanted: Version(1),
        served: Some(Version(1)),
        behind_since: None,
        data_as_of: Some(now),
        records: 1,
        bytes: 1,
        problem: problem("segments_full"),
        other_regions: None,
        loaded: Some(MemoryUsage { records: 1, bytes: 1, conflicts: 0 }),
    };
    let board = board("local", now);
    board.update(|status| {
        status.failed_polls.insert(Label::fitted("store_unavailable"), 1);
        status.problem = problem("object_missing");
        status.collections = Arc::new([(customer, one)].into());
    });
    let text = metrics.encode(&board.read(), now);
    // Samples, less what histograms add to their name.
    let is_of_histogram = |name: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end).map(str::to_owned))
    };
    let real: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(|name| is_of_histogram(name).unwrap_or_else(|| name.to_owned()))
        .collect();
    assert!(real.len() > 15, "{real:?}");
    assert_eq!(metrics_of_the_documentation(), real, "docs/api.md lists the metrics");
    for name in PAGES {
        for word in page(name).split(|c: char| !(c.is_ascii_lowercase() || c == '_')) {
            assert!(!word.starts_with("larder_") || real.contains(word), "{name} names the metric {word}");
        }
    }
}

/// The metrics that `docs/api.md` lists.
fn metrics_of_the_documentation() -> BTreeSet<String> {
    let page = page("docs/api.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `larder_")?.split('`').next());
    rows.map(|name| format!("larder_{name}")).collect()
}

/// Every example alert has a summary, a description and an expression over existing metrics.
#[test]
fn example_alerts_use_existing_metrics() {
    let text = page("deploy/prometheus/alerts.yaml");
    let known = metrics_of_the_documentation();
    let mut seen = BTreeSet::new();
    for word in text.split(|c: char| !(c.is_ascii_lowercase() || c == '_')) {
        if word.starts_with("larder_") {
            assert!(known.contains(word), "deploy/prometheus/alerts.yaml names the metric {word}");
            seen.insert(word);
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 10, "{} alerts", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        assert!(name.starts_with("Larder") && name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        for key in ["expr", "severity", "summary", "description"] {
            let has = alert.lines().any(|line| line.trim_start().starts_with(&format!("{key}: ")));
            assert!(has, "{name} has no {key}");
        }
    }
    let operations = page("docs/operations.md");
    assert!(operations.contains("](../deploy/prometheus/alerts.yaml)"), "nothing leads to the alerts");
}

/// Every command and flag that a page shows exists.
#[test]
fn documented_commands_exist() {
    let help = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_larder"));
        let output = command.args(arguments).arg("--help").env_clear().output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let mut seen = BTreeSet::new();
    for name in PAGES {
        for line in page(name).lines() {
            let shown = line.strip_prefix("    ").into_iter().chain(line.split('`').skip(1).step_by(2));
            for text in shown.filter_map(|text| text.trim_start().strip_prefix("larder ")) {
                // The text after two spaces explains the command.
                let words: Vec<&str> = text.split("  ").next().unwrap().split_whitespace().collect();
                let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
                let path: Vec<&str> = match words.as_slice() {
                    ["admin", "login-link", ..] => vec!["admin", "login-link"],
                    ["admin", second, third, ..] if is_word(second) && is_word(third) => {
                        vec!["admin", second, third]
                    }
                    [
                        first @ ("keys" | "token" | "config" | "secrets" | "segment" | "source"),
                        second,
                        ..,
                    ] if is_word(second) => {
                        vec![first, second]
                    }
                    [first, ..] if is_word(first) => vec![first],
                    _ => continue,
                };
                let help = help(&path).unwrap_or_else(|| panic!("{name}: `larder {text}` does not exist"));
                for flag in words.iter().filter(|word| word.starts_with("--")) {
                    assert!(help.contains(flag), "{name}: `larder {text}`: no flag {flag}");
                }
                seen.insert(path.join(" "));
            }
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

/// The README's configuration loads.
#[test]
fn configuration_of_the_readme_loads() {
    use larder::config::{Environment, Overrides, load_text};
    let readme = page("README.md");
    let text = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let environment: Environment =
        [("WAREHOUSE_URL", "postgres://larder:x@warehouse.example.com/analytics")].into_iter().collect();
    let config = load_text(text, Path::new("larder.toml"), &environment, &Overrides::default());
    assert_eq!(config.unwrap_or_else(|faults| panic!("{faults}")).syncs.len(), 1);
}
