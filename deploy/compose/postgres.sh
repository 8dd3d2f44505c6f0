#!/bin/sh
# Runs once, when the server is created: one database for metadata, and one as the warehouse.
set -eu

psql -v ON_ERROR_STOP=1 --username postgres \
  -v metadata_password="$METADATA_PASSWORD" -v warehouse_password="$WAREHOUSE_PASSWORD" <<'SQL'
create role larder login password :'metadata_password';
create database larder owner larder;

create role reader login password :'warehouse_password';
create database warehouse;
\connect warehouse
create table customers (
  user_id bigint primary key,
  email text not null,
  full_name text not null,
  lifetime_value numeric(12, 2),
  recommendations jsonb not null,
  updated_at timestamptz not null default now()
);
insert into customers (user_id, email, full_name, lifetime_value, recommendations)
select
  n,
  'customer' || n || '@example.com',
  (array['Jane', 'Amélie', 'Björn', 'Mateo', 'Yuki'])[1 + n % 5] || ' ' || (array['Doe', 'García', 'Nowak', 'Okafor'])[1 + n % 4],
  (n::bigint * 7907 % 500000) / 100.0,
  jsonb_build_object('concerts', jsonb_build_array(
    jsonb_build_object('artist', (array['Aphex Twin', 'Rosalía', 'Nils Frahm'])[1 + n % 3], 'city', 'Berlin')))
from generate_series(1, 10000) as n;
grant select on customers to reader;
SQL
