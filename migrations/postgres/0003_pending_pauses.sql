-- The rollback that a pause was made for, by the run id of its manifest, until it is known to be announced.

alter table pauses add column pending text;
