# Two regions on one S3-compatible server: time from announcement to visible, rollback of everything, restart
# without the store, and takeover by a standby. scripts/bench.sh sources this file, which uses its functions.
store_at=127.0.0.1:15000
poll=${POLL_INTERVAL:-1s}

start_store() {
  [ -x target/moto/bin/python ] || { echo "missing: moto; scripts/test.sh installs it" >&2; exit 1; }
  # One request at a time: moto does not serialise creations, and publishers refuse such a store.
  target/moto/bin/python tests/it/support/s3_server.py "${store_at#*:}" >"$work/store.log" 2>&1 &
  store=$!
  pids+=("$store")
  until curl -sf -X PUT "http://$store_at/bench" >/dev/null 2>&1; do sleep 0.1; done
}

write_region_config() { # name region role port
  mkdir -p "$work/$1"
  cat >"$work/$1/larder.toml" <<TOML
[node]
region = "$2"
roles = ["$3"]
[server]
listen = "127.0.0.1:$4"
admin_listen = "127.0.0.1:$(($4 + 1))"
[storage]
url = "s3://bench/larder"
poll_interval = "$poll"
[storage.s3]
endpoint = "http://$store_at"
access_key_id = "bench"
secret_access_key = "bench"
[metadata]
url = "sqlite:./metadata.db"
$(sync_sections)
TOML
}

serve_region() { # name port
  "$larder" serve --config "$work/$1/larder.toml" >>"$work/$1/log" 2>&1 &
  pids+=("$!")
  echo $! >"$work/$1/pid"
  until curl -sf "http://127.0.0.1:$2/readyz" >/dev/null; do
    kill -0 "$(cat "$work/$1/pid")" 2>/dev/null || { cat "$work/$1/log" >&2; exit 1; }
    sleep 0.01
  done
}

hub() { "$larder" "$@" --config "$work/hub/larder.toml" 2>"$work/hub/log" || { cat "$work/hub/log" >&2; return 1; }; }
version_at() { curl -s -o /dev/null -D - -H "Authorization: Bearer $key" \
  "http://127.0.0.1:$1/v1/collections/customer/records/id/1" | tr -d '\r' | awk 'tolower($1)=="x-data-version:" {print $2}'; }

# Seconds until both regions serve a version, from the end of the command that announced it.
visible_everywhere() { # version
  local begin; begin=$(now)
  for port in 18100 18110; do while [ "$(version_at $port)" != "$1" ]; do sleep 0.005; done; done
  since "$begin"
}

# The round trip of a small request to the store, in seconds.
round_trip() {
  for _ in $(seq 20); do
    curl -s -o /dev/null -w '%{time_total}\n' "http://$store_at/bench/larder/catalog/head"
  done | median
}

# Kills a node and starts it; seconds until it serves the version of before, and until it is ready.
restarted() {
  local begin first
  pkill -KILL -F "$work/eu/pid"; while kill -0 "$(cat "$work/eu/pid")" 2>/dev/null; do sleep 0.01; done
  begin=$(now)
  "$larder" serve --config "$work/eu/larder.toml" >>"$work/eu/log" 2>&1 & echo $! >"$work/eu/pid"
  until [ "$(version_at 18100)" = "$announced" ]; do sleep 0.005; done
  first=$(since "$begin")
  until curl -sf "http://127.0.0.1:18100/readyz" >/dev/null; do sleep 0.005; done
  echo "$first $(since "$begin")"
}

bench_regions() {
  need curl; need bc
  start_postgres
  start_store
  bench_takeover
  echo "making $rows rows" >&2
  psql -q -v rows="$rows" -f scripts/bench/model.sql
  write_region_config hub hub publisher 18120
  write_region_config eu eu replica 18100
  write_region_config us us replica 18110
  key=$(hub keys create --name bench --all-collections)
  local begin first changed=() rolled=() announced=1
  serve_region eu 18100
  serve_region us 18110
  begin=$(now); hub sync customer >/dev/null; first=$(since "$begin")
  printf '| first sync to the store, %s rows | %s s |\n' "$rows" "$first"
  printf '| announced to visible in both regions, everything | %s s |\n' "$(visible_everywhere 1)"
  printf '| round trip to the store | %s s |\n' "$(round_trip)"
  for round in $(seq "$repeat"); do
    psql -qc "update customers set churn_risk = churn_risk + 1 where user_id <= 10000"
    hub sync customer >/dev/null; announced=$((announced + 1))
    changed+=("$(visible_everywhere $announced)")
  done
  printf '| announced to visible, 10,000 changes, poll interval %s | %s s |\n' "$poll" "${changed[*]}"
  for round in $(seq "$repeat"); do
    hub rollback customer --to 1 >/dev/null; announced=$((announced + 1))
    rolled+=("$(visible_everywhere $announced)")
    hub resume customer >/dev/null
    psql -qc "update customers set churn_risk = churn_risk + 1 where user_id <= 10000"
    hub sync customer >/dev/null; announced=$((announced + 1)); visible_everywhere $announced >/dev/null
  done
  printf '| rollback announced to visible in both regions, everything | %s s |\n' "${rolled[*]}"
  sleep 2 # until the last version is on disk
  # A stopped store accepts connections and does not answer; one that has ended refuses them.
  kill -STOP "$store"
  printf '| killed, restarted while the store does not answer: first record, ready | %s s |\n' "$(restarted)"
  kill -CONT "$store"; kill -TERM "$store"; wait "$store" 2>/dev/null || true
  printf '| killed, restarted without a store: first record, ready | %s s |\n' "$(restarted)"
}

# Two publishers of one sync, metadata in Postgres.
write_takeover_config() { # name port
  mkdir -p "$work/$1"
  cat >"$work/$1/larder.toml" <<TOML
[node]
region = "hub"
roles = ["publisher"]
[server]
listen = "127.0.0.1:$2"
admin_listen = "127.0.0.1:$(($2 + 1))"
[storage]
url = "s3://takeover/larder"
poll_interval = "$poll"
[storage.s3]
endpoint = "http://$store_at"
access_key_id = "bench"
secret_access_key = "bench"
[metadata]
url = "postgres://bench@localhost/books?host=$work/pg"
[sources.warehouse]
type = "postgres"
url = "postgres://bench@localhost/postgres?host=$work/pg"
[models.tick]
source = "warehouse"
sql = "select id, clock_timestamp()::text as at from ticks"
primary_key = "id"
[syncs.tick]
model = "tick"
schedule = "every 1s"
indexes = { id = "id" }
[log]
filter = "warn"
TOML
}

books() { psql -qAt -d books -c "$1"; }
# The number of the newest catalog document; nothing before the first.
announced() {
  curl -s "http://$store_at/takeover?list-type=2&prefix=larder/catalog/" \
    | grep -o 'catalog/[0-9]*' | sed 's#catalog/0*##' | sort -n | tail -1
}
await_true() { # what command...
  local end=$((SECONDS + takeover_max))
  until "${@:2}"; do
    [ "$SECONDS" -lt "$end" ] || { echo "no $1 within $takeover_max s" >&2; cat "$work"/first/log "$work"/second/log >&2; exit 1; }
    sleep 0.01
  done
}
# In seconds; the lease of a killed holder lasts 12 s.
takeover_max=60
has_holder() { holder=$(books "select holder from leases where name = 'sync:tick' and expires_at > extract(epoch from clock_timestamp()) * 1000000"); [ -n "$holder" ]; }
is_waited_for() { [ "$(psql -qAtc "select count(*) from pg_stat_activity where wait_event_type = 'Lock'")" -gt 0 ]; }
has_announced_after() { local n; n=$(announced); [ -n "$n" ] && [ "$n" -gt "$1" ]; }

bench_takeover() {
  local begin before name port pid lock taken=()
  psql -qc 'create database books' -c 'create table ticks as select 1 as id'
  curl -sf -X PUT "http://$store_at/takeover" >/dev/null
  write_takeover_config first 18130
  write_takeover_config second 18140
  "$larder" migrate --config "$work/first/larder.toml" >/dev/null 2>&1
  serve_region first 18130
  serve_region second 18140
  await_true announcement has_announced_after 0
  for round in $(seq "$repeat"); do
    # The holder is killed in a run, so that it does not release its lease.
    mkfifo "$work/lock$round"
    psql -qAt <"$work/lock$round" >/dev/null & lock=$!
    pids+=("$lock")
    exec 7>"$work/lock$round"
    echo 'begin; lock table ticks in access exclusive mode;' >&7
    await_true 'run that waits' is_waited_for
    await_true holder has_holder
    name=first; [[ $holder == pid-$(cat "$work/second/pid")-* ]] && name=second
    pid=$(cat "$work/$name/pid")
    before=$(announced)
    begin=$(now)
    kill -KILL "$pid"; wait "$pid" 2>/dev/null || true
    exec 7>&-; wait "$lock" || true
    await_true "announcement of the standby" has_announced_after "$before"
    taken+=("$(since "$begin")")
    port=18130; [ "$name" = second ] && port=18140
    serve_region "$name" "$port"
  done
  printf '| publisher killed in a run, the standby has announced after | %s s |\n' "${taken[*]}"
}
