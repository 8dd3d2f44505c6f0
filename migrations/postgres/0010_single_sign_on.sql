-- SHA-256 of who signed in at the identity provider. The sessions of one person are bounded together.

alter table sessions add column subject text;
