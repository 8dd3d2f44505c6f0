#!/usr/bin/env bash
# Checks everything: format, lints, documentation, all tests.
# With --only FILTER it runs the tests whose names contain FILTER, and nothing else, such as --only console::
# --only sources is a group: the tests of sources and of what is read from them.
# On a Debian machine with Rust it installs missing programs when it runs as root, and names them otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

only=()
case "${1:-}" in
  "") ;;
  --only)
    case "${2:?--only needs a part of the names of tests, or sources}" in
      sources) only=(source fidelity increments models:: model_ wrong_ports) ;;
      *) only=("$2") ;;
    esac ;;
  *) echo "unknown argument $1: the only one is --only FILTER" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }

has_postgres() {
  [ -n "${PG_BIN:-}" ] && [ -x "$PG_BIN/initdb" ] && return 0
  command -v initdb >/dev/null 2>&1 && return 0
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Shopify's Liquid. Debian's package of it does not depend on Ruby.
has_liquid() { ruby -e 'require "liquid"' >/dev/null 2>&1; }

# Python programs of the tests. Each has a virtual environment in target/NAME, where the tests find it, made from
# scripts/NAME-requirements.txt. A copy of that file in it tells that the installation is complete and current.
PYTHON_PROGRAMS=(schemathesis moto chdb lake adbc dbt looker)

has_python_program() { cmp -s "scripts/$1-requirements.txt" "target/$1/requirements.txt"; }

has_python_programs() {
  local name
  for name in "${PYTHON_PROGRAMS[@]}"; do has_python_program "$name" || return 1; done
}

install_python_programs() {
  local name
  for name in "${PYTHON_PROGRAMS[@]}"; do
    has_python_program "$name" && continue
    say "installing $name"
    rm -rf "target/$name"
    python3 -m venv "target/$name"
    "target/$name/bin/pip" install --quiet --disable-pip-version-check -r "scripts/$name-requirements.txt"
    cp "scripts/$name-requirements.txt" "target/$name/requirements.txt"
  done
}

install_missing() {
  local missing=()
  command -v cc >/dev/null 2>&1 || missing+=(gcc libc6-dev)
  has_postgres || missing+=(postgresql)
  command -v openssl >/dev/null 2>&1 || missing+=(openssl)
  command -v psql >/dev/null 2>&1 || missing+=(postgresql-client)
  # Debian has it in /usr/sbin, which is not on everybody's path.
  [ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null 2>&1 || missing+=(pgbouncer)
  [ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null 2>&1 || missing+=(mariadb-server)
  has_liquid || missing+=(ruby ruby-liquid)
  # Debian keeps both out of the path of users.
  [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
  [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
  [ -x /usr/sbin/sshd ] || missing+=(openssh-server)
  command -v ssh-keygen >/dev/null 2>&1 || missing+=(openssh-client)
  # The browser of the tests, and the program that drives it.
  [ -x /usr/bin/chromium ] || missing+=(chromium)
  [ -x /usr/bin/chromedriver ] || missing+=(chromium-driver)
  command -v node >/dev/null 2>&1 || missing+=(nodejs)
  command -v npm >/dev/null 2>&1 || missing+=(npm)
  # Debian's python3 lacks the modules for virtual environments.
  has_python_programs || python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: ${missing[*]}. Install them, for example: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  say "installing ${missing[*]}"
  # Keep the package from creating a cluster and starting a server. The tests start their own.
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] \
    || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Node programs of the tests, in target/NAME, from the directory's package-lock.json. npm writes
# node_modules/.package-lock.json when it has finished.
install_node_program() {
  local installed="target/$1" pinned="$2"
  cmp -s "$pinned/package-lock.json" "$installed/package-lock.json" \
    && [ -e "$installed/node_modules/.package-lock.json" ] && return 0
  say "installing $1"
  rm -rf "$installed"
  mkdir -p "$installed"
  cp "$pinned/package.json" "$pinned/package-lock.json" "$installed"
  (cd "$installed" && npm ci --ignore-scripts --no-audit --no-fund)
}

command -v cargo >/dev/null 2>&1 || { echo "cargo is missing: install Rust 1.95 or newer" >&2; exit 1; }
install_missing
install_node_program clients tests/it/clients # brazejs
install_node_program liquid tests/it/liquid # liquidjs
install_node_program duckdb tests/it/source_adbc
install_node_program azurite tests/it/support/azurite
install_node_program axe tests/it/console/axe
install_node_program oidc tests/it/console/oidc # an identity provider
install_python_programs

if [ ${#only[@]} -eq 0 ]; then
  say "format"
  cargo fmt --check

  say "lints"
  cargo clippy --locked --all-targets -- -D warnings

  say "documentation"
  RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
fi

# A full disk is a small file system in memory. Only a process that may mount can make one.
if ! unshare --mount true 2>/dev/null; then
  echo "WARNING: no file system can be mounted here: the test of a full disk is left out" >&2
  export LARDER_TEST_WITHOUT_MOUNT=1
fi

say "tests"
cargo test --locked --lib --bins --tests -- "${only[@]}"
