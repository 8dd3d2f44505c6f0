-- Sources, models and syncs that are created through the admin API: every version, a deletion without a document.

create table stored_configuration (
    version bigint not null primary key,
    section text not null,
    name text not null,
    document text,
    author text not null,
    created_at bigint not null
);

create index stored_configuration_entries on stored_configuration (section, name, version);
