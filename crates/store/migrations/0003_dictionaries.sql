-- Trained dictionaries that gateways pack bodies with. A record names its own by its number, so none is ever changed or deleted.
create table dictionary (
    codec smallint primary key check (codec > 0),
    bytes bytea not null check (length(bytes) between 1 and 65536),
    created_at timestamptz not null default now()
);
alter table dictionary alter column bytes set storage external;
create trigger dictionary_snapshot after insert on dictionary for each statement execute function snapshot_changed();

grant select, insert on dictionary to croak_worker;
