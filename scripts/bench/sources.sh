# Syncs from files, MySQL and a driver of ADBC, each beside what the source's own tools need for the same rows.
# scripts/bench.sh sources this file, which uses its functions. Needs mariadb-server and what scripts/test.sh installs in
# target/lake and target/adbc.

sources_python=$PWD/target/lake/bin/python3

start_mysql() {
  need mariadb-install-db; need mariadb
  local server=/usr/sbin/mariadbd
  [ -x "$server" ] || server=$(command -v mariadbd)
  mkdir -p "$work/mysql"
  [ "$(id -u)" -ne 0 ] || { chown mysql "$work/mysql"; chmod 755 "$work"; }
  local as=(); [ "$(id -u)" -ne 0 ] || as=(--user=mysql)
  mariadb-install-db "${as[@]}" --no-defaults --datadir="$work/mysql/data" --auth-root-authentication-method=normal \
    --skip-test-db >"$work/mysql.log" 2>&1
  "$server" --no-defaults "${as[@]}" --datadir="$work/mysql/data" --socket="$work/mysql/socket" --skip-networking \
    --pid-file="$work/mysql/pid-file" --innodb-buffer-pool-size=2G --innodb-flush-log-at-trx-commit=0 >>"$work/mysql.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 200); do mysql_client -e 'select 1' >/dev/null 2>&1 && return; sleep 0.1; done
  cat "$work/mysql.log" >&2; exit 1
}
mysql_client() { mariadb --no-defaults --socket="$work/mysql/socket" --user=root "$@"; }

# One configuration for every source; the argument is the `[sources.warehouse]` section without its header.
write_source_config() { # directory section model
  mkdir -p "$1"
  cat >"$1/larder.toml" <<TOML
[storage]
url = "file:./store"
[sources.warehouse]
$2
[models.customers]
source = "warehouse"
$3
primary_key = "user_id"
[syncs.customer]
model = "customers"
indexes.id = "user_id"
[log]
filter = "warn"
TOML
}

# Seconds and CPU seconds of one run.
timed() { # command...
  local TIMEFORMAT='%R %U %S'
  { time "$@" >"$work/timed.log" 2>&1; } 2>&1 || { cat "$work/timed.log" >&2; exit 1; }
}

# Median seconds of a first run and of one that finds nothing changed.
source_seconds() { # name section model
  local first=() unchanged=() round dir
  for round in $(seq "$repeat"); do
    dir=$work/$1$round
    write_source_config "$dir" "$2" "$3"
    first+=("$(timed "$larder" sync --config "$dir/larder.toml" customer)")
    unchanged+=("$(timed "$larder" sync --config "$dir/larder.toml" customer)")
    rm -rf "$dir"
  done
  printf '%s\n' "${first[@]}" | cut -d' ' -f1 | median
  printf '%s\n' "${unchanged[@]}" | cut -d' ' -f1 | median
}

tool_seconds() { # command...
  for _ in $(seq "$repeat"); do timed "$@" | cut -d' ' -f1; done | median
}

duckdb_json_lines() {
  "$sources_python" - "$work/customers.parquet" "$work/customers.jsonl" <<'PY'
import sys, duckdb
duckdb.sql(f"copy (select * from '{sys.argv[1]}') to '{sys.argv[2]}' (format json)")
PY
}

bench_sources() {
  need bc
  [ -x "$sources_python" ] || { echo "missing: target/lake, which scripts/test.sh installs" >&2; exit 1; }
  start_postgres
  echo "making $rows rows" >&2
  psql -q -v rows="$rows" -f scripts/bench/model.sql
  psql -qAtc "copy (select row_to_json(t) from customers t) to stdout" | sed 's/\\\\/\\/g' >"$work/rows.jsonl"
  "$sources_python" - "$work/rows.jsonl" "$work/customers.parquet" <<'PY'
import sys, duckdb
duckdb.sql(f"copy (select * from read_json('{sys.argv[1]}', maximum_object_size=1000000)) to '{sys.argv[2]}' (format parquet)")
PY
  start_mysql
  mysql_client -e 'create database shop'
  psql -qAt -F $'\t' -c 'select user_id, email, full_name, external_id, lifetime_value, churn_risk, city, signed_up,
    updated_at at time zone $$UTC$$, "90_day_summary", recommendations from customers' -P null='\N' >"$work/rows.tsv"
  mysql_client --local-infile=1 shop -e "create table customers (user_id int primary key, email varchar(200),
    full_name varchar(200), external_id char(36), lifetime_value decimal(12,2), churn_risk double, city varchar(100),
    signed_up date, updated_at datetime(6), \`90_day_summary\` longtext, recommendations longtext) default charset utf8mb4;
    load data local infile '$work/rows.tsv' into table customers character set utf8mb4 fields escaped by ''"
  local postgres="postgres://bench@localhost/postgres?host=$work/pg" driver
  driver=$(ls "$PWD"/target/adbc/lib/python3*/site-packages/adbc_driver_postgresql/libadbc_driver_postgresql.so)

  local -a parquet mysql native adbc
  local lines export
  lines=$(tool_seconds duckdb_json_lines)
  mapfile -t parquet < <(source_seconds parquet "$(printf 'type = "files"\npath = "%s"' "$work")" 'table = "customers.parquet"')
  export=$(tool_seconds mysql_client --quick --batch shop -e 'select * from customers')
  mapfile -t mysql < <(source_seconds mysql "$(printf 'type = "mysql"\nurl = "mysql://root@localhost/shop?socket=%s"' "$work/mysql/socket")" 'table = "customers"')
  mapfile -t native < <(source_seconds native "$(printf 'type = "postgres"\nurl = "%s"' "$postgres")" 'table = "customers"')
  mapfile -t adbc < <(source_seconds adbc "$(printf 'type = "adbc"\ndriver = "%s"\noptions = { uri = "%s" }' "$driver" "$postgres")" 'sql = "select * from customers"')
  echo
  echo "| $rows rows, seconds, median of $repeat | larder | beside it | ratio | budget |"
  echo "|---|---|---|---|---|"
  echo "| Parquet, first run; DuckDB writes the rows as JSON lines | ${parquet[0]} | $lines | $(ratio "${parquet[0]}" "$lines") | 0.8 |"
  echo "| MySQL, first run; \`mariadb --quick --batch\` writes the rows | ${mysql[0]} | $export | $(ratio "${mysql[0]}" "$export") | 1.2 |"
  echo "| Postgres by a driver of ADBC, first run; by our own reader | ${adbc[0]} | ${native[0]} | $(ratio "${adbc[0]}" "${native[0]}") | 1.3 |"
  echo "| the same, nothing changed | ${adbc[1]} | ${native[1]} | $(ratio "${adbc[1]}" "${native[1]}") | 1.3 |"
  cargo bench --locked --quiet --bench worker -- "$driver" "$postgres" 'select * from customers' "$repeat"
}
