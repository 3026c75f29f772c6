-- All commits of a release, in the order in which they are given.
insert into release_commit (release_id, position, sha, repository, author_name, author_email, message, at, patch_set)
select $1, given.position - 1, given.sha, given.repository, given.author_name, given.author_email, given.message, given.at, given.patch_set
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::jsonb[])
    with ordinality as given (sha, repository, author_name, author_email, message, at, patch_set, position)
