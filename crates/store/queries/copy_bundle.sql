-- Takes the files of a bundle of this content over for another project, release or build.
with known as (
    select * from artifact_bundle b where b.sha1 = $1 and b.project_id = any($5::bigint[])
        -- Not one that housekeep is taking away.
        and b.file_count = (select count(*) from artifact a where a.bundle_id = b.id)
    order by b.id limit 1
), made as (
    insert into artifact_bundle (sha1, project_id, release, dist, debug_id_count, file_count, byte_count)
    select sha1, $2::bigint, $3::text, $4::text, debug_id_count, file_count, byte_count from known
    returning id
), copied as (
    insert into artifact (bundle_id, project_id, kind, url, debug_id, source_map_url, sha256, byte_count)
    select made.id, $2::bigint, a.kind, a.url, a.debug_id, a.source_map_url, a.sha256, a.byte_count
    from made, known join artifact a on a.bundle_id = known.id
    returning id
)
select (select count(*) from made) as "bundle_count!", (select count(*) from copied) as "file_count!"
