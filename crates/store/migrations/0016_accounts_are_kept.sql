-- Wrong codes of the second factor are counted where codes are used up: for all webs, and through their restarts.
alter table totp
    add column failed_count int not null default 0, -- since the last right one, or in the last day
    add column failed_at timestamptz;
grant select (failed_count, failed_at), update (failed_count, failed_at) on totp to croak_worker;

-- How many mails an address was sent lately.
create index outbox_of_recipient on outbox (recipient, created_at) where recipient is not null;
