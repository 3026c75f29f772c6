-- Releases of an organization that are of one of these projects, newest first: the one of this version, or those with commits that were
-- made before this one, or all.
select r.id, r.version, case when told.is_told then r.ref end as ref, case when told.is_told then r.url end as url, r.created_at,
    case when told.is_told then r.started_at end as started_at, case when told.is_told then r.released_at end as released_at,
    array(select rp.project_id from release_project rp where rp.release_id = r.id order by 1) as "project_ids!",
    (select count(*) from release_commit c where c.release_id = r.id and told.is_told) as "commit_count!",
    (select c.sha from release_commit c where c.release_id = r.id and told.is_told order by c.position limit 1) as last_commit,
    (select c.repository from release_commit c where c.release_id = r.id and told.is_told order by c.position limit 1) as last_repository,
    (select max(f.last_seen_at) from facet f
     where f.project_id = any($2::bigint[]) and f.key = 'release' and f.value = r.version and not f.is_other) as last_seen_at
from release r
cross join lateral (
    select bool_or(rp.is_told) as is_told from release_project rp where rp.release_id = r.id and rp.project_id = any($2::bigint[])
) told
where r.organization_id = $1
    and told.is_told is not null
    and ($3::text is null or r.version = $3)
    and ($4::bigint is null or (r.id < $4 and exists (select from release_commit c where c.release_id = r.id) and told.is_told))
order by r.id desc
limit $5
