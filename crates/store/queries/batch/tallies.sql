-- Totals of projects, by lane and by lane and minute.
with given as (
    select * from unnest($2::bigint[], $3::timestamptz[], $4::bigint[]) as given (project_id, minute, notice_count)
),
minutes as (
    insert into project_minute as kept (project_id, lane, minute, stored)
    select project_id, $1, minute, notice_count from given order by project_id, minute
    on conflict (project_id, minute, lane) do update set stored = kept.stored + excluded.stored
)
insert into project_tally as kept (project_id, lane, notice_count)
select project_id, $1, sum(notice_count)::bigint from given group by project_id order by project_id
on conflict (project_id, lane) do update set notice_count = kept.notice_count + excluded.notice_count
