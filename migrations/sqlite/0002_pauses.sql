-- Syncs whose scheduled runs are paused until `larder resume`: since when, by whom, why.

create table pauses (
    sync text not null primary key,
    at integer not null,
    actor text not null,
    reason text not null
) strict;
