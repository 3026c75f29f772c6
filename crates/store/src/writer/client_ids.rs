//! What is stored of the ids that clients gave to notices: a notice that is sent again counts once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::TryStreamExt as _;
use notice::NoticeFacts;
use notice::prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Writer;
use crate::client_ids::{self, ClientIdEntry, KnownTo, StoredRun};
use crate::{StoreError, chunk};

/// A notice by the name that its client gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedNotice {
    /// The project.
    pub project_id: i64,
    /// The client's id.
    pub client_id: String,
}

impl NamedNotice {
    /// What it is known by.
    #[must_use]
    pub fn hash(&self) -> u64 {
        client_ids::hash(self.project_id, &self.client_id)
    }
}

impl Writer {
    /// The clients' ids of these projects' notices, as far as they are not known yet and there still; oldest first. What is known counts only if
    /// the same server still runs. All that a commit compares with is read, however long ago it was accepted: or that commit could never be.
    pub async fn client_ids(
        &self,
        projects: &BTreeMap<i64, Option<KnownTo>>,
        mut take: impl FnMut(StoredRun),
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let server_started_at =
            sqlx::query_scalar!(r#"select pg_postmaster_start_time() as "at!""#).fetch_one(&mut *connection).await?;
        let ids: Vec<i64> = projects.keys().copied().collect();
        let known_to = |known: &Option<KnownTo>| {
            known.filter(|known| known.server_started_at == server_started_at).map_or(0, |known| known.run_id)
        };
        let known: Vec<i64> = projects.values().map(known_to).collect();
        // Also of projects that have none it is known now.
        for (project_id, run_id) in ids.iter().copied().zip(known.iter().copied()) {
            take(StoredRun { project_id, known_to: KnownTo { server_started_at, run_id }, entries: Vec::new() });
        }
        let mut rows = sqlx::query!(
            "select r.project_id, r.id, r.entries from unnest($1::bigint[], $2::bigint[]) as known (project_id, run_id)
             join client_id_run r on r.project_id = known.project_id and r.id > known.run_id order by r.id",
            &ids,
            &known
        )
        .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let known_to = KnownTo { server_started_at, run_id: row.id };
            let entries = client_ids::decode(&row.entries).collect();
            take(StoredRun { project_id: row.project_id, known_to, entries });
        }
        Ok(())
    }

    /// Which of these are stored where they may be. Opens the chunks of these places.
    pub async fn stored_there(
        &self,
        suspects: &HashMap<NamedNotice, ClientIdEntry>,
    ) -> Result<HashSet<NamedNotice>, StoreError> {
        let mut places: BTreeMap<(i64, u16), BTreeSet<ClientIdEntry>> = BTreeMap::new();
        for (suspect, entry) in suspects {
            places.entry((suspect.project_id, entry.lane())).or_default().insert(*entry);
        }
        let mut stored = HashSet::new();
        for ((project_id, lane), entries) in places {
            let (first, last): (Vec<Uuid>, Vec<Uuid>) = entries.iter().map(ClientIdEntry::ids).unzip();
            let from: Vec<OffsetDateTime> = entries.iter().map(ClientIdEntry::chunk_from).collect();
            let until: Vec<OffsetDateTime> = entries.iter().map(ClientIdEntry::chunk_until).collect();
            let mut rows = sqlx::query_file!(
                "queries/chunks_of_places.sql",
                project_id,
                i32::from(lane),
                &first,
                &last,
                &from,
                &until
            )
            .fetch(&self.pool);
            let moments: HashSet<u64> = entries.iter().map(|entry| entry.place).collect();
            while let Some(row) = rows.try_next().await? {
                let items = chunk::decode(row.codec, &row.body)
                    .map_err(|error| StoreError::Invalid(format!("chunk {}: {error}", row.id)))?;
                for item in items.iter().filter(|item| moments.contains(&item.id.as_uuid().as_u64_pair().0)) {
                    let facts = NoticeFacts::decode(item.body.as_slice()).unwrap_or_default();
                    let Some(client_id) = facts.client_id else { continue };
                    let named = NamedNotice { project_id, client_id };
                    if suspects.contains_key(&named) {
                        stored.insert(named);
                    }
                }
            }
        }
        Ok(stored)
    }
}
