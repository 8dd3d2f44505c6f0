# The servers of the read benchmarks: Larder with three collections, bare hyper, nginx. scripts/bench.sh
# sources this file, which uses its functions.
seconds=${SECONDS_EACH:-5}
connections=${CONNECTIONS:-10000}
public=127.0.0.1:18080
admin=127.0.0.1:18081
bare_at=127.0.0.1:18090
equal_at=127.0.0.1:18092
nginx_at=127.0.0.1:18091
large_rows=$((rows < 20000 ? rows : 20000))
failures=$work/failures
# The command under which servers start: `taskset` for a core of their own, or nothing.
pin=()

# One value of a report of the load generator.
field() { tr ' ' '\n' <<<"$2" | sed -n "s/^$1=//p"; }
note_failures() { [ "$(field failures "$1")" = 0 ] || echo "$1" >>"$failures"; }
record() { echo "/v1/collections/$1/records/id/{}"; }

build_http() {
  http=${BENCH_HTTP:-}
  [ -n "$http" ] || http=$PWD/$(cargo bench --locked --no-run --bench http 2>&1 | sed -n 's/.*(\(target[^)]*\)).*/\1/p' | tail -1)
  [ -x "$http" ] || { echo "the load generator was not built" >&2; exit 1; }
}

# Three collections of one warehouse: 550 bytes plain, the same packed, and 4 kB.
write_read_config() { # schedule-of-packed
  mkdir -p "$work/read"
  local fields='user_id, email, full_name, external_id, lifetime_value, churn_risk, city, signed_up, updated_at, \"90_day_summary\"'
  local rest="recommendations->>'offer_code' as offer_code, recommendations->'concerts'->0 as concert from customers"
  local small="select $fields, 0::bigint as tick, $rest"
  # The time of the snapshot changes every record in every run, in a field that is there before: a new one would be held.
  local packed=$small
  [ "${every_record_changes:-no}" = no ] || packed=${small/0::bigint/(select floor(extract(epoch from now()))::bigint)}
  local large="select user_id, (select jsonb_agg(md5((user_id * 31 + i)::text)) from generate_series(1, 110) i) as codes from customers where user_id <= $large_rows"
  cat >"$work/read/larder.toml" <<TOML
[server]
listen = "$public"
admin_listen = "$admin"
connections_max = $((connections + 1000))
[storage]
poll_interval = "100ms"
[sources.warehouse]
type = "postgres"
url = "postgres://bench@localhost/postgres?host=$work/pg"
[models.small]
source = "warehouse"
sql = "$small"
primary_key = "user_id"
[models.packed]
source = "warehouse"
sql = "$packed"
primary_key = "user_id"
[models.large]
source = "warehouse"
sql = "$large"
primary_key = "user_id"
[syncs.plain]
model = "small"
compression = "none"
indexes = { id = "user_id", email = "email" }
[syncs.packed]
model = "packed"
schedule = "$1"
indexes = { id = "user_id", email = "email" }
[syncs.large]
model = "large"
indexes = { id = "user_id" }
[log]
filter = "warn"
TOML
}

sync_read() { # collection [option]
  "$larder" sync --config "$work/read/larder.toml" "$@" >"$work/read/sync.log" 2>&1 \
    || { cat "$work/read/sync.log" >&2; return 1; }
}

start_read() { # schedule-of-packed
  write_read_config "$1"
  "${pin[@]}" "$larder" serve --config "$work/read/larder.toml" >"$work/read/log" 2>&1 &
  server=$!
  pids+=("$server")
  await_answer "$server" "http://$public/readyz" || { cat "$work/read/log" >&2; exit 1; }
}

await_answer() { # pid url
  until curl -sf -o /dev/null "$2"; do
    kill -0 "$1" 2>/dev/null || { echo "no server at $2" >&2; return 1; }
    sleep 0.05
  done
}

# Starts a server and loads all three collections; gets a key, a body of each, and the headers of an answer.
prepare_read() {
  need curl; need nginx; need taskset; need bc
  build_http
  [ -n "${PGHOST:-}" ] || { start_postgres; echo "making $rows rows" >&2; psql -q -v rows="$rows" -f scripts/bench/model.sql; }
  start_read manual
  key=$("$larder" keys create --config "$work/read/larder.toml" --name bench --all-collections 2>/dev/null)
  authorised=(--header "Authorization: Bearer $key")
  local name
  for name in plain packed large; do
    sync_read "$name" || exit 1
    until curl -sf -D "$work/head.$name" -o "$work/body.$name" -H "Authorization: Bearer $key" \
      "http://$public/v1/collections/$name/records/id/1"; do sleep 0.05; done
  done
  answer_headers=()
  local line
  while read -r line; do answer_headers+=(--header "$line"); done < <(tr -d '\r' <"$work/head.plain" | grep ': ' | grep -viE '^(content-type|content-length|date): ')
  settle
}

start_bare() { # address header-options...
  local address=$1; shift
  "${pin[@]}" "$http" bare "$address" "$work/body.plain" "$@" &
  started=$!
  pids+=("$started")
  await_answer "$started" "http://$address/"
}

start_nginx() {
  mkdir -p "$work/www" "$work/nginx"
  cp "$work/body.plain" "$work/www/body"
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; pid $work/nginx/pid; error_log $work/nginx/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path $work/nginx/a; proxy_temp_path $work/nginx/b; fastcgi_temp_path $work/nginx/c;
  uwsgi_temp_path $work/nginx/d; scgi_temp_path $work/nginx/e;
  server { listen $nginx_at; root $work/www; }
}
CONF
  "${pin[@]}" nginx -c "$work/nginx.conf" 2>/dev/null &
  nginx=$!
  pids+=("$nginx")
  await_answer "$nginx" "http://$nginx_at/body"
}
