-- All projects, or the one with this number or slug.
select p.id, p.slug, p.name, o.slug as organization, p.grouping, p.retention_days, p.rate_per_minute_max, p.disabled, p.created_at,
       coalesce((select sum(t.notice_count) from project_tally t where t.project_id = p.id), 0)::bigint as "notice_count!",
       coalesce((select array_agg(k.key order by k.created_at) from project_key k where k.project_id = p.id and k.revoked_at is null), '{}') as "keys!"
from project p
join organization o on o.id = p.organization_id
where p.deleted_at is null and ($1::text is null or p.slug = $1 or p.id::text = $1)
order by p.id
