#!/usr/bin/env bash
# The one command that tests everything: format, lints, documentation, all tests.
# On a fresh Debian machine with Rust it installs what is missing when it runs as root,
# and says what to install otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

has_postgres() {
  [ -n "${PG_BIN:-}" ] && [ -x "$PG_BIN/initdb" ] && return 0
  command -v initdb >/dev/null 2>&1 && return 0
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Where the tests look for Schemathesis, and what says that it is the one that is pinned.
SCHEMATHESIS=target/schemathesis
REQUIREMENTS=scripts/schemathesis-requirements.txt

has_schemathesis() {
  [ -x "$SCHEMATHESIS/bin/schemathesis" ] && cmp -s "$REQUIREMENTS" "$SCHEMATHESIS/requirements.txt"
}

install_schemathesis() {
  has_schemathesis && return 0
  say "installing Schemathesis"
  rm -rf "$SCHEMATHESIS"
  python3 -m venv "$SCHEMATHESIS"
  "$SCHEMATHESIS/bin/pip" install --quiet --disable-pip-version-check -r "$REQUIREMENTS"
  cp "$REQUIREMENTS" "$SCHEMATHESIS/requirements.txt"
}

install_missing() {
  local missing=()
  command -v cc >/dev/null 2>&1 || missing+=(gcc libc6-dev)
  has_postgres || missing+=(postgresql)
  # Debian's python3 comes without what makes virtual environments.
  has_schemathesis || python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: ${missing[*]}. Install them, for example: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  say "installing ${missing[*]}"
  # The package would start a server of its own and create a cluster; the tests start theirs.
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] \
    || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  apt-get install -q -y --no-install-recommends "${missing[@]}"
}

command -v cargo >/dev/null 2>&1 || { echo "cargo is missing: install Rust 1.95 or newer" >&2; exit 1; }
install_missing
install_schemathesis

say "format"
cargo fmt --check

say "lints"
cargo clippy --locked --all-targets -- -D warnings

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

say "tests"
cargo test --locked --lib --bins --tests
