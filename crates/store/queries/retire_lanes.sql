-- Lets go of the lanes of an epoch that has a newer one: nobody has said for $2 seconds that anything of it is under way, and
-- nobody wants a dead record of it to be tried again. Whoever calls has seen that its lanes are empty.
update lane_epoch e set retired_at = now()
where e.epoch = $1 and e.retired_at is null
    and greatest(
        e.woken_at,
        (select min(n.created_at) from lane_epoch n where n.epoch > e.epoch),
        (select max(c.updated_at) from journal_cursor c where c.epoch = e.epoch)
    ) < now() - $2 * interval '1 s'
    and exists (select from lane_epoch n where n.epoch > e.epoch)
    and not exists (select from journal_cursor c where c.epoch = e.epoch and c.head_seq > c.wm)
    and not exists (select from dead_notice d where d.epoch = e.epoch and d.retry_at is not null)
