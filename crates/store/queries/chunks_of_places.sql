-- Chunks of one lane that hold a notice with one of these first halves of an id: from the smallest such id ($3) to the greatest ($4).
-- They end within their stretch after it ($5, $6). Each once.
select distinct on (c.id) c.id as "id!", c.codec as "codec!", c.body as "body!"
from unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[]) as place (first_id, last_id, from_at, until_at)
cross join lateral (
    select c.id, c.codec, c.body from chunk c
    where c.project_id = $1 and c.lane = $2 and c.first_id <= place.last_id and c.last_id >= place.first_id
        and c.last_at between place.from_at and place.until_at
    offset 0
) c
