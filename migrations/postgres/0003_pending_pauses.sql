-- The run id of the rollback's manifest that a pause belongs to, until the rollback is known to be announced.

alter table pauses add column pending text;
