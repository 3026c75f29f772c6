//! From the id that a client gave to a notice to the notice.

use notice::prost::Message as _;
use notice::{NoticeFacts, NoticeId};
use uuid::Uuid;

use super::{Opened, ReadError, Reader, Stage};
use crate::chunk;
use crate::client_ids::{self, ClientIdEntry};

impl Reader {
    /// Where the notice is that is known by this id: its own, or the one that its client gave it. The latter does not say when it was
    /// accepted: until the notice is stored nobody knows of it.
    pub async fn located(&self, opened: &Opened, id: &str) -> Result<(Option<NoticeId>, Stage), ReadError> {
        let own = Uuid::try_parse(id).ok().map(NoticeId::from);
        if let Some(own) = own {
            let stage = self.stage(opened, own).await?;
            if stage != Stage::Unknown {
                return Ok((Some(own), stage));
            }
        }
        match self.named(opened, id).await? {
            Some(own) => Ok((Some(own), self.stage(opened, own).await?)),
            None => Ok((own, Stage::Unknown)),
        }
    }

    /// The newest notice of a project to which its client gave this id, or the same id written without dashes.
    pub async fn named(&self, opened: &Opened, client_id: &str) -> Result<Option<NoticeId>, ReadError> {
        let plain = client_id.replace('-', "").to_ascii_lowercase();
        for name in [client_id, &plain] {
            if let Some(id) = self.named_so(opened, name).await? {
                return Ok(Some(id));
            }
            if plain == client_id {
                break;
            }
        }
        Ok(None)
    }

    async fn named_so(&self, opened: &Opened, client_id: &str) -> Result<Option<NoticeId>, ReadError> {
        let hash = client_ids::hash(opened.id(), client_id);
        let hash_bytes = hash.to_be_bytes();
        let rows = sqlx::query_file_scalar!(
            "queries/read_client_ids.sql",
            opened.id(),
            hash_bytes.as_slice(),
            i16::from(client_ids::bucket(hash)),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut entries: Vec<ClientIdEntry> =
            rows.iter().flat_map(|entries| client_ids::decode(entries)).filter(|entry| entry.hash == hash).collect();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.at_ms()));
        for entry in entries {
            if let Some(id) = self.named_at(opened, entry, client_id).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    async fn named_at(
        &self,
        opened: &Opened,
        entry: ClientIdEntry,
        client_id: &str,
    ) -> Result<Option<NoticeId>, ReadError> {
        let (first, last) = entry.ids();
        let rows = sqlx::query_file!(
            "queries/chunks_of_places.sql",
            opened.id(),
            i32::from(NoticeId::from(first).lane()),
            &[first],
            &[last],
            &[entry.chunk_from()],
            &[entry.chunk_until()],
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            let items =
                chunk::decode(row.codec, &row.body).map_err(|source| ReadError::Chunk { chunk_id: row.id, source })?;
            let is_it = |item: &&notice::Item| {
                (first..=last).contains(&item.id.as_uuid())
                    && NoticeFacts::decode(item.body.as_slice())
                        .is_ok_and(|facts| facts.client_id.as_deref() == Some(client_id))
            };
            if let Some(item) = items.iter().find(is_it) {
                return Ok(Some(item.id));
            }
        }
        Ok(None)
    }
}
