# Two regions on one S3-compatible server: how soon what is announced is visible in both, a rollback of
# everything, and a restart without the network. Sourced by scripts/bench.sh, whose functions it uses.
store_at=127.0.0.1:15000
poll=${POLL_INTERVAL:-1s}

start_store() {
  [ -x target/moto/bin/moto_server ] || { echo "missing: moto; scripts/test.sh installs it" >&2; exit 1; }
  target/moto/bin/moto_server -H "${store_at%:*}" -p "${store_at#*:}" >"$work/store.log" 2>&1 &
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

# When both regions show a version: seconds since the command that announced it had ended.
visible_everywhere() { # version
  local begin; begin=$(now)
  for port in 18100 18110; do while [ "$(version_at $port)" != "$1" ]; do sleep 0.005; done; done
  since "$begin"
}

# A cheap request to the store and back, in seconds.
round_trip() {
  for _ in $(seq 20); do
    curl -s -o /dev/null -w '%{time_total}\n' "http://$store_at/bench/larder/catalog/head"
  done | median
}

# Seconds until a node that was killed answers with what it served before, and until it is ready.
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
  echo "making $rows rows" >&2
  psql -q -v rows="$rows" -f scripts/bench/model.sql
  start_store
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
  sleep 2 # What was applied last is on the disk.
  # A store that is stopped takes connections and says nothing; one that has ended refuses them.
  kill -STOP "$store"
  printf '| killed, restarted beside a mute store: first record, ready | %s s |\n' "$(restarted)"
  kill -CONT "$store"; kill -TERM "$store"; wait "$store" 2>/dev/null || true
  printf '| killed, restarted without a store: first record, ready | %s s |\n' "$(restarted)"
}
