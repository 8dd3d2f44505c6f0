#!/usr/bin/env bash
# Verifies at full size that Larder serves exactly the rows of Postgres: 1,000,000 rows of
# scripts/bench/model.sql, synced with a configuration file and served by a server.
#
#   scripts/verify.sh
#   ROWS=50000 SAMPLE=2000 SEED=0.25 LARDER=target/debug/larder scripts/verify.sh
#
#   ROWS     rows of the model                                             default 1000000
#   SAMPLE   number of records compared in every field, twice, and looked
#            up by email                                                   default 10000
#   SEED     from -1 to 1; chooses the records                             default random, printed
#   LARDER   the binary                                                    default target/release/larder,
#                                                                          built first
#
# Steps:
#   1. starts a private Postgres (socket only) and a private server on free ports,
#   2. syncs the model, reads random records with curl, loads the answers into Postgres and compares every
#      field with the row there: text of numbers and dates, nested JSON, order of keys,
#   3. inserts, changes and deletes a tenth of the rows, syncs, and compares again,
#   4. looks up random records by email in another spelling, and deleted rows, which must be misses,
#   5. compares the number of records with count(*), and checks that a run without changes is unchanged.
#
# Prints what it compared. Exit code 0: everything agrees. Exit code 1: a field differs (the first difference of
# each field is printed), or a step failed. Everything is removed at the end.
# Needs bash, curl, psql and Postgres's server programs, and Rust unless LARDER is set.
set -euo pipefail
cd "$(dirname "$0")/.."
rows=${ROWS:-1000000}
sample=${SAMPLE:-10000}
seed=${SEED:-0.$RANDOM}
larder=${LARDER:-}

work=$(mktemp -d)
chmod 755 "$work"
pids=()
finish() {
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; tail -n 5 "$work"/*.log >&2 2>/dev/null || true; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "missing: $1"; }
# Repeats a command until it succeeds, for a minute at most.
await() { # what command...
  local what=$1 end=$((SECONDS + 60)); shift
  until "$@"; do [ "$SECONDS" -lt "$end" ] || die "timed out after a minute: $what"; sleep 0.05; done
}

start_postgres() {
  local bin as=()
  bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
  [ -n "$bin" ] || bin=$(dirname "$(command -v initdb)")
  mkdir -p "$work/pg"
  if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$work/pg"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  fi
  (cd / && "${as[@]}" "$bin/initdb" -D "$work/pg/data" -A trust -U verify -E UTF8 --locale=C.UTF-8 >/dev/null)
  (cd / && exec "${as[@]}" "$bin/postgres" -D "$work/pg/data" -k "$work/pg" -c listen_addresses= \
    -c fsync=off -c max_wal_size=8GB -c autovacuum=off >"$work/pg.log" 2>&1) &
  pids+=($!)
  export PGHOST=$work/pg PGUSER=verify PGDATABASE=postgres PGTZ=UTC PGDATESTYLE=ISO
  unset PGPORT PGPASSWORD PGOPTIONS PGSERVICE
  await "Postgres" psql -qAtc 'select 1' >/dev/null 2>&1
}
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

start_server() {
  cat >"$work/larder.toml" <<TOML
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[storage]
poll_interval = "100ms"
[sources.warehouse]
type = "postgres"
url = "postgres://verify@localhost/postgres?host=$work/pg"
[models.customers]
source = "warehouse"
sql = "select * from customers"
primary_key = "user_id"
[syncs.customer]
model = "customers"
[syncs.customer.indexes]
id = "user_id"
email = { column = "email", normalize = ["trim", "lowercase"] }
TOML
  : >"$work/server.log"
  "$larder" serve --config "$work/larder.toml" >>"$work/server.log" 2>&1 &
  pids+=($!)
  await "the server's address" grep -q 'public=' "$work/server.log"
  base=http://$(sed -n 's/.*public=\([0-9.:]*\).*/\1/p' "$work/server.log" | head -1)
  await "readiness" curl -sf -o /dev/null "$base/readyz"
  # curl reads the key from a file, so that it is in no list of processes.
  (umask 077 && printf 'silent\nheader = "Authorization: Bearer %s"\n' \
    "$("$larder" keys create --config "$work/larder.toml" --name verify --all-collections 2>/dev/null)" >"$work/curlrc")
  await "the key" test_key
}
test_key() { [ "$(curl -K "$work/curlrc" -o /dev/null -w '%{http_code}' "$base/v1/collections/none/records/id/1")" = 404 ]; }

version() {
  curl -K "$work/curlrc" -o /dev/null -D - "$base/v1/collections/customer/records/id/1" \
    | tr -d '\r' | awk 'tolower($1) == "x-data-version:" {print $2}'
}
serves() { [ "$(version)" = "$1" ]; }
sync() { # version
  "$larder" sync --config "$work/larder.toml" customer >"$work/sync.log" 2>&1 || { cat "$work/sync.log" >&2; die "the sync failed"; }
  sed 's/^/  /' "$work/sync.log"
  await "version $1" serves "$1"
}

# Requests the paths of a query in the order of their numbers; stores number, status and body.
ask() { # query of (number, path)
  sql -c "select format('url = \"%s%s\"', '$base/v1/collections/customer/records/', path) from ($1) as asked(number, path) order by number" >"$work/urls"
  # A body has no line feed and no tab: JSON escapes both.
  curl -K "$work/curlrc" -K "$work/urls" -w '\t%{http_code}\n' >"$work/answers" || true
  [ "$(wc -l <"$work/answers")" -eq "$(wc -l <"$work/urls")" ] || die "some requests have no answer"
  sql -c "truncate answers restart identity" \
    -c "\\copy answers (body, status) from '$work/answers' with (format csv, delimiter E'\\t', quote E'\\x01')"
}

# Compares every answer with its row, field by field; prints how many records agree.
compare() { # what
  sql -v what="$1" <<'SQL' >"$work/differences"
create temporary view pairs as
  select c.*, a.status, a.body::json as body, chosen.user_id as asked
  from chosen join answers a using (number) left join customers c using (user_id);
with checked as (
  select p.asked, field, served, expected from pairs p, lateral (values
    ('status', p.status, '200'),
    ('keys', (select string_agg(key, ',') from json_object_keys(p.body) key),
      'user_id,email,full_name,external_id,lifetime_value,churn_risk,city,signed_up,updated_at,90_day_summary,recommendations'),
    ('user_id', p.body ->> 'user_id', p.user_id::text),
    ('user_id type', json_typeof(p.body -> 'user_id'), 'number'),
    ('email', p.body ->> 'email', p.email),
    ('full_name', p.body ->> 'full_name', p.full_name),
    ('external_id', p.body ->> 'external_id', p.external_id::text),
    -- The text of a number with all its digits, or of null.
    ('lifetime_value', (p.body -> 'lifetime_value')::text, coalesce(p.lifetime_value::text, 'null')),
    ('churn_risk', (p.body -> 'churn_risk')::text,
      case when p.churn_risk = 0 then '0' else p.churn_risk::text::numeric::text end),
    ('city', (p.body -> 'city')::text, coalesce(to_json(p.city)::text, 'null')),
    ('signed_up', p.body ->> 'signed_up', to_char(p.signed_up, 'YYYY-MM-DD')),
    ('updated_at', p.body ->> 'updated_at',
      rtrim(rtrim(to_char(p.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z'),
    -- As jsonb, digits and members are compared; jsonb orders the members on both sides.
    ('90_day_summary', (p.body -> '90_day_summary')::jsonb::text, p."90_day_summary"::text),
    ('recommendations', (p.body -> 'recommendations')::jsonb::text, p.recommendations::text),
    -- The order of nested members: the served text is that of the column without its spaces.
    ('nested order', replace((p.body -> 'recommendations')::text, ' ', ''), replace(p.recommendations::text, ' ', ''))
  ) as f(field, served, expected)
)
select case when served is not distinct from expected then 'same' else 'differs' end, field, count(*),
  min(format('record %s: served %s, Postgres has %s', asked, coalesce(served, '-'), coalesce(expected, '-')))
    filter (where served is distinct from expected)
from checked group by 1, 2 order by 1, 2;
SQL
  if grep -q '^differs' "$work/differences" || ! grep -q '^same' "$work/differences"; then
    cat "$work/differences" >&2
    die "$1: served records differ from the rows in Postgres"
  fi
  say "  $1: $(sql -c 'select count(*) from answers') records agree in $(grep -c '^same' "$work/differences") respects each"
}

# Chooses at most `limit` random rows of `where`.
choose() { # where limit
  # setseed() is valid for the session.
  sql -c "truncate chosen restart identity" -c "do 'begin perform setseed($seed); end'" \
    -c "insert into chosen (user_id) select user_id from customers where $1 order by random() limit $2"
}

need curl; need psql
if [ -z "$larder" ]; then
  cargo build --release --locked --quiet
  larder=target/release/larder
fi
larder=$(realpath "$larder")

say "verifying $rows rows, $sample records, seed $seed"
start_postgres
sql -v rows="$rows" -f scripts/bench/model.sql >/dev/null
sql -c "create table chosen (number int generated always as identity, user_id int)" \
  -c "create table answers (number int generated always as identity, body text, status text)" \
  -c "create table gone (number int generated always as identity, user_id int)"
start_server

say "first sync"
sync 1
choose true "$sample"
ask "select number, 'id/' || user_id from chosen"
compare "by id"

say "a tenth of the rows inserted, changed or deleted"
sql -c "insert into gone (user_id) select user_id from customers where user_id % 30 = 7" \
  -c "delete from customers where user_id % 30 = 7" \
  -c "update customers set full_name = 'Changed ' || full_name, churn_risk = churn_risk / 3, city = nullif('', city),
        lifetime_value = -lifetime_value, updated_at = updated_at + interval '1 microsecond',
        recommendations = recommendations || '{\"changed\": [1.50, \"\\u00e9\\\"\", null]}' where user_id % 30 = 8" \
  -c "insert into customers select user_id + $rows, 'new-' || email, full_name, external_id, lifetime_value, churn_risk,
        city, signed_up, updated_at, \"90_day_summary\", recommendations from customers where user_id % 30 = 9"
sync 2
choose true "$sample"
ask "select number, 'id/' || user_id from chosen"
compare "by id"
choose "user_id % 30 = 8 or user_id > $rows" "$((sample / 2))"
ask "select number, 'id/0' || user_id from chosen"
compare "new and changed, by id with a leading zero"
choose true "$sample"
ask "select number, 'email/' || replace(replace(upper(email), '+', '%2B'), '@', '%40') || '%20' from chosen join customers using (user_id)"
compare "by email in capitals, with a space"

ask "select number, 'id/' || user_id from gone where number <= $sample"
found=$(sql -c "select count(*) from answers where status <> '404' or body::json #>> '{error,code}' <> 'record_not_found'")
[ "$found" -eq 0 ] || die "$found records of deleted rows are still served"
say "  deleted: $(sql -c 'select count(*) from answers') records are misses"

records=$("$larder" status --config "$work/larder.toml" --json | sed -n 's/^ *"records": *\([0-9]*\).*/\1/p' | head -1)
count=$(sql -c 'select count(*) from customers')
[ "$records" = "$count" ] || die "$records records are announced, and Postgres has $count rows"
say "  $records records, as many as rows"
say "sync without a change"
sync 2
grep -q unchanged "$work/sync.log" || die "a sync without changes announced a version"
say "everything agrees"
