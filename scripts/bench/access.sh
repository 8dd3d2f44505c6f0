# CPU a request by credential: a plain key, a key with a field limit, a token that was seen before; with BEFORE also a
# plain key on an earlier build. The server has one core, the load generator the other. scripts/bench.sh sources this
# file, which uses its functions, those of servers.sh and those of read.sh.
before_at=127.0.0.1:18082

# A node of the build in BEFORE, which serves the same records from the same store.
start_before() {
  mkdir -p "$work/before"
  cat >"$work/before/larder.toml" <<TOML
[node]
roles = ["replica"]
[server]
listen = "$before_at"
admin_listen = "127.0.0.1:18083"
[storage]
url = "file:$work/read/data/store"
poll_interval = "100ms"
[log]
filter = "warn"
TOML
  "${pin[@]}" "$BEFORE" serve --config "$work/before/larder.toml" >"$work/before/log" 2>&1 &
  before=$!
  pids+=("$before")
  await_answer "$before" "http://$before_at/readyz" || { cat "$work/before/log" >&2; exit 1; }
}

access_round() { # directory-of-rounds
  local of=(--address "$public" --keys "$rows" --path "$(record plain)")
  measure "$server" "${of[@]}" "${authorised[@]}" >>"$1/plain"
  [ -z "${BEFORE:-}" ] || measure "$before" --address "$before_at" "${of[@]:2}" "${authorised[@]}" >>"$1/before"
  measure "$server" "${of[@]}" --header "Authorization: Bearer $limited" >>"$1/limited"
  measure "$server" "${of[@]}" --header "Authorization: Bearer $token" >>"$1/token"
}

bench_access() {
  cargo bench --locked --quiet --bench access
  prepare_read
  limited=$("$larder" keys create --config "$work/read/larder.toml" --name limited --all-collections \
    --without-field email --without-field lifetime_value 2>/dev/null)
  stop
  pin=(taskset -c 0)
  local issuer="[tokens.bench]
issuer = \"bench\"
audience = \"bench\"
algorithms = [\"HS256\"]
secret = \"0123456789abcdef0123456789abcdef\"
all_collections = true
all_records = true
max_lifetime = \"24h\""
  write_read_config manual
  echo "$issuer" >>"$work/read/larder.toml"
  "${pin[@]}" "$larder" serve --config "$work/read/larder.toml" >"$work/read/log" 2>&1 &
  server=$!
  pids+=("$server")
  await_answer "$server" "http://$public/readyz" || { cat "$work/read/log" >&2; exit 1; }
  token=$("$larder" token mint --config "$work/read/larder.toml" bench --expires 12h)
  settle
  [ -z "${BEFORE:-}" ] || start_before
  local r=$work/access round
  mkdir -p "$r/warm" "$r/counted"
  access_round "$r/warm"
  for round in $(seq "$repeat"); do access_round "$r/counted"; done
  r=$r/counted
  echo
  echo "| credential, record of $(wc -c <"$work/body.plain") bytes | user | system | sum a request | requests/s | p50 | p99 | p99.9 | failures |"
  echo "|---|---|---|---|---|---|---|---|---|"
  row "plain key" "$r/plain"
  [ -z "${BEFORE:-}" ] || row "plain key, earlier build" "$r/before"
  row "key without two fields" "$r/limited"
  row "token seen before" "$r/token"
  echo
  echo "| CPU a request, median of the rounds' ratios | ratio | budget |"
  echo "|---|---|---|"
  [ -z "${BEFORE:-}" ] || compare "plain key to plain key, earlier build" "$r/plain" "$r/before" 1.0
  compare "key without two fields to plain key" "$r/limited" "$r/plain" 1.5
  compare "token seen before to plain key" "$r/token" "$r/plain" 1.5
}
