# The read path against a bare hyper server and nginx; sourced by scripts/bench.sh, whose functions it uses.
# CPU per request: each server alone on core 0, the load on core 1, in turns. Latency: all on all cores.
seconds=${SECONDS_EACH:-5}
url=127.0.0.1:18080

build_http() {
  http=$PWD/$(cargo bench --locked --no-run --bench http 2>&1 | sed -n 's/.*(\(target[^)]*\)).*/\1/p' | tail -1)
  [ -x "$http" ] || { echo "the load generator was not built" >&2; exit 1; }
}

# Three collections of the same warehouse: 550 bytes plain, the same packed, and 4 kB.
write_read_config() { # directory schedule
  mkdir -p "$1"
  local small='select user_id, email, full_name, external_id, lifetime_value, churn_risk, city, signed_up, updated_at, \"90_day_summary\", recommendations->'"'concerts'->0 as concert"' from customers'
  local large='select user_id, (select jsonb_agg(md5((user_id * 31 + i)::text)) from generate_series(1, 110) i) as codes from customers where user_id <= 20000'
  cat >"$1/larder.toml" <<TOML
[server]
listen = "$url"
admin_listen = "127.0.0.1:18081"
connections_max = 20000
[storage]
poll_interval = "100ms"
[sources.warehouse]
type = "postgres"
url = "postgres://bench@localhost/postgres?host=$work/pg"
[models.small]
source = "warehouse"
sql = "$small"
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
model = "small"
schedule = "$2"
indexes = { id = "user_id", email = "email" }
[syncs.large]
model = "large"
indexes = { id = "user_id" }
[log]
filter = "warn"
TOML
}

start_read() { # schedule-of-packed pin...
  local schedule=$1; shift
  write_read_config "$work/read" "$schedule"
  "$@" "$larder" serve --config "$work/read/larder.toml" >"$work/read/log" 2>&1 &
  server=$!; pids+=("$server")
  until curl -sf "http://$url/readyz" >/dev/null; do kill -0 "$server" || { cat "$work/read/log" >&2; exit 1; }; sleep 0.05; done
}

prepare_read() {
  need curl; need nginx; need taskset
  build_http
  [ -n "${PGHOST:-}" ] || { start_postgres; echo "making $rows rows" >&2; psql -q -v rows="$rows" -f scripts/bench/model.sql; }
  start_read manual
  key=$("$larder" keys create --config "$work/read/larder.toml" --name bench --all-collections 2>/dev/null)
  local sync
  for sync in plain packed large; do "$larder" sync --config "$work/read/larder.toml" "$sync" >"$work/read/sync.log" 2>&1 || { cat "$work/read/sync.log" >&2; exit 1; }; done
  authorised=(--header "Authorization: Bearer $key")
  local path
  for path in plain packed large; do
    until curl -sf -o "$work/body.$path" -H "Authorization: Bearer $key" "http://$url/v1/collections/$path/records/id/1"; do sleep 0.05; done
  done
  settle
}

start_bare() { # pin...
  "$@" "$http" bare 127.0.0.1:18090 "$work/body.plain" & bare=$!; pids+=("$bare")
}

start_nginx() { # pin...
  mkdir -p "$work/www" "$work/nginx"; cp "$work/body.plain" "$work/www/body"; chmod -R a+rX "$work/www"; chmod a+rx "$work"
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; pid $work/nginx/pid; error_log $work/nginx/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path $work/nginx/a; proxy_temp_path $work/nginx/b; fastcgi_temp_path $work/nginx/c;
  uwsgi_temp_path $work/nginx/d; scgi_temp_path $work/nginx/e;
  server { listen 127.0.0.1:18091; root $work/www; }
}
CONF
  "$@" nginx -c "$work/nginx.conf" & nginx=$!; pids+=("$nginx")
}

cpu() { awk '{print $14, $15}' "/proc/$1/stat"; }

# One round: user and system microseconds a request, rate, p50, p99, p99.9, failures.
measure() { # pid load-arguments...
  local pid=$1 before after out; shift
  before=$(cpu "$pid")
  out=$(taskset -c 1 "$http" load --seconds "$seconds" "$@")
  after=$(cpu "$pid")
  echo "$before $after $out" | tr '=' ' ' | awk '{ n = $6; printf "%.2f %.2f %s %s %s %s %s\n", ($3 - $1) * 10000 / n, ($4 - $2) * 10000 / n, $12, $14, $16, $18, $8 }'
}

row() { # title file-of-rounds reference-or-dash
  local line total
  line=$(for column in 1 2 3 4 5 6; do awk -v c=$column '{print $c}' "$2" | median; done | tr '\n' ' ')
  total=$(awk '{print $1 + $2}' "$2" | median)
  local failures; failures=$(awk '{f += $7} END {print f}' "$2")
  echo "$total" >"$2.total"
  # shellcheck disable=SC2086
  set -- "$1" "$2" "$3" $line
  echo "| $1 | $4 + $5 | $total | $([ "$3" = - ] && echo 1.00 || ratio "$total" "$(cat "$3.total")") | $6 | $7 | $8 | $9 | $failures |"
}

bench_read() {
  prepare_read
  kill -TERM "$server"; wait "$server" || true
  start_read manual taskset -c 0
  start_bare taskset -c 0; start_nginx taskset -c 0
  until curl -sf http://127.0.0.1:18091/body >/dev/null && curl -sf http://127.0.0.1:18090/ >/dev/null; do sleep 0.05; done
  settle
  local record='/v1/collections/%s/records/id/{}' r=$work/rounds; mkdir -p "$r"
  local small=(--address "$url" --keys "$rows" "${authorised[@]}") round
  local large=(--address "$url" --keys 20000 "${authorised[@]}" --path "$(printf "$record" large)")
  for round in $(seq 0 "$repeat"); do
    # The first round warms up.
    [ "$round" = 1 ] && rm -f "$r"/*
    measure "$bare" --address 127.0.0.1:18090 --path /body "${authorised[@]}" >>"$r/bare"
    measure "$server" "${small[@]}" --path "$(printf "$record" plain)" >>"$r/plain"
    measure "$server" "${small[@]}" --path "$(printf "$record" packed)" >>"$r/packed"
    measure "$nginx" --address 127.0.0.1:18091 --path /body "${authorised[@]}" >>"$r/nginx"
    measure "$server" "${large[@]}" >>"$r/large"
    measure "$server" "${large[@]}" --header "Accept-Encoding: gzip" >>"$r/gzip"
  done
  echo
  echo "$rows records of $(wc -c <"$work/body.plain") bytes and $(wc -c <"$work/body.large"); 64 connections; median of $repeat rounds of $seconds s"
  echo
  echo "| server, one core | CPU µs a request, user + system | sum | ratio | requests/s | p50 µs | p99 µs | p99.9 µs | failures |"
  echo "|---|---|---|---|---|---|---|---|---|"
  row "bare hyper, fixed body" "$r/bare" -
  row "larder, \`compression = \"none\"\`, to bare hyper (budget 1.15)" "$r/plain" "$r/bare"
  row "larder, default, to bare hyper (budget 1.3)" "$r/packed" "$r/bare"
  row "nginx, that body from a file" "$r/nginx" -
  row "larder, default, to nginx (budget 1.0)" "$r/packed" "$r/nginx"
  row "larder, 4 kB" "$r/large" -
  row "larder, 4 kB, \`Accept-Encoding: gzip\`, to the same without (budget 1.3)" "$r/gzip" "$r/large"
}

# Latency at a fixed rate: p50, p99, p99.9, failures.
at_rate() { # address rate path
  "$http" load --seconds "$((seconds * 3))" --rate "$2" --address "$1" --path "$3" --keys "$rows" "${authorised[@]}" \
    | tr '=' ' ' | awk '{print $10, $12, $14, $4}'
}

bench_tail() {
  prepare_read
  start_bare
  local path='/v1/collections/packed/records/id/{}' top half
  top=$("$http" load --seconds "$seconds" --address "$url" --path "$path" --keys "$rows" "${authorised[@]}" | tr '=' ' ' | awk '{print $8}')
  half=$((top / 2))
  echo; echo "top rate, load on the same cores: $top a second; latency at $half a second, open loop"
  echo; echo "| | p50 µs | p99 µs | p99.9 µs | failures |"; echo "|---|---|---|---|---|"
  local idle busy alone beside
  alone=$(at_rate 127.0.0.1:18090 "$half" /body); idle=$(at_rate "$url" "$half" "$path")
  # Syncs of all rows, one after the other: beside bare hyper as another process, beside reads inside the server.
  (while :; do "$larder" sync --config "$work/read/larder.toml" packed >/dev/null 2>&1; done) & local loop=$!
  sleep 1; beside=$(at_rate 127.0.0.1:18090 "$half" /body)
  kill "$loop"; wait "$loop" 2>/dev/null || true; settle
  kill -TERM "$server"; wait "$server" || true
  start_read "every 1s"; sleep 1; busy=$(at_rate "$url" "$half" "$path")
  kill -TERM "$server"; wait "$server" || true
  local title values
  for title in "bare hyper:$alone" "larder:$idle" "bare hyper beside \`larder sync\`:$beside" "larder during syncs of its own:$busy"; do
    values=${title#*:}; echo "| ${title%%:*} | ${values// / | } |"
  done
  echo; echo "p99.9 during syncs, larder to bare hyper: $(ratio "$(echo "$busy" | cut -d' ' -f3)" "$(echo "$beside" | cut -d' ' -f3)") (budget 1.5)"
}

# Changes that arrive while readers saturate the server.
bench_apply() {
  prepare_read
  local path='/v1/collections/packed/records/id/{}' changes before during begin visible version=1
  local load=("$http" load --address "$url" --path "$path" --keys "$rows" "${authorised[@]}")
  shown() { curl -s -o /dev/null -D - -H "Authorization: Bearer $key" "http://$url/v1/collections/packed/records/id/1" | tr -d '\r' | awk 'tolower($1)=="x-data-version:" {print $2}'; }
  echo; echo "| changed records | p99.9 µs before | p99.9 µs during | rate before | rate during | announced to visible, s | failures |"; echo "|---|---|---|---|---|---|---|"
  for changes in 10000 100000; do
    before=$("${load[@]}" --seconds "$seconds")
    psql -qc "update customers set churn_risk = churn_risk + 1 where user_id <= $changes"
    "${load[@]}" --seconds "$((seconds * 3))" >"$work/during" & local loading=$!
    "$larder" sync --config "$work/read/larder.toml" packed >"$work/read/sync.log" 2>&1 || cat "$work/read/sync.log" >&2
    begin=$(now); version=$((version + 1))
    until [ "$(shown)" = "$version" ]; do sleep 0.002; done
    visible=$(since "$begin"); wait "$loading"; during=$(cat "$work/during")
    echo "$before $during" | tr '=' ' ' | awk -v c="$changes" -v v="$visible" '{print "| " c " | " $14 " | " $30 " | " $8 " | " $24 " | " v " | " $4 + $20 " |"}'
    settle
  done
}

# What an idle keep-alive connection costs.
bench_connections() {
  prepare_read
  ulimit -n 65536
  local count=10000 before after; before=$(rss "$server")
  kill -TERM "$server"; wait "$server" || true
  start_read manual; settle; before=$(rss "$server")
  mkfifo "$work/hold"; "$http" idle --address "$url" --path /v1/collections/packed/records/id/1 --connections "$count" "${authorised[@]}" <"$work/hold" >"$work/open" & local holding=$!
  exec 7>"$work/hold"
  until grep -q open "$work/open"; do kill -0 "$holding"; sleep 0.1; done
  after=$(rss "$server"); exec 7>&-; wait "$holding"
  echo; echo "$(cat "$work/open") idle connections: $(((after - before) / count)) resident bytes each"
}
