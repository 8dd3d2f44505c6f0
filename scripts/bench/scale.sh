# What many collections and large collections cost a publisher. scripts/bench.sh sources this file, which uses its
# functions.

write_scale_config() { # directory, schedule or nothing
  mkdir -p "$1"
  { echo '[server]'; echo 'listen = "127.0.0.1:18080"'; echo 'admin_listen = "127.0.0.1:18081"'
    sync_sections | sed -e "s/^model = \"customers\"/&\n${2:-}/" -e 's/^filter = .*/filter = "info"\nformat = "json"/'
  } >"$1/larder.toml"
}

# Seconds and processor seconds of a run that changes nothing.
unchanged_run() { # directory
  local TIMEFORMAT='%R %U %S'
  { time "$larder" sync --config "$1/larder.toml" customer >/dev/null 2>&1; } 2>&1 | awk '{print $1, $2 + $3}'
}

stamp() { # log message
  date -d "$(grep -F "$2" "$1" | sed -n 's/.*"timestamp":"\([^"]*\)".*/\1/p' | tail -1)" +%s.%N
}

# Seconds from the end of a run that changes half of the records until its new base is announced.
compaction_seconds() { # directory command...
  local dir=$1; shift
  psql -qc 'update customers set churn_risk = churn_risk + 1 where user_id % 2 = 0'
  "$@" "$larder" serve --config "$dir/larder.toml" >"$dir/log" 2>&1 &
  local server=$!; pids+=("$server")
  until grep -qF 'compacted segments' "$dir/log"; do
    kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
    sleep 0.05
  done
  echo "$(stamp "$dir/log" 'compacted segments') - $(stamp "$dir/log" 'sync run ended')" | bc -l | xargs printf '%.2f\n'
  kill -TERM "$server"; wait "$server" 2>/dev/null || true
}

bench_scale() {
  cargo bench --locked --quiet --bench scale
  need curl; need bc; need taskset
  start_postgres
  echo "making $rows rows" >&2
  psql -q -v rows="$rows" -f scripts/bench/model.sql
  local dir=$work/scale kept=() read=()
  write_scale_config "$dir"
  "$larder" sync --config "$dir/larder.toml" customer >/dev/null 2>&1
  unchanged_run "$dir" >/dev/null
  for _ in $(seq "$repeat"); do
    kept+=("$(unchanged_run "$dir")")
    rm -f "$dir"/data/tables/*
    read+=("$(unchanged_run "$dir")")
  done
  local k r kc rc
  k=$(printf '%s\n' "${kept[@]}" | cut -d' ' -f1 | median); kc=$(printf '%s\n' "${kept[@]}" | cut -d' ' -f2 | median)
  r=$(printf '%s\n' "${read[@]}" | cut -d' ' -f1 | median); rc=$(printf '%s\n' "${read[@]}" | cut -d' ' -f2 | median)
  echo "| unchanged run of $rows rows, median of $repeat | seconds | of a core |"
  echo "|---|---|---|"
  echo "| reads all segments and keeps their table | $r | $rc |"
  echo "| reads the table ($(du -bc "$dir"/data/tables/* | tail -1 | cut -f1) bytes of $(du -bc "$dir"/data/store/collections/*/*/*.arrow | tail -1 | cut -f1)) | $k | $kc |"
  echo "| ratio | $(ratio "$k" "$r") | $(ratio "$kc" "$rc") |"
  write_scale_config "$dir" 'schedule = "every 1s"'
  local one=() all=()
  for _ in $(seq "$repeat"); do
    one+=("$(compaction_seconds "$dir" taskset -c 0)")
    all+=("$(compaction_seconds "$dir" env)")
  done
  local o a
  o=$(printf '%s\n' "${one[@]}" | median); a=$(printf '%s\n' "${all[@]}" | median)
  echo
  echo "| a new base of $rows records | seconds | ratio |"
  echo "|---|---|---|"
  echo "| on one core | $o | 1.00 |"
  echo "| on all cores | $a | $(ratio "$a" "$o") |"
}
