#!/usr/bin/env bash
# Runs the benchmarks of docs/benchmarks.md, side by side in one run, and prints their tables.
#   scripts/bench.sh            everything
#   scripts/bench.sh cache      look-ups, builds and changes of the cache alone
#   scripts/bench.sh liquid     templates of fields: time of a row, and CPU of a sync with and without
#   scripts/bench.sh scale      an hour of 1,000 collections in simulated time; runs with and without the kept table
#   scripts/bench.sh pages      the console's pages with 1,000 collections and 10,000 runs
#   scripts/bench.sh sync       syncs of 1 M rows against psql's copy on a private Postgres
#   scripts/bench.sh sources    syncs of Parquet, MySQL and ADBC beside DuckDB, MySQL's client and our own Postgres reader
#   scripts/bench.sh memory     memory and restart against Redis (after `sync`, in one run)
#   scripts/bench.sh access     keys with field limits and tokens against a plain key; new tokens against the library
#   scripts/bench.sh read       CPU a request against a bare hyper server and nginx
#   scripts/bench.sh lookups    CPU of a batch of 100, of an include of 10, and of fields, against single look-ups
#   scripts/bench.sh tail       latency at half the top rate, alone and during syncs
#   scripts/bench.sh apply      changes that arrive while readers saturate the server
#   scripts/bench.sh connections  memory of idle connections
#   scripts/bench.sh takeover   time until a standby announces after its publisher was killed
#   scripts/bench.sh regions    takeover, and two regions on an S3-compatible server: announced to visible, rollback,
#                               restart
# Needs Rust, PostgreSQL's server and client, redis-server, redis-cli, sqlite3, nginx, taskset, curl and bc. `takeover`
# and `regions` also need moto, which scripts/test.sh installs.
# Variables: ROWS=1000000, REPEAT=3, SECONDS_EACH=5 (of a round), CONNECTIONS=10000, LARDER and BENCH_HTTP (built
# binaries), BEFORE (an earlier build of larder, for `access`). All servers listen on loopback or Unix sockets, and end with the script.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
rows=${ROWS:-1000000}
repeat=${REPEAT:-3}

work=$(mktemp -d)
pids=()
finish() {
  # A node started in a subshell writes its process id to its directory.
  for pid in "${pids[@]}" $(cat "$work"/*/pid 2>/dev/null); do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

now() { date +%s.%N; }
since() { echo "$(now) - $1" | bc -l | xargs printf '%.2f\n'; }
median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
ratio() { echo "$1 / $2" | bc -l | xargs printf '%.2f'; }
need() { command -v "$1" >/dev/null 2>&1 || { echo "missing: $1" >&2; exit 1; }; }

larder=${LARDER:-$PWD/target/release/larder}
[ -n "${LARDER:-}" ] || cargo build --release --locked --quiet

bench_cache() { cargo bench --locked --quiet --bench cache; }
bench_liquid() { cargo bench --locked --quiet --bench liquid; }

start_postgres() {
  need psql
  local bin
  bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
  [ -n "$bin" ] || bin=$(dirname "$(command -v initdb)")
  mkdir -p "$work/pg"
  local as=()
  if [ "$(id -u)" -eq 0 ]; then
    chown -R postgres "$work/pg"; chmod 755 "$work"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  fi
  "${as[@]}" "$bin/initdb" -D "$work/pg/data" -A trust -U bench -E UTF8 --locale=C.UTF-8 >/dev/null
  # In /, since the other user may not read the current directory.
  (cd / && exec "${as[@]}" "$bin/postgres" -D "$work/pg/data" -k "$work/pg" -c listen_addresses= \
    -c fsync=off -c shared_buffers=2GB -c max_wal_size=8GB -c autovacuum=off >"$work/pg.log" 2>&1) &
  pids+=($!)
  export PGHOST=$work/pg PGUSER=bench PGDATABASE=postgres
  for _ in $(seq 100); do psql -qAtc 'select 1' >/dev/null 2>&1 && return; sleep 0.1; done
  cat "$work/pg.log" >&2; exit 1
}

# The sections for source, model, sync and log.
sync_sections() {
  cat <<TOML
[sources.warehouse]
type = "postgres"
url = "postgres://bench@localhost/postgres?host=$work/pg"
[models.customers]
source = "warehouse"
sql = "select * from customers"
primary_key = "user_id"
[syncs.customer]
model = "customers"
[syncs.customer.indexes]
id = "user_id"
email = { column = "email", normalize = ["trim", "lowercase"] }
[log]
filter = "warn"
TOML
}

write_config() { # directory
  mkdir -p "$1"
  cat >"$1/larder.toml" <<TOML
[server]
listen = "127.0.0.1:18080"
admin_listen = "127.0.0.1:18081"
[storage]
poll_interval = "100ms"
$(sync_sections)
TOML
}

serve() { # directory
  "$larder" serve --config "$1/larder.toml" >"$1/log" 2>&1 &
  server=$!
  pids+=("$server")
  until curl -sf http://127.0.0.1:18080/readyz >/dev/null; do
    kill -0 "$server" 2>/dev/null || { cat "$1/log" >&2; exit 1; }
    sleep 0.01
  done
}
stop() { kill -TERM "$server"; wait "$server" 2>/dev/null || true; }
version() { curl -s -o /dev/null -D - -H "Authorization: Bearer $key" \
  http://127.0.0.1:18080/v1/collections/customer/records/id/1 | tr -d '\r' | awk 'tolower($1)=="x-data-version:" {print $2}'; }
await_version() { while [ "$(version)" != "$1" ]; do sleep 0.01; done; }
# Waits until the server is idle: after a load it copies its segments into its own directory.
settle() {
  local before after=x
  until [ "$after" = "${before:-}" ]; do
    before=$(awk '{print $14 + $15}' "/proc/$server/stat"); sleep 0.5
    after=$(awk '{print $14 + $15}' "/proc/$server/stat")
    [ $((after - before)) -le 2 ] && after=$before
  done
}
rss() { awk '/^VmRSS/ {print $2 * 1024}' "/proc/$1/status"; }
peak() { awk '/^VmHWM/ {print $2 * 1024}' "/proc/$1/status"; }

copy_seconds() {
  for _ in $(seq "$repeat"); do
    local begin; begin=$(now)
    psql -qc 'copy (select row_to_json(t) from (select * from customers) t) to stdout' >/dev/null
    since "$begin"
  done | median
}

# Runs one sync by command beside the server; prints the seconds until the server serves the version.
sync_visible() { # directory version
  local begin; begin=$(now)
  "$larder" sync --config "$1/larder.toml" customer >"$1/sync.log" 2>&1 || { cat "$1/sync.log" >&2; exit 1; }
  await_version "$2"
  since "$begin"
}

bench_sync() {
  need curl; need bc
  start_postgres
  echo "making $rows rows" >&2
  psql -q -v rows="$rows" -f scripts/bench/model.sql
  local copy first=() unchanged=() changed=() publisher
  copy=$(copy_seconds)
  for round in $(seq "$repeat"); do
    local dir=$work/node$round
    write_config "$dir"
    serve "$dir"
    key=$("$larder" keys create --config "$dir/larder.toml" --name bench --all-collections 2>/dev/null)
    first+=("$(sync_visible "$dir" 1)")
    settle
    unchanged+=("$(sync_visible "$dir" 1)")
    settle
    psql -qc "update customers set churn_risk = churn_risk + 1 where user_id % 100 = $round"
    changed+=("$(sync_visible "$dir" 2)")
    memory_rss=$(rss "$server")
    stop
    "$larder" sync --config "$dir/larder.toml" customer >/dev/null 2>&1 &
    local sync=$!
    publisher=0
    while kill -0 "$sync" 2>/dev/null; do
      local seen; seen=$(peak "$sync" 2>/dev/null || echo 0)
      [ "${seen:-0}" -gt "$publisher" ] && publisher=$seen
      sleep 0.02
    done
    node=$dir
  done
  local f u c
  f=$(printf '%s\n' "${first[@]}" | median)
  u=$(printf '%s\n' "${unchanged[@]}" | median)
  c=$(printf '%s\n' "${changed[@]}" | median)
  echo
  echo "| $rows rows from Postgres, median of $repeat | seconds | ratio to copy | budget |"
  echo "|---|---|---|---|"
  echo "| psql copy (select row_to_json(t) ...) to stdout | $copy | 1.00 | |"
  echo "| first sync to visible | $f | $(ratio "$f" "$copy") | 1.0 |"
  echo "| nothing changed | $u | $(ratio "$u" "$copy") | 0.6 |"
  echo "| 1 % changed to visible | $c | $(ratio "$c" "$copy") | 0.65 |"
  echo "| peak memory of an unchanged \`larder sync\` process, MB | $(echo "$publisher / 1000000" | bc) | | 200 |"
}

bench_memory() {
  need redis-server; need redis-cli
  # A restart from local files, without store and warehouse.
  local begin restart resident
  begin=$(now); serve "$node"; await_version 2; restart=$(since "$begin")
  resident=$(rss "$server"); stop
  redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save '' --daemonize no >"$work/redis.log" 2>&1 &
  local redis=$!; pids+=("$redis")
  until redis-cli -s "$work/redis.sock" ping >/dev/null 2>&1; do sleep 0.05; done
  # The record under one key, the second index as a key that names the first.
  psql -qAt -F $'\x01' -c "select user_id, email, row_to_json(t) from (select * from customers) t" \
    | awk -F $'\x01' '{ k="id:" $1; v=$3; e="email:" $2;
        printf "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", length(k), k, length(v), v;
        printf "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", length(e), e, length(k), k }' LC_ALL=C \
    | LC_ALL=C redis-cli -s "$work/redis.sock" --pipe >/dev/null
  redis-cli -s "$work/redis.sock" save >/dev/null
  redis-cli -s "$work/redis.sock" shutdown nosave >/dev/null 2>&1 || true
  wait "$redis" 2>/dev/null || true
  begin=$(now)
  redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save '' --daemonize no >"$work/redis.log" 2>&1 &
  redis=$!; pids+=("$redis")
  until [ "$(redis-cli -s "$work/redis.sock" ping 2>/dev/null)" = PONG ]; do sleep 0.01; done
  local load redis_rss; load=$(since "$begin"); redis_rss=$(rss "$redis")
  kill -TERM "$redis"; wait "$redis" 2>/dev/null || true
  echo
  echo "| $rows records, 2 indexes | larder | Redis | ratio | budget |"
  echo "|---|---|---|---|---|"
  echo "| resident bytes a record, just loaded | $((resident / rows)) | $((redis_rss / rows)) | $(ratio "$resident" "$redis_rss") | 0.4 |"
  echo "| restart to ready, seconds | $restart | $load | $(ratio "$restart" "$load") | 0.25 |"
}

. scripts/bench/servers.sh
. scripts/bench/templates.sh
. scripts/bench/read.sh
. scripts/bench/access.sh
. scripts/bench/lookups.sh
. scripts/bench/tail.sh
. scripts/bench/regions.sh
. scripts/bench/scale.sh
. scripts/bench/sources.sh
. scripts/bench/pages.sh

echo "machine: $(nproc) cores, $(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
case $what in
  cache) bench_cache ;;
  liquid) bench_liquid; bench_template_sync ;;
  scale) bench_scale ;;
  pages) bench_pages ;;
  sync) bench_sync ;;
  sources) bench_sources ;;
  memory) bench_sync; bench_memory ;;
  access) bench_access ;;
  read) bench_read ;;
  lookups) bench_lookups ;;
  tail) bench_tail ;;
  apply) bench_apply ;;
  connections) bench_connections ;;
  takeover) start_postgres; start_store; bench_takeover ;;
  regions) bench_regions ;;
  all) bench_cache; bench_liquid; bench_template_sync; bench_sync; bench_memory; for what in access read lookups tail apply connections regions scale pages sources; do "$0" "$what"; done ;;
  *) echo "usage: scripts/bench.sh [cache|liquid|scale|pages|sync|sources|memory|access|read|lookups|tail|apply|connections|takeover|regions]" >&2; exit 2 ;;
esac
# A measurement of failed requests is worthless.
[ ! -s "$failures" ] || { echo "requests failed:" >&2; cat "$failures" >&2; exit 1; }
