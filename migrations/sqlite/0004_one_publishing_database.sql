-- The id of this database, which catalogs name. Pauses are in the catalog.

create table database_id (
    only_row integer primary key check (only_row = 1),
    id text not null
) strict;
insert into database_id (only_row, id) values (1, 'meta_' || lower(hex(randomblob(16))));

drop table pauses;

-- The newest revision that this database has announced or adopted, and the revision that created each key: a
-- later one is still to be announced.
alter table key_set add column announced integer not null default 0;
alter table api_keys add column revision integer not null default 0;
