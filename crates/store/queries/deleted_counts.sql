-- Takes away what a fingerprint ($2) whose chunks have gone had counted, and the fingerprint.
with days as (
    delete from fingerprint_day where project_id = $1 and fingerprint_id = $2 returning notice_count
), hours as (
    delete from fingerprint_hour where project_id = $1 and fingerprint_id = $2
), minutes as (
    delete from fingerprint_minute where project_id = $1 and fingerprint_id = $2
), expired as (
    delete from expired where project_id = $1 and fingerprint_id = $2
), facets as (
    delete from facet where project_id = $1 and fingerprint_id = $2
), sketch as (
    delete from user_sketch where project_id = $1 and fingerprint_id = $2
), identity as (
    delete from fingerprint where project_id = $1 and id = $2
)
insert into project_tally as kept (project_id, lane, notice_count)
select $1, -1, -sum(notice_count) from days having count(*) > 0
on conflict (project_id, lane) do update set notice_count = kept.notice_count + excluded.notice_count
