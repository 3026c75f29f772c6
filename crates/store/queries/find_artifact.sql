-- A file of a release by one of its names, the first of these first. What was uploaded for the same build counts before what
-- was uploaded for all builds, and the newest before what it replaces.
select artifact.url, artifact.source_map_url, artifact.sha256
from artifact
join artifact_bundle bundle on bundle.id = artifact.bundle_id
where artifact.project_id = $1 and bundle.release = $2 and (bundle.dist is null or bundle.dist = $3::text)
    and artifact.kind = $4 and artifact.url = any($5::text[])
order by bundle.dist is null, bundle.uploaded_at desc, array_position($5::text[], artifact.url), artifact.id desc
limit 1
