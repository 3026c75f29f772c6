//! An independent reader of what is stored: it reads the tables itself and decodes the chunks by their documented format.
//!
//! A chunk's body (codec 0) is one zstd frame of: a version byte 1, then for each notice its id (16 bytes), accepted_at in
//! microseconds (i64, little endian), the length of its body (u32, little endian), and the body, a protobuf message.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::wait_until;

/// The largest uncompressed chunk that is believed.
const CHUNK_BYTES_MAX: usize = 64 << 20;

/// One notice as it lies in a chunk.
#[derive(Clone, Debug)]
pub struct StoredBody {
    /// Its id.
    pub id: Uuid,
    /// The project whose chunk it lies in.
    pub project_id: i64,
    /// The fingerprint whose chunk it lies in.
    pub fingerprint_id: i64,
    /// Microseconds since 1970.
    pub accepted_at_us: i64,
    /// The notice as protobuf.
    pub body: Vec<u8>,
}

impl StoredBody {
    /// The id that its client gave it: field 3 of the message.
    pub fn client_id(&self) -> Option<&str> {
        const CLIENT_ID: u64 = 3;
        let mut rest = self.body.as_slice();
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            let (field, wire_type) = (key >> 3, key & 7);
            match wire_type {
                0 => drop(varint(&mut rest)?),
                1 => rest = rest.get(8..)?,
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    let (text, after) = rest.split_at_checked(length)?;
                    if field == CLIENT_ID {
                        return std::str::from_utf8(text).ok();
                    }
                    rest = after;
                }
                5 => rest = rest.get(4..)?,
                _ => return None,
            }
        }
        None
    }
}

/// A number of protobuf: seven bits in each byte, the lowest first.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Every notice of every chunk, one after the other.
pub async fn each(pool: &PgPool, mut look_at: impl FnMut(StoredBody)) {
    let mut rows = sqlx::query("select project_id, fingerprint_id, codec, notice_count, body from chunk").fetch(pool);
    while let Some(row) = rows.try_next().await.expect("chunks can be read") {
        let (codec, notice_count): (i16, i32) = (row.get("codec"), row.get("notice_count"));
        assert_eq!(codec, 0, "only codec 0 is documented");
        let mut bodies = Vec::new();
        decode(row.get("body"), row.get("project_id"), row.get("fingerprint_id"), &mut bodies);
        assert_eq!(
            bodies.len(),
            usize::try_from(notice_count).expect("a count"),
            "a chunk says how many notices it holds"
        );
        bodies.into_iter().for_each(&mut look_at);
    }
}

/// Every notice of every chunk.
pub async fn all(pool: &PgPool) -> Vec<StoredBody> {
    let mut bodies = Vec::new();
    each(pool, |body| bodies.push(body)).await;
    bodies
}

/// How often each id is stored.
pub async fn copies(pool: &PgPool) -> HashMap<Uuid, u32> {
    let mut copies = HashMap::new();
    each(pool, |body| *copies.entry(body.id).or_default() += 1).await;
    copies
}

/// How often each id is stored, as soon as all of these are.
pub async fn copies_with_all_of(pool: &PgPool, ids: &[Uuid], limit: Duration) -> HashMap<Uuid, u32> {
    wait_until("all that was accepted is stored", limit, async || {
        if count(pool).await < ids.len() as i64 {
            return None;
        }
        let copies = copies(pool).await;
        ids.iter().all(|id| copies.contains_key(id)).then_some(copies)
    })
    .await
}

/// How many notices the chunks say they hold, without decoding them.
pub async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select coalesce(sum(notice_count), 0)::bigint from chunk")
        .fetch_one(pool)
        .await
        .expect("chunks can be counted")
}

fn decode(compressed: &[u8], project_id: i64, fingerprint_id: i64, into: &mut Vec<StoredBody>) {
    let raw = zstd::bulk::decompress(compressed, CHUNK_BYTES_MAX).expect("a chunk is one zstd frame");
    let (version, mut rest) = raw.split_first().expect("a chunk begins with its version");
    assert_eq!(*version, 1, "version of a chunk");
    while !rest.is_empty() {
        let (id, after) = rest.split_first_chunk::<16>().expect("an id");
        let (accepted_at, after) = after.split_first_chunk::<8>().expect("a time");
        let (length, after) = after.split_first_chunk::<4>().expect("a length");
        let (body, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        into.push(StoredBody {
            id: Uuid::from_bytes(*id),
            project_id,
            fingerprint_id,
            accepted_at_us: i64::from_le_bytes(*accepted_at),
            body: body.to_vec(),
        });
        rest = after;
    }
}
