# Latency of reads at a fixed rate during syncs, changes while readers saturate the server, and memory of idle
# connections. Every process may use every core. scripts/bench.sh sources this file, which uses its functions
# and those of servers.sh.

# Real clients run on other machines, so the generator's wait for a core is not latency of the server. It runs
# at a higher priority where that is permitted, and the table shows how late it was.
ahead=()
if [ "$(nice -n -10 nice 2>/dev/null)" -lt "$(nice)" ]; then ahead=(nice -n -10); fi

# One open-loop measurement: p50, p99, p99.9, the generator's own lateness at p99.9, failures.
at_rate() { # rate address path
  local report
  report=$("${ahead[@]}" "$http" load --seconds "$((seconds * 3))" --rate "$1" --address "$2" --path "$3" --keys "$rows" "${authorised[@]}")
  note_failures "$report"
  echo "$(field p50 "$report") $(field p99 "$report") $(field p999 "$report") $(field late999 "$report") $(field failures "$report")"
}

# Syncs all rows in a separate process, at whole seconds like the server's scheduler, until a file exists. To
# kill it would leave its lease held.
sync_each_second() {
  until [ -e "$work/enough" ]; do
    sleep "$(date +%N | awk '{printf "%.3f", 1 - $1 / 1e9}')"
    sync_read packed && echo >>"$work/synced"
  done
}
# Waits until a command prints a number above 0, at most 120 s; a first sync under load takes less.
await_some() {
  local deadline=$((SECONDS + 120))
  until [ "$("$@")" -gt 0 ]; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "no sync ended" >&2; exit 1; }
    sleep 0.05
  done
}
process_syncs() { wc -l <"$work/synced"; }
# Successful runs of the server itself.
server_syncs() { curl -s "http://$admin/metrics" | awk '/^larder_sync_runs_total\{/ && /sync="packed"/ && /announced|unchanged/ {n += $NF} END {print n + 0}'; }

# Bare hyper beside syncs of another process on the same cores, without a Larder server.
tail_beside() { # rounds-file
  : >"$work/synced"
  write_read_config manual
  start_bare "$bare_at"
  sync_each_second & local loop=$!
  pids+=("$loop")
  await_some process_syncs
  local values begin
  begin=$(process_syncs)
  values=$(at_rate "$half" "$bare_at" /body)
  echo "$values $(($(process_syncs) - begin))" >>"$1"
  touch "$work/enough"
  wait "$loop"
  rm "$work/enough"
  kill -TERM "$started"; wait "$started" 2>/dev/null || true
}

# Larder during syncs of its own scheduler.
tail_within() { # rounds-file
  start_read "every 1s"
  await_some server_syncs
  local values begin
  begin=$(server_syncs)
  values=$(at_rate "$half" "$public" "$(record packed)")
  echo "$values $(($(server_syncs) - begin))" >>"$1"
  stop
}

tail_idle() { # rounds-directory
  start_bare "$bare_at"
  echo "$(at_rate "$half" "$bare_at" /body) 0" >>"$1/bare"
  kill -TERM "$started"; wait "$started" 2>/dev/null || true
  start_read manual
  settle
  echo "$(at_rate "$half" "$public" "$(record packed)") 0" >>"$1/larder"
  stop
}

tail_row() { # title rounds-file
  local c line=
  for c in 1 2 3 4; do line+=" $(column "$2" "$c") |"; done
  echo "| $1 |$line $(awk '{n += $6} END {print n}' "$2") | $(awk '{n += $5} END {print n}' "$2") |"
}
tail_ratio() { paste "$1" "$2" | awk '{printf "%.3f\n", $3 / $9}' | median | xargs printf '%.2f'; }

bench_tail() {
  prepare_read
  local top r=$work/tail
  top=$(field rate "$("$http" load --seconds "$seconds" --address "$public" --path "$(record packed)" --keys "$rows" "${authorised[@]}")")
  half=$((top / 2))
  stop
  mkdir -p "$r"
  local round
  for round in $(seq "$repeat"); do
    every_record_changes=no
    tail_idle "$r"
    tail_beside "$r/bare-unchanged"
    tail_within "$r/larder-unchanged"
    every_record_changes=yes
    tail_beside "$r/bare-changed"
    tail_within "$r/larder-changed"
  done
  echo
  echo "$rows records; top rate with the load on the same cores: $top requests/s; open loop at $half; median of $repeat rounds of $((seconds * 3)) s; µs from when a request was due"
  echo
  echo "| | p50 | p99 | p99.9 | the generator late, p99.9 | syncs ended | failures |"
  echo "|---|---|---|---|---|---|---|"
  tail_row "bare hyper" "$r/bare"
  tail_row "larder" "$r/larder"
  tail_row "bare hyper beside \`larder sync\`, nothing changed" "$r/bare-unchanged"
  tail_row "larder, its own syncs, nothing changed" "$r/larder-unchanged"
  tail_row "bare hyper beside \`larder sync\`, every record changed" "$r/bare-changed"
  tail_row "larder, its own syncs, every record changed and applied" "$r/larder-changed"
  echo
  echo "| p99.9, median of the rounds' ratios | ratio | budget |"
  echo "|---|---|---|"
  echo "| larder to bare hyper, no sync | $(tail_ratio "$r/larder" "$r/bare") | |"
  echo "| the same during syncs, nothing changed | $(tail_ratio "$r/larder-unchanged" "$r/bare-unchanged") | 1.5 |"
  echo "| the same during syncs, every record changed | $(tail_ratio "$r/larder-changed" "$r/bare-changed") | 1.5 |"
}

# The file name of the newest catalog document.
newest_document() { find "$work/read/data/store/catalog" -name '0*.json' -printf '%f\n' | sort | tail -1; }

# Changes this many records and prints one row of the table.
apply_round() { # changes version-to-come
  local document reports announced visible loading phase
  document=$(newest_document)
  document=$(printf '%s/read/data/store/catalog/%020d.json' "$work" $((10#${document%.json} + 1)))
  mkfifo "$work/phases"
  "$http" load --phase before --seconds 300 --address "$public" --path "$(record packed)" --keys "$rows" "${authorised[@]}" \
    <"$work/phases" >"$work/reports" & loading=$!
  pids+=("$loading")
  exec 7>"$work/phases"
  sleep "$seconds"
  psql -qc "update customers set churn_risk = churn_risk + 1 where user_id % ($rows / $1) = 0"
  echo sync >&7
  sync_read packed 7>&- & local sync=$!
  announced=$("$http" await-file "$document" 7>&-)
  echo apply >&7
  visible=$("$http" await-version --version "$2" --address "$public" --path "$(record packed)" --connections 1 "${authorised[@]}" 7>&-)
  echo after >&7
  wait "$sync"
  sleep 1
  exec 7>&-
  wait "$loading"
  rm "$work/phases"
  reports=$(cat "$work/reports")
  visible=$(echo "$visible - $announced" | bc -l | xargs printf '%.3f')
  local line="| $1 | $visible |"
  for phase in before sync apply; do
    local report; report=$(grep "^phase=$phase " <<<"$reports")
    line+=" $(field rate "$report") | $(field p99 "$report") | $(field p999 "$report") | $(field max "$report") |"
    note_failures "$report"
  done
  echo "$line"
}

# Changes that arrive while readers saturate the server.
bench_apply() {
  prepare_read
  local version=1 changes round
  echo
  echo "$rows records, 64 readers that never pause, poll interval 0.1 s; µs"
  echo
  echo "| changed | announced to visible, s | reads/s before | p99 | p99.9 | max | during the sync | p99 | p99.9 | max | during the apply | p99 | p99.9 | max |"
  echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
  for changes in $((rows / 100)) $((rows / 10)); do
    for round in $(seq "$repeat"); do
      version=$((version + 1))
      apply_round "$changes" "$version"
      settle
    done
  done
}

# Bytes that each of many idle keep-alive connections adds to a process without any.
held_by() { # pid address path
  local before after holding
  before=$(rss "$1")
  # Remove the generator's output about the server before.
  rm -f "$work/open"
  mkfifo "$work/hold"
  "$http" idle --address "$2" --path "$3" --connections "$connections" "${authorised[@]}" <"$work/hold" >"$work/open" & holding=$!
  pids+=("$holding")
  exec 7>"$work/hold"
  until grep -qs open "$work/open"; do kill -0 "$holding"; sleep 0.1; done
  after=$(rss "$1")
  exec 7>&-
  wait "$holding"
  rm "$work/hold"
  echo $(((after - before) / connections))
}

bench_connections() {
  # The generator and the server need a descriptor each for every connection.
  ulimit -n "$(ulimit -Hn)"
  [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -gt $((connections + 1000)) ] \
    || { echo "$connections connections need more open files than $(ulimit -n)" >&2; exit 1; }
  prepare_read
  stop
  start_read manual
  settle
  start_bare "$bare_at"
  local ours theirs
  ours=$(held_by "$server" "$public" /v1/collections/packed/records/id/1)
  theirs=$(held_by "$started" "$bare_at" /)
  echo
  echo "| $connections idle keep-alive connections, one request each | resident bytes a connection | ratio |"
  echo "|---|---|---|"
  echo "| bare hyper | $theirs | 1.00 |"
  echo "| larder | $ours | $(ratio "$ours" "$theirs") |"
}
