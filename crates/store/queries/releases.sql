-- Releases of an organization that are of one of these projects, newest first: the one of this version, or those with commits that were
-- made before this one, or all.
select r.id, r.version, r.ref, r.url, r.created_at, r.started_at, r.released_at,
    array(select rp.project_id from release_project rp where rp.release_id = r.id order by 1) as "project_ids!",
    (select count(*) from release_commit c where c.release_id = r.id) as "commit_count!",
    (select c.sha from release_commit c where c.release_id = r.id order by c.position limit 1) as last_commit,
    (select c.repository from release_commit c where c.release_id = r.id order by c.position limit 1) as last_repository,
    (select max(f.last_seen_at) from facet f
     where f.project_id = any($2::bigint[]) and f.key = 'release' and f.value = r.version and not f.is_other) as last_seen_at
from release r
where r.organization_id = $1
    and exists (select from release_project rp where rp.release_id = r.id and rp.project_id = any($2::bigint[]))
    and ($3::text is null or r.version = $3)
    and ($4::bigint is null or (r.id < $4 and exists (select from release_commit c where c.release_id = r.id)))
order by r.id desc
limit $5
