# CPU of a sync with templates beside the same sync without. scripts/bench.sh sources this file, which uses its
# functions. Each sync is a process of its own that reads a SQLite file and publishes to a new directory.

template_rows=200000

write_customers() { # file
  sqlite3 "$1" <<SQL
create table customers (user_id integer primary key, name text, city text, visits integer, ltv numeric, joined text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < $template_rows)
insert into customers
select i, 'Customer ' || i, case i % 5 when 0 then null else 'City ' || (i % 97) end, i % 40, (i * 7907 % 500000) / 100.0,
  date('2020-01-01', '+' || (i % 1500) || ' days')
from n;
SQL
}

write_templates_config() { # directory database with-templates
  mkdir -p "$1"
  cat >"$1/larder.toml" <<TOML
[sources.warehouse]
type = "sqlite"
path = "$2"
[models.customers]
source = "warehouse"
table = "customers"
primary_key = "user_id"
[log]
filter = "warn"
[syncs.customer]
model = "customers"
indexes.id = "user_id"
[syncs.customer.fields]
user_id = "user_id"
name = "name"
city = "city"
visits = "visits"
ltv = "ltv"
joined = "joined"
TOML
  [ "$3" = yes ] || return 0
  local number
  for number in 1 2 3 4; do
    cat >>"$1/larder.toml" <<TOML
text$number = { liquid = "{{ name | upcase }} {{ city | default: 'nowhere' }} {{ visits | plus: $number }}{% if visits > 10 %}!{% endif %}" }
TOML
  done
}

# Seconds of CPU, user and system, of one first sync.
template_sync_cpu() { # directory database with-templates
  write_templates_config "$@"
  local TIMEFORMAT='%U %S' cpu
  cpu=$( { time "$larder" sync --config "$1/larder.toml" customer >"$1/log" 2>&1; } 2>&1 ) || { cat "$1/log" >&2; exit 1; }
  awk '{print $1 + $2}' <<<"$cpu"
}

bench_template_sync() {
  need sqlite3
  write_customers "$work/customers.db"
  local round without=() with=() base templates
  for round in $(seq "$repeat"); do
    without+=("$(template_sync_cpu "$work/without$round" "$work/customers.db" no)")
    with+=("$(template_sync_cpu "$work/with$round" "$work/customers.db" yes)")
  done
  base=$(printf '%s\n' "${without[@]}" | median)
  templates=$(printf '%s\n' "${with[@]}" | median)
  echo
  echo "| $template_rows rows of SQLite, CPU seconds of the sync, median of $repeat | seconds | ratio | budget |"
  echo "|---|---|---|---|"
  echo "| six columns | $base | 1.00 | |"
  echo "| and four templates of three expressions and one \`if\` | $templates | $(ratio "$templates" "$base") | 1.4 |"
}
