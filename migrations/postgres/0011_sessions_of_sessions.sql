-- The session that created a link, and the one with which a session ends.

alter table login_links add column session_id text;
alter table sessions add column parent_id text;
