# CPU of forms of look-ups against single ones: a batch of 100, a record that includes 10, some fields. The server has
# one core, the load generator the other. scripts/bench.sh sources this file, which uses its functions, those of
# servers.sh and those of read.sh.

lookups_round() { # directory-of-rounds
  local of=(--address "$public" "${authorised[@]}")
  measure "$server" "${of[@]}" --keys "$rows" --path "$(record plain)" >>"$1/single"
  measure "$server" "${of[@]}" --keys "$rows" --path /v1/collections/plain/records/id/batch --values 100 >>"$1/batch"
  measure "$server" "${of[@]}" --keys "$large_rows" --path "$(record joined)" >>"$1/include"
  measure "$server" "${of[@]}" --keys "$rows" --path "$(record plain)?fields=full_name,recommendations.concerts" >>"$1/fields"
}

# The median of the rounds' ratios of one request to `count` single look-ups.
compare_to_singles() { # title rounds count single-rounds budget
  local share
  share=$(paste "$2" "$4" | awk -v n="$3" '{printf "%.4f\n", $3 / ($11 * n)}' | median | xargs printf '%.3f')
  echo "| $1 | $share | $5 |"
}

bench_lookups() {
  prepare_read
  stop
  pin=(taskset -c 0)
  write_read_config manual
  local model="select user_id, (select jsonb_agg(1 + (user_id * 31::bigint + i * 7919) % $rows) from generate_series(1, 10) i) as friends from customers where user_id <= $large_rows"
  cat >>"$work/read/larder.toml" <<TOML
[models.joined]
source = "warehouse"
sql = "$model"
primary_key = "user_id"
[syncs.joined]
model = "joined"
indexes = { id = "user_id" }
includes.found = { from = "friends", collection = "plain", index = "id", always = true }
TOML
  "${pin[@]}" "$larder" serve --config "$work/read/larder.toml" >"$work/read/log" 2>&1 &
  server=$!
  pids+=("$server")
  await_answer "$server" "http://$public/readyz" || { cat "$work/read/log" >&2; exit 1; }
  sync_read joined || exit 1
  local found=0
  until [ "$found" = 10 ]; do
    found=$(curl -s -H "Authorization: Bearer $key" "http://$public/v1/collections/joined/records/id/1" \
      | { grep -o '"full_name"' || true; } | wc -l)
    sleep 0.05
  done
  settle
  local r=$work/lookups round
  mkdir -p "$r/warm" "$r/counted"
  lookups_round "$r/warm"
  for round in $(seq "$repeat"); do lookups_round "$r/counted"; done
  r=$r/counted
  echo
  echo "| look-up, records of $(wc -c <"$work/body.plain") bytes | user | system | sum a request | requests/s | p50 | p99 | p99.9 | failures |"
  echo "|---|---|---|---|---|---|---|---|---|"
  row "one" "$r/single"
  row "a batch of 100" "$r/batch"
  row "one that includes 10" "$r/include"
  row "two fields of one" "$r/fields"
  echo
  echo "| CPU, median of the rounds' ratios | ratio | budget |"
  echo "|---|---|---|"
  compare_to_singles "a batch of 100 to 100 look-ups" "$r/batch" 100 "$r/single" 0.15
  compare_to_singles "one that includes 10 to 11 look-ups" "$r/include" 11 "$r/single" 0.3
  compare_to_singles "two fields of one to one" "$r/fields" 1 "$r/single" 1.5
}
