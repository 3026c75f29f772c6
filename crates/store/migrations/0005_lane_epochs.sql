-- The generations of the map of lanes. New records go to the lanes of the newest epoch; records that lie in a journal keep their
-- lane for ever. Each epoch has lanes of its own, so that the number of a lane, which also stands in the ids of its notices, is
-- unique. (The column `epoch` beside a lane in other tables is therefore never needed to tell lanes apart. It keeps programs
-- from before there were epochs away from lanes that they do not know: they ask for those of epoch 0.)
create table lane_epoch (
    epoch int primary key check (epoch >= 0),
    first_lane int not null check (first_lane >= 0),
    lane_count int not null check (lane_count > 0),
    created_at timestamptz not null default now(),
    woken_at timestamptz not null default now(), -- since when its lanes have owners
    retired_at timestamptz,                      -- since when they need none, because nobody has anything for them
    constraint lane_epoch_fits_into_an_id check (first_lane + lane_count <= 4096)
);
insert into lane_epoch (epoch, first_lane, lane_count, created_at)
select 0, 0, (select count(*) from lane_state where epoch = 0), created_at from installation;
create trigger lane_epoch_snapshot after insert on lane_epoch for each statement execute function snapshot_changed();

create unique index lane_state_lane on lane_state (lane);

-- Workers put back what was published and is not here any more because the database was set back.
grant select, insert, update (woken_at, retired_at) on lane_epoch to croak_worker;
grant select on lane_epoch to croak_web;
