//! Runs one target of `larder::fuzzing` under libFuzzer. `LARDER_FUZZ_TARGET` names it.
#![no_main]

use std::{env, sync::LazyLock};

use larder::fuzzing::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = env::var("LARDER_FUZZ_TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("set LARDER_FUZZ_TARGET to one of: {}", names.join(" "));
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(
    // Before libFuzzer starts: a wrong name is not a finding.
    init: {
        LazyLock::force(&TARGET);
    },
    |bytes: &[u8]| {
        (TARGET.run)(bytes);
    }
);
