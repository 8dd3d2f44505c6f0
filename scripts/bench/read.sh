# CPU a request of Larder, a bare hyper server and nginx, in turns. The server has one core, the load generator
# the other. scripts/bench.sh sources this file, which uses its functions and those of servers.sh.

# User and system time of all threads of a process, in ticks of 10 ms, and its time by the scheduler in ns.
# Ticks are sampled; the scheduler counts.
cpu() { echo "$(awk '{print $14, $15}' "/proc/$1/stat") $(cat "/proc/$1"/task/*/schedstat | awk '{n += $1} END {print n}')"; }

# One round: user, system and total microseconds a request, requests a second, p50, p99, p99.9, failures.
measure() { # pid load-arguments...
  local pid=$1 before after report n; shift
  before=$(cpu "$pid")
  report=$(taskset -c 1 "$http" load --seconds "$seconds" "$@")
  after=$(cpu "$pid")
  n=$(field requests "$report")
  echo "$before $after $n" | awk '{ printf "%.2f %.2f %.3f ", ($4 - $1) * 10000 / $7, ($5 - $2) * 10000 / $7, ($6 - $3) / 1000 / $7 }'
  echo "$(field rate "$report") $(field p50 "$report") $(field p99 "$report") $(field p999 "$report") $(field failures "$report")"
  note_failures "$report"
}

# The median over the rounds of one column.
column() { awk -v c="$2" '{print $c}' "$1" | median; }
# The median over the rounds of the ratio of two servers' times in the same round.
rounds_ratio() { paste "$1" "$2" | awk '{printf "%.3f\n", $3 / $11}' | median | xargs printf '%.2f'; }

row() { # title file-of-rounds
  echo "| $1 | $(column "$2" 1) | $(column "$2" 2) | $(column "$2" 3) | $(column "$2" 4) | $(column "$2" 5) | $(column "$2" 6) | $(column "$2" 7) | $(awk '{n += $8} END {print n}' "$2") |"
}
compare() { echo "| $1 | $(rounds_ratio "$2" "$3") | $4 |"; } # title rounds reference-rounds budget

measure_round() { # directory-of-rounds
  local small=(--address "$public" --keys "$rows" "${authorised[@]}")
  local large=(--address "$public" --keys "$large_rows" "${authorised[@]}" --path "$(record large)")
  measure "$bare" --address "$bare_at" --path /body "${authorised[@]}" >>"$1/bare"
  measure "$server" "${small[@]}" --path "$(record plain)" >>"$1/plain"
  measure "$equal" --address "$equal_at" --path /body "${authorised[@]}" >>"$1/equal"
  measure "$server" "${small[@]}" --path "$(record packed)" >>"$1/packed"
  measure "$nginx" --address "$nginx_at" --path /body "${authorised[@]}" >>"$1/nginx"
  measure "$server" "${large[@]}" >>"$1/large"
  measure "$server" "${large[@]}" --header "Accept-Encoding: gzip" >>"$1/gzip"
}

# The coding that a caller accepting gzip gets: bodies below compress_min_bytes are not compressed.
coding_of_large() {
  local coding
  coding=$(curl -s -o /dev/null -D - -H "Authorization: Bearer $key" -H "Accept-Encoding: gzip" \
    "http://$public/v1/collections/large/records/id/1" | tr -d '\r' | awk 'tolower($1) == "content-encoding:" {print $2}')
  echo "${coding:-identity}"
}

bench_read() {
  prepare_read
  stop
  pin=(taskset -c 0)
  start_read manual
  start_bare "$bare_at"
  bare=$started
  # Larder's headers, since their cost is not Larder's own.
  start_bare "$equal_at" "${answer_headers[@]}"
  equal=$started
  start_nginx
  settle
  local r=$work/rounds round
  mkdir -p "$r/warm" "$r/counted"
  measure_round "$r/warm"
  for round in $(seq "$repeat"); do measure_round "$r/counted"; done
  r=$r/counted
  echo
  echo "$rows records of $(wc -c <"$work/body.plain") bytes, 4 kB: $(wc -c <"$work/body.large"); 64 connections; median of $repeat rounds of $seconds s; µs"
  echo
  echo "| server, on one core | user | system | sum a request | requests/s | p50 | p99 | p99.9 | failures |"
  echo "|---|---|---|---|---|---|---|---|---|"
  row "bare hyper, body, type, length, date" "$r/bare"
  row "bare hyper, as many headers as larder" "$r/equal"
  row "nginx, the body from a file" "$r/nginx"
  row "larder, \`compression = \"none\"\`" "$r/plain"
  row "larder, default compression" "$r/packed"
  row "larder, 4 kB" "$r/large"
  row "larder, 4 kB, \`Accept-Encoding: gzip\`, answered with \`$(coding_of_large)\`" "$r/gzip"
  echo
  echo "| CPU a request, median of the rounds' ratios | ratio | budget |"
  echo "|---|---|---|"
  compare "\`compression = \"none\"\` to bare hyper with as many headers" "$r/plain" "$r/equal" 1.15
  compare "\`compression = \"none\"\` to bare hyper with three headers" "$r/plain" "$r/bare" ""
  compare "default to bare hyper with as many headers" "$r/packed" "$r/equal" 1.3
  compare "default to bare hyper with three headers" "$r/packed" "$r/bare" ""
  compare "default to nginx" "$r/packed" "$r/nginx" 1.0
  compare "4 kB, gzip accepted, to the same without" "$r/gzip" "$r/large" 1.3
}
