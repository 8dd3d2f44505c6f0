# Server time of the console's pages with 1,000 collections and 10,000 runs. scripts/bench.sh sources this file, which uses
# its functions.

pages_syncs=1000
pages_runs=10000

write_pages_config() { # directory
  mkdir -p "$1"
  sqlite3 "$1/people.db" "create table people (id integer primary key, name text); insert into people values (1, 'Ann'), (2, 'Bo');"
  cat >"$1/larder.toml" <<TOML
[server]
listen = "127.0.0.1:18080"
admin_listen = "127.0.0.1:18081"
[log]
filter = "warn"
[sources.warehouse]
type = "sqlite"
path = "people.db"
[models.people]
source = "warehouse"
table = "people"
primary_key = "id"
TOML
  local number
  for number in $(seq 0 $((pages_syncs - 1))); do
    printf '[syncs.sync_%04d]\nmodel = "people"\nschedule = "manual"\nindexes = { id = "id" }\n' "$number" >>"$1/larder.toml"
  done
}

# Runs every sync once, and waits until the node serves all collections.
run_all_syncs() { # admin-key
  local number served=0
  for number in $(seq -f '%04g' 0 $((pages_syncs - 1))); do
    until curl -sf -o /dev/null -H "Authorization: Bearer $1" -X POST -H 'content-type: application/json' -d '{}' \
      "http://127.0.0.1:18081/admin/v1/syncs/sync_$number/runs"; do sleep 0.2; done
  done
  until [ "$served" -ge "$pages_syncs" ]; do
    sleep 1
    served=$(curl -s http://127.0.0.1:18081/metrics | grep -c '^larder_collection_version{' || true)
  done
}

# Milliseconds until the first byte of a page, median of many.
page_ms() { # path
  local round
  for round in $(seq 15); do
    curl -sf -o /dev/null -b "$work/cookies" -w '%{http_code} %{time_starttransfer}\n' "http://127.0.0.1:18081$1"
  done | awk '$1 != 200 {print "page answered", $1 > "/dev/stderr"; exit 1} {printf "%.1f\n", $2 * 1000}' | median
}

bench_pages() {
  need sqlite3; need curl
  local dir=$work/pages admin_key token page ms
  write_pages_config "$dir"
  serve "$dir"
  admin_key=$(cat "$dir/data/admin.key")
  run_all_syncs "$admin_key"
  stop
  sqlite3 "$dir/data/metadata.db" "with recursive n(i) as (select 1 union all select i + 1 from n where i < $pages_runs)
    insert into runs (id, sync, status, started_by, started_at, finished_at, counts, error_code, error_message)
    select 'run_' || lower(hex(randomblob(16))), case i % 2 when 0 then 'sync_0000' else 'sync_' || printf('%04d', i / 2 % 1000) end,
      'failed', 'schedule', started_at - i * 1000000, finished_at - i * 1000000, counts, 'source_unavailable', 'no route'
    from n, (select * from runs limit 1)"
  serve "$dir"
  token=$(curl -sf -H "Authorization: Bearer $admin_key" -X POST -H 'content-type: application/json' -d '{"role": "admin"}' \
    http://127.0.0.1:18081/admin/v1/login-links | sed -n 's/.*"path":"[^"]*\/\([^"\/]*\)".*/\1/p')
  curl -sf -o /dev/null -c "$work/cookies" -H 'Origin: http://127.0.0.1:18081' -d "token=$token" http://127.0.0.1:18081/console/sign-in
  settle
  echo
  echo "| page with $pages_syncs collections and $pages_runs runs | ms to the first byte, median of 15 | budget |"
  echo "|---|---|---|"
  for page in /console /console/syncs /console/syncs/sync_0000 '/console/syncs?cursor=sync_0949' /console/collections/sync_0000 \
    /console/configuration/syncs /console/configuration/models /console/keys /console/nodes /console/audit; do
    ms=$(page_ms "$page")
    echo "| \`$page\` | $ms | 200 |"
  done
  stop
}
