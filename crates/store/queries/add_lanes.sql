-- Epochs of the map of lanes, with their lanes.
with restored as (
    insert into lane_epoch (epoch, first_lane, lane_count)
    select epoch, first_lane, lane_count from unnest($1::int[], $2::int[], $3::int[]) as given (epoch, first_lane, lane_count)
    order by epoch
    returning epoch, first_lane, lane_count
)
insert into lane_state (epoch, lane)
select epoch, generate_series(first_lane, first_lane + lane_count - 1) from restored
