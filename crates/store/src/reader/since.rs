//! All notices of a project in the order in which they became visible.
//!
//! Numbers given out by the database become visible out of order, so a reader that goes on behind the greatest one it
//! saw skips what was committed late. This list goes by (transaction, chunk, place in it) and ends before the oldest
//! transaction that is still running: nothing can appear behind it. Transactions of other databases of the same server
//! count, too: a long one elsewhere makes the list late, never wrong.
//!
//! Chunks are merged when their stretch of time is over. The one that became visible last takes the others in, behind its own
//! notices: whoever has not come to it yet meets all of them, whoever stands in it goes on where they stood, and may then meet
//! again what they had from the others.

use sqlx::types::time::OffsetDateTime;

use super::chunks::PAGE_BYTES_MAX;
use super::cursor::{self, CursorError};
use super::{Opened, ReadError, Reader, StoredNotice};
use crate::chunk;

/// Chunks that are opened at once.
const CHUNKS_PER_LOOK: i64 = 8;

/// One page of the list.
#[derive(Clone, Debug)]
pub struct SincePage {
    /// The notices.
    pub notices: Vec<StoredNotice>,
    /// Where the list goes on, when there is more.
    pub next: Option<String>,
    /// Where to ask again later for what has become visible by then.
    pub resume: String,
}

impl Reader {
    /// Notices of all groups of a project accepted since a time; `cursor` is an earlier page's.
    ///
    /// Whoever follows the list misses nothing. Notices of a stretch of time whose chunks are merged meanwhile may come again.
    pub async fn notices_since(
        &self,
        opened: &Opened,
        since: Option<OffsetDateTime>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Result<SincePage, CursorError>, ReadError> {
        let [mut xid, mut chunk_id, mut place] = match cursor.map(|word| cursor::read::<3>('v', word)).transpose() {
            Ok(at) => at.unwrap_or([0, 0, 0]),
            Err(error) => return Ok(Err(error)),
        };
        let since_us = since.map_or(i64::MIN, |at| i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX));
        let mut items = Vec::new();
        let mut bytes = 0;
        let mut is_more = true;
        'pages: while is_more {
            let rows = sqlx::query_file!(
                "queries/read_chunks_visible.sql",
                opened.id(),
                since,
                xid.to_string(),
                chunk_id,
                CHUNKS_PER_LOOK
            )
            .fetch_all(&self.pool)
            .await?;
            is_more = rows.len() as i64 == CHUNKS_PER_LOOK;
            for row in rows {
                let row_xid: i64 =
                    row.xid.parse().map_err(|_| sqlx::Error::Protocol("an xid8 is not a number".into()))?;
                if (row_xid, row.id) != (xid, chunk_id) {
                    (xid, chunk_id, place) = (row_xid, row.id, 0);
                }
                let chunk = chunk::decode(row.codec, &row.body)
                    .map_err(|source| ReadError::Chunk { chunk_id: row.id, source })?;
                for item in chunk.into_iter().skip(usize::try_from(place).unwrap_or(0)) {
                    if items.len() == limit || bytes >= PAGE_BYTES_MAX {
                        is_more = true;
                        break 'pages;
                    }
                    place += 1;
                    if item.accepted_at_us >= since_us {
                        bytes += item.body.len();
                        items.push((row.fingerprint_id, item));
                    }
                }
            }
            if is_more {
                // Go on behind the last chunk, which has been read to its end.
                (chunk_id, place) = (chunk_id + 1, 0);
            }
        }
        let resume = cursor::write('v', &[xid, chunk_id, place]);
        let mut fingerprint_ids: Vec<i64> = items.iter().map(|(id, _)| *id).collect();
        fingerprint_ids.sort_unstable();
        fingerprint_ids.dedup();
        let identities = self.identities(opened, &fingerprint_ids).await?;
        let mut notices = Vec::with_capacity(items.len());
        for (fingerprint_id, item) in &items {
            let identity = identities.iter().find(|identity| identity.id == *fingerprint_id);
            notices.push(self.decoded(opened, item, identity).await?);
        }
        Ok(Ok(SincePage { notices, next: is_more.then(|| resume.clone()), resume }))
    }
}
