-- Tables by what they take of the disk, with their indexes; the partitions of one together, with the first and the last day that it has.
select coalesce(whole.relname, part.relname)::text as "name!",
    count(whole.oid) as "partition_count!",
    to_date(min(right(part.relname, 8)) filter (where whole.oid is not null), 'YYYYMMDD') as first_day,
    to_date(max(right(part.relname, 8)) filter (where whole.oid is not null), 'YYYYMMDD') as last_day,
    sum(greatest(part.reltuples, 0))::bigint as "row_count!",
    coalesce(sum(pg_total_relation_size(part.oid)), 0)::bigint as "byte_count!"
from pg_class part
left join pg_inherits i on i.inhrelid = part.oid
left join pg_class whole on whole.oid = i.inhparent
where part.relnamespace = 'public'::regnamespace and part.relkind = 'r'
group by 1
order by 6 desc, 1
limit $1
