-- Who keeps the installation running: sees all of it on a page, and has dead records tried again or dropped. Services cannot make one:
-- only the owner of the schema writes this column (`croak user operator`).
alter table user_account add column is_operator boolean not null default false;
grant select (is_operator) on user_account to croak_worker;
