-- Groups of a project that have words, of some classes ($4). What the indexes are asked for ($2, $3) is apart from what is asked of the rows
-- that they name: asked for everything, they would gather everything.
select t.group_id
from (
    select group_id, class, words from grp_text
    where project_id = $1 and words @@ to_tsquery('simple', $2) and ($3::text[] is null or class = any($3))
    offset 0
) t
where ($4::text[] is null or t.class = any($4)) and ($5::text is null or t.words @@ to_tsquery('simple', $5))
limit $6::bigint + 1
