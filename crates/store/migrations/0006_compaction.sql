-- How far housekeep has merged small chunks into greater ones. It begins at the present: what lies behind stays as it is.
--
-- A chunk may therefore be updated once its stretch of time is over. croak_worker has had the right since the beginning.
create table compaction (
    only_row boolean primary key default true check (only_row),
    merged_until timestamptz not null default now()
);
insert into compaction default values;

grant select, update (merged_until) on compaction to croak_worker;
