//! Chunks: pieces of a bundle, each named by its SHA-1, several in a request.

use std::io::Read as _;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use multer::{Field, Multipart};
use serde_json::{Value, json};
use service::proto::sentry_api::CallHead;
use sha1::{Digest as _, Sha1};
use store::Writer;
use tokio::sync::Semaphore;

use super::answer::{Answered, Refusal};
use super::body::CallBody;

/// Most bytes of a chunk, unpacked. Build tools want a power of two.
pub(super) const CHUNK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What gzip may make of a chunk that does not shrink, in bytes.
const PACKED_BYTES_MAX: usize = CHUNK_BYTES_MAX + 64 * 1024;
/// Chunks of one request, and bytes of all of it: what a slow line brings in the time that the gateway gives a body.
const CHUNKS_OF_REQUEST_MAX: usize = 4;
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests that a build tool sends at a time.
const CONCURRENCY: usize = 4;
/// Chunks that are unpacked and written at a time. What only arrives takes no turn: whoever sends slowly would keep it from others.
const UPLOADS_MAX: usize = 4;
/// Bytes of chunks that an organization may leave without having them assembled. They go after a day.
const WAITING_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Characters of a SHA-1.
const SHA1_CHARS: usize = 40;

/// What a build tool must know before it uploads to an organization.
pub(super) fn options(organization: &str) -> Value {
    json!({
        // Relative to the API's root, so that it holds behind every proxy.
        "url": format!("organizations/{organization}/chunk-upload/"),
        "chunkSize": CHUNK_BYTES_MAX,
        "chunksPerRequest": CHUNKS_OF_REQUEST_MAX,
        "maxRequestSize": REQUEST_BYTES_MAX,
        "maxFileSize": super::bundle::BUNDLE_BYTES_MAX,
        "concurrency": CONCURRENCY,
        "hashAlgorithm": "sha1",
        "compression": ["gzip"],
        "accept": ["release_files", "artifact_bundles", "artifact_bundles_v2"],
    })
}

/// Takes chunks in.
pub(super) struct Uploading {
    turns: Semaphore,
}

impl Default for Uploading {
    fn default() -> Self {
        Self { turns: Semaphore::new(UPLOADS_MAX) }
    }
}

impl Uploading {
    /// Keeps the chunks of one request. Those before one that is wrong are kept.
    pub(super) async fn take(
        &self,
        writer: &Writer,
        organization_id: i64,
        head: &CallHead,
        body: CallBody,
    ) -> Answered {
        let boundary = multer::parse_boundary(&head.content_type)
            .map_err(|_| Refusal::bad("chunks are uploaded as multipart/form-data"))?;
        if writer.chunk_bytes(organization_id).await? > WAITING_BYTES_MAX {
            return Err(Refusal::Told(
                413,
                format!(
                    "more than {WAITING_BYTES_MAX} bytes are uploaded and not assembled: what is left goes after a day"
                ),
            ));
        }
        let mut parts = Multipart::new(body.pieces(), boundary);
        let mut chunk_count = 0;
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let is_packed = match part.name() {
                Some("file") => false,
                Some("file_gzip") => true,
                _ => continue,
            };
            chunk_count += 1;
            if chunk_count > CHUNKS_OF_REQUEST_MAX {
                return Err(Refusal::bad(format!("a request has at most {CHUNKS_OF_REQUEST_MAX} chunks")));
            }
            let named = part
                .file_name()
                .and_then(sha1_of)
                .ok_or_else(|| Refusal::bad(format!("the file name of a chunk is its SHA-1, {SHA1_CHARS} digits")))?;
            let packed = whole(part).await?;
            let _turn = self.turns.acquire().await.map_err(|error| Refusal::Unavailable(error.to_string()))?;
            let chunk = tokio::task::spawn_blocking(move || unpack(packed, is_packed, named));
            let chunk = chunk.await.map_err(|error| Refusal::Unavailable(error.to_string()))??;
            writer.put_chunk(organization_id, &named, &chunk).await?;
        }
        metrics::counter!("worker_upload_chunks_total").increment(chunk_count as u64);
        Ok((200, json!({})))
    }
}

/// A SHA-1 as build tools write it.
pub(super) fn sha1_of(text: &str) -> Option<[u8; 20]> {
    if text.len() != SHA1_CHARS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut sha1 = [0; 20];
    for (index, byte) in sha1.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(sha1)
}

/// The same, to be shown.
pub(super) fn hex(sha1: &[u8]) -> String {
    sha1.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn whole(mut part: Field<'_>) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(piece) = part.chunk().await.map_err(broken)? {
        if whole.len() + piece.len() > PACKED_BYTES_MAX {
            return Err(too_long());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// A chunk as it was cut, compared with its name.
fn unpack(packed: Bytes, is_packed: bool, named: [u8; 20]) -> Result<Bytes, Refusal> {
    let chunk = if is_packed {
        let mut unpacked = Vec::new();
        let mut bounded = GzDecoder::new(packed.as_ref()).take(CHUNK_BYTES_MAX as u64 + 1);
        bounded.read_to_end(&mut unpacked).map_err(|_| Refusal::bad("a chunk is not what gzip makes"))?;
        Bytes::from(unpacked)
    } else {
        packed
    };
    if chunk.len() > CHUNK_BYTES_MAX {
        return Err(too_long());
    }
    if Sha1::digest(&chunk).as_slice() != named {
        return Err(Refusal::bad(format!("the chunk {} has another SHA-1 than its name says", hex(&named))));
    }
    Ok(chunk)
}

fn too_long() -> Refusal {
    Refusal::Told(413, format!("a chunk is longer than {CHUNK_BYTES_MAX} bytes"))
}

/// A body that breaks off is nobody's fault; one that is no multipart is the caller's.
fn broken(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(_) => Refusal::Unavailable(service::causes(&error)),
        error => Refusal::bad(format!("the upload is not what multipart/form-data should be: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).expect("a vector takes everything");
        packed.finish().expect("a vector takes everything").into()
    }

    #[test]
    fn a_chunk_is_what_its_name_says() {
        let name = sha1_of("a9993e364706816aba3e25717850c26c9cd0d89d").expect("a SHA-1");
        assert_eq!(unpack(gzip(b"abc"), true, name).expect("is it"), "abc");
        assert_eq!(unpack(Bytes::from_static(b"abc"), false, name).expect("is it"), "abc");
        assert!(matches!(unpack(gzip(b"abd"), true, name), Err(Refusal::Told(400, _))));
        assert!(matches!(unpack(Bytes::from_static(b"abc"), true, name), Err(Refusal::Told(400, _))));
        assert_eq!(hex(&name), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
        assert!(bomb.len() < PACKED_BYTES_MAX);
        assert!(matches!(unpack(bomb, true, [0; 20]), Err(Refusal::Told(413, _))));
    }

    #[test]
    fn only_forty_hex_digits_are_a_sum() {
        for text in [
            "",
            "a9993e364706816aba3e25717850c26c9cd0d89",
            "+9993e364706816aba3e25717850c26c9cd0d89d",
            "ä9993e364706816aba3e25717850c26c9cd0d8",
        ] {
            assert_eq!(sha1_of(text), None, "{text}");
        }
    }
}
