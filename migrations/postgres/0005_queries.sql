-- What runs have read: one row for each text, however many runs have read it, and when the last of them began.

create table queries (
    sha256 text not null primary key,
    text text not null,
    used_at bigint not null
);
alter table runs add column query_sha256 text;
create index runs_by_query on runs (query_sha256) where query_sha256 is not null;
