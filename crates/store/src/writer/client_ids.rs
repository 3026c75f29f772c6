//! What is known of the ids that clients gave to notices: for the owner of a lane, that a notice which is sent again counts once.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::TryStreamExt as _;
use notice::NoticeFacts;
use notice::prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Writer;
use crate::client_ids::{self, ClientIdEntry};
use crate::{StoreError, chunk};

/// How long a notice that is sent again is recognised.
const KNOWN_HOURS: f64 = 48.0;

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
    /// The entries of a lane's notices of the last two days, in no order, each run with its time.
    pub async fn client_ids_of_lane(
        &self,
        lane: u16,
        mut take: impl FnMut(OffsetDateTime, ClientIdEntry),
    ) -> Result<(), StoreError> {
        let mut rows = sqlx::query!(
            "select at, entries from client_id_run where lane = $1 and at > now() - $2 * interval '1 hour'",
            i32::from(lane),
            KNOWN_HOURS
        )
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            client_ids::decode(&row.entries).for_each(|entry| take(row.at, entry));
        }
        Ok(())
    }

    /// Which of these are stored in a lane, among those of the last two days. Opens the chunks that hashes lead to.
    pub async fn stored_in_lane(
        &self,
        lane: u16,
        suspects: &HashSet<NamedNotice>,
    ) -> Result<HashSet<NamedNotice>, StoreError> {
        let mut stored = HashSet::new();
        for (project_id, places) in self.places(lane, suspects).await? {
            let entries: Vec<ClientIdEntry> = places.into_iter().collect();
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
                    if suspects.contains(&named) {
                        stored.insert(named);
                    }
                }
            }
        }
        Ok(stored)
    }

    /// Where notices lie that have the hashes of these, by project.
    async fn places(
        &self,
        lane: u16,
        suspects: &HashSet<NamedNotice>,
    ) -> Result<HashMap<i64, BTreeSet<ClientIdEntry>>, StoreError> {
        let projects: BTreeSet<i64> = suspects.iter().map(|suspect| suspect.project_id).collect();
        let projects: Vec<i64> = projects.into_iter().collect();
        let hashes: HashSet<u64> = suspects.iter().map(NamedNotice::hash).collect();
        let mut places: HashMap<i64, BTreeSet<ClientIdEntry>> = HashMap::new();
        let mut rows = sqlx::query!(
            "select project_id, entries from client_id_run
             where lane = $1 and project_id = any($2::bigint[]) and at > now() - $3 * interval '1 hour'",
            i32::from(lane),
            &projects,
            KNOWN_HOURS
        )
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let found = client_ids::decode(&row.entries).filter(|entry| hashes.contains(&entry.hash));
            places.entry(row.project_id).or_default().extend(found);
        }
        Ok(places)
    }
}
