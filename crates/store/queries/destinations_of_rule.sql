-- Where a rule's alerts go.
select d.id, d.kind, d.member_ids
from destination d
where d.project_id = $1 and d.enabled and ($2::bigint[] is null or d.id = any($2))
order by d.id
