-- What was made by a command, for who repeats it.
alter table command add column made_id bigint not null default 0;

-- Mail leaves through the outbox as well: such a row has an address instead of a receiver of calls. It may be about no
-- project at all.
alter table outbox
    alter column webhook_id drop not null,
    alter column project_id drop not null,
    alter column group_id drop not null,
    add column recipient text,
    add constraint outbox_goes_somewhere check ((webhook_id is null) <> (recipient is null));
create index outbox_mail_due on outbox (due_at) where recipient is not null and done_at is null and gave_up_at is null;

-- A mail may have a link in it by which somebody sets a password: it is nobody's to read.
revoke select on outbox from croak_web;
grant select (id, webhook_id, recipient, project_id, group_id, kind, created_at, due_at, attempt, claimed_until, done_at, gave_up_at) on outbox to croak_web;
