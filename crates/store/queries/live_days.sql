-- The days that every table of bodies has partitions for, and the first one that still has minutes.
select
    greatest(
        (select min(day) from partition_days('chunk') day),
        (select min(day) from partition_days('project_minute') day),
        (select min(day) from partition_days('stats_record') day),
        (select min(day) from partition_days('attachment_part') day)
    ) as first_day,
    least(
        (select max(day) from partition_days('chunk') day),
        (select max(day) from partition_days('project_minute') day),
        (select max(day) from partition_days('stats_record') day),
        (select max(day) from partition_days('attachment_part') day),
        (select max(day) from partition_days('fingerprint_minute') day)
    ) as last_day,
    (select min(day) from partition_days('fingerprint_minute') day) as first_minute_day
