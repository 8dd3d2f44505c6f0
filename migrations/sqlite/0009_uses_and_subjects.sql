-- When admin keys were last used, and the audit log of one subject.

alter table admin_keys add column last_used_at integer;
create index audit_log_by_subject on audit_log (subject, at desc, id desc);
