//! Runs a target over its corpus and mutations of it, without a fuzzer.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use super::{
    TARGETS,
    mutate::{self, MUTANT_BYTES_MAX, mutant},
};

/// Most inputs of a corpus: every test run tries each with all its mutations.
const INPUTS_MAX: usize = 70;

/// An input and the name of its file.
type Input = (String, Vec<u8>);

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora")
}

fn inputs(corpus: &str) -> Vec<Input> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(corpora().join(corpus)).expect("every target has a corpus") {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        inputs.push((name, fs::read(&path).unwrap()));
    }
    inputs.sort();
    assert!((1..=INPUTS_MAX).contains(&inputs.len()), "{corpus}: {} inputs", inputs.len());
    for (name, bytes) in &inputs {
        assert!(bytes.len() <= MUTANT_BYTES_MAX, "{corpus}/{name}: {} bytes", bytes.len());
    }
    inputs
}

/// Runs `run` over the inputs of `corpus`, each as it is and in `mutations` mutants.
pub(super) fn replay(target: &str, corpus: &str, mutations: usize, run: fn(&[u8]) -> bool) {
    let inputs = inputs(corpus);
    let tried = |bytes: &[u8], what: &dyn Fn() -> String| {
        catch_unwind(|| run(bytes)).unwrap_or_else(|_| {
            panic!("{target} broke an invariant on {}:\nb\"{}\"", what(), bytes.escape_ascii())
        })
    };
    let mut wrong = Vec::new();
    for (name, bytes) in &inputs {
        let accepted = tried(bytes, &|| name.clone());
        if name.starts_with("accepted-") && !accepted || name.starts_with("refused-") && accepted {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{target} accepted or refused against their names {wrong:?}");
    let mut random = mutate::random(target);
    for (at, (name, bytes)) in inputs.iter().enumerate() {
        for number in 0..mutations {
            let other = &inputs[(at + number) % inputs.len()].1;
            let mutant = mutant(&mut random, bytes, other);
            tried(&mutant, &|| format!("mutant {number} of {name}"));
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let entries = fs::read_dir(corpora()).unwrap();
    let mut found: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    found.sort();
    let mut named: Vec<&str> = TARGETS.iter().map(|target| target.corpus).collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(found, named);
}
