-- The numbers of the batch's records. In the same transaction as their counts and bodies: this is what makes
-- "exactly once" true.
insert into journal_cursor (epoch, lane, journal, wm, runs, head_seq, oldest_unacked_at)
select $1, $2, journal, wm, runs::bigint[], head_seq, oldest_unacked_at
from unnest($3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::timestamptz[])
    as given (journal, wm, runs, head_seq, oldest_unacked_at)
order by journal
on conflict (epoch, lane, journal) do update set
    wm = excluded.wm,
    runs = excluded.runs,
    head_seq = greatest(journal_cursor.head_seq, excluded.head_seq),
    oldest_unacked_at = excluded.oldest_unacked_at,
    updated_at = now()
