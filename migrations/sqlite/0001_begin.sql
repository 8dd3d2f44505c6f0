-- Deployment, keys, runs, rejected rows, audit log, leases.
-- Times are microseconds since 1970 (UTC); JSON is text. See migrations/README.md.

create table deployment (
    only_row integer primary key check (only_row = 1),
    id text not null,
    fixed_at integer not null
) strict;

create table key_set (
    only_row integer primary key check (only_row = 1),
    revision integer not null
) strict;
insert into key_set (only_row, revision) values (1, 0);

create table api_keys (
    id text not null primary key,
    entry text not null,
    created_at integer not null,
    revoked_at integer
) strict;

create table runs (
    id text not null primary key,
    sync text not null,
    status text not null,
    started_by text not null,
    started_at integer not null,
    finished_at integer,
    data_as_of integer,
    version integer,
    counts text not null,
    error_code text,
    error_message text,
    manifest text,
    manifest_sha256 text,
    held_from text
) strict;
create index runs_by_time on runs (started_at desc, id desc);
create index runs_by_sync on runs (sync, started_at desc, id desc);
create index runs_open on runs (sync) where status in ('running', 'announcing');
create unique index runs_one_held_per_sync on runs (sync) where status = 'held';

create table rejected_rows (
    run_id text not null references runs (id) on delete cascade,
    place integer not null,
    reason text not null,
    field text,
    primary_key text,
    primary key (run_id, place)
) strict, without rowid;

create table audit_log (
    id integer primary key,
    at integer not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text
) strict;
create index audit_log_by_time on audit_log (at desc, id desc);

create table leases (
    name text not null primary key,
    holder text not null,
    fencing integer not null,
    expires_at integer not null
) strict;
