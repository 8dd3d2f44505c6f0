-- Sessions of browsers on the admin listener, and the links that begin them: digests, never a cookie or a token.

create table sessions (
    id text not null primary key,
    sha256 text not null,
    key_id text,
    name text not null,
    role text not null,
    created_at integer not null,
    used_at integer not null,
    expires_at integer not null
) strict;

create table login_links (
    id text not null primary key,
    sha256 text not null,
    key_id text,
    role text not null,
    created_at integer not null,
    created_by text not null,
    expires_at integer not null,
    used_at integer
) strict;
