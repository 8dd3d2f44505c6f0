-- Admin keys; the address that an action was requested from; progress and cancellation of runs; repeated requests.

create table admin_keys (
    id text not null primary key,
    sha256 text not null,
    name text not null,
    role text not null,
    created_at integer not null,
    created_by text not null,
    expires_at integer,
    revoked_at integer
) strict;

alter table audit_log add column address text;

-- What a run has done so far, as JSON, and when an operator asked for its end.
alter table runs add column progress text;
alter table runs add column cancel_requested_at integer;

-- Answers to requests with an Idempotency-Key, by the admin key that sent them; null while the first one is under way.
create table idempotency_keys (
    holder text not null,
    name text not null,
    request_sha256 text not null,
    answer text,
    created_at integer not null,
    primary key (holder, name)
) strict;
