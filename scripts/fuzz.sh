#!/usr/bin/env bash
# Fuzzes one target of src/fuzzing with libFuzzer, on the stable toolchain.
#   scripts/fuzz.sh TARGET [SECONDS]     for 60 seconds by default
# New inputs go to target/fuzz/corpus/TARGET, failing inputs to target/fuzz/artifacts/TARGET.
#   scripts/fuzz.sh TARGET minimize      copies the few inputs that reach code which tests/corpora do not, as small
#                                        as they were found, to target/fuzz/minimized/TARGET
#   scripts/fuzz.sh TARGET FILE          runs one input
# Needs a C++ compiler. The first build takes some minutes. There is no sanitizer, which would need nightly;
# cargo-fuzz runs the same package with one.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -lt 1 ]; then
  sed -n '2,/^set/{/^#/p}' "$0" >&2
  exit 2
fi
target=$1
task=${2:-60}

# The product's versions of dependencies; cargo adds those of libFuzzer.
cp Cargo.lock fuzz/Cargo.lock
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target the flags do not apply to build scripts, which have no libFuzzer.
RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
  CARGO_TARGET_DIR=target/fuzz cargo build ${CARGO_FLAGS:-} --manifest-path fuzz/Cargo.toml --target "$host"

export LARDER_FUZZ_TARGET=$target
program=target/fuzz/$host/debug/targets
# Two targets share the corpus of segments.
case $target in
  collection) committed=tests/corpora/segment ;;
  *) committed=tests/corpora/$target ;;
esac
found=target/fuzz/corpus/$target
artifacts=target/fuzz/artifacts/$target
mkdir -p "$found" "$artifacts"
# An input of 16 KiB needs less than these bounds: a body is at most 1 MB.
bounds=(-max_len=16384 -timeout=5 -report_slow_units=1 -rss_limit_mb=512 -malloc_limit_mb=64
  -artifact_prefix="$artifacts/")

case $task in
  minimize)
    minimized=target/fuzz/minimized/$target
    all=$(mktemp -d)
    trap 'rm -rf "$all"' EXIT
    cp "$committed"/* "$all"
    "$program" "${bounds[@]}" -set_cover_merge=1 "$all" "$found"
    (cd "$committed" && ls) | (cd "$all" && xargs rm -f --)
    rm -rf "$minimized"
    mkdir -p "$minimized"
    find "$all" -type f -exec cp -p -t "$minimized" {} +
    # libFuzzer wrote the inputs that add most coverage first.
    ls -ltr --time-style=full-iso "$minimized" | sed -n 1,21p
    ;;
  *[!0-9]*) exec "$program" "${bounds[@]}" "$task" ;;
  *) exec "$program" "${bounds[@]}" -max_total_time="$task" "$found" "$committed" ;;
esac
