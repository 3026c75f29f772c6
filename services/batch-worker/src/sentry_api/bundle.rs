//! A bundle of chunks that lie in the database: compared with its sum, opened where it lies, and written down file by file.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use protocol::sentry::artifact_bundle::{Bundle, BundleError, BundleLimits};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use store::writer::{NewArtifact, NewBundle, WantedBundle};
use store::{StoreError, Writer};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::answer::Refusal;
use super::uploads::CHUNK_BYTES_MAX;

/// Most bytes of a bundle, and so most chunks.
pub(super) const BUNDLE_BYTES_MAX: usize = 512 * 1024 * 1024;
pub(super) const CHUNKS_MAX: usize = BUNDLE_BYTES_MAX / CHUNK_BYTES_MAX;
/// What is in it.
const LIMITS: BundleLimits =
    BundleLimits { files_max: 20_000, file_bytes_max: 64 * 1024 * 1024, bytes_max: 2 * 1024 * 1024 * 1024 };
/// How hard files are packed: zstd's own usual level.
const PACKING: i32 = 3;

/// How an assembly ended.
#[derive(Debug)]
pub(super) enum Assembled {
    /// It is there.
    Done,
    /// Somebody else assembles something, or a chunk went away meanwhile.
    NotNow,
    /// It is not what it should be; for whoever made it.
    Refused(String),
}

/// Assembles a bundle. All of its chunks were there a moment ago.
pub(super) async fn assemble(
    writer: Writer,
    wanted: WantedBundle,
    chunks: Vec<[u8; 20]>,
    lengths: HashMap<[u8; 20], u64>,
    stop: CancellationToken,
) -> Result<Assembled, Refusal> {
    let Some(bundle) = writer.begin_bundle(wanted.clone()).await? else {
        return Ok(Assembled::NotNow);
    };
    let handle = Handle::current();
    // Unpacking and packing again is work for a thread of its own; it waits for the database in between.
    let work = tokio::task::spawn_blocking(move || {
        let source = Chunks {
            writer,
            organization_id: wanted.organization_id,
            handle: handle.clone(),
            chunks,
            lengths,
            at: 0,
            kept: None,
        };
        write_down(bundle, source, wanted.sha1, &handle, &stop)
    });
    let ended = work.await.map_err(|error| Refusal::Unavailable(error.to_string()))?;
    match ended {
        Ok(file_count) => {
            tracing::info!(file_count, "bundle assembled");
            metrics::counter!("worker_bundles_total", "ended" => "ok").increment(1);
            Ok(Assembled::Done)
        }
        Err(Trouble::Refused(told)) => {
            metrics::counter!("worker_bundles_total", "ended" => "refused").increment(1);
            Ok(Assembled::Refused(told))
        }
        Err(Trouble::NotNow) => Ok(Assembled::NotNow),
        Err(Trouble::Store(error)) => Err(error.into()),
    }
}

#[derive(Debug)]
enum Trouble {
    Refused(String),
    NotNow,
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Store(error)
    }
}

impl From<BundleError> for Trouble {
    fn from(error: BundleError) -> Trouble {
        match error {
            BundleError::Refused(told) => Trouble::Refused(told),
            BundleError::Read(error) => error.into(),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        let told = error.to_string();
        let Some(inner) = error.into_inner() else { return Trouble::Refused(told) };
        match inner.downcast().map(|unreadable| *unreadable) {
            Ok(Unreadable::Gone) => Trouble::NotNow,
            Ok(Unreadable::Store(error)) => Trouble::Store(error),
            Err(_) => Trouble::Refused(told),
        }
    }
}

fn write_down(
    mut bundle: NewBundle,
    mut source: Chunks,
    sha1: [u8; 20],
    handle: &Handle,
    stop: &CancellationToken,
) -> Result<usize, Trouble> {
    let mut sum = Sha1::new();
    for index in 0..source.chunks.len() {
        sum.update(source.chunk(index)?);
    }
    if sum.finalize().as_slice() != sha1 {
        return Err(Trouble::Refused("the chunks do not have the SHA-1 of the bundle".to_owned()));
    }
    let chunks = source.chunks.clone();
    let mut opened = Bundle::open(source, LIMITS)?;
    let file_count = opened.file_count();
    for index in 0..file_count {
        // The rest is left to another worker.
        if stop.is_cancelled() {
            return Err(Trouble::NotNow);
        }
        let Some((file, mut body)) = opened.file(index)? else { break };
        let file = file.clone();
        let packed = pack(&mut body)?;
        drop(body);
        let artifact = NewArtifact {
            kind: file.kind.as_str(),
            url: file.url,
            debug_id: file.debug_id.map(Uuid::from_bytes),
            source_map_url: file.source_map_url,
            sha256: packed.sha256,
            byte_count: packed.byte_count,
            zstd: packed.zstd,
        };
        handle.block_on(bundle.put_file(&artifact))?;
    }
    handle.block_on(bundle.commit(&chunks))?;
    Ok(file_count)
}

struct Packed {
    sha256: [u8; 32],
    byte_count: i64,
    zstd: Vec<u8>,
}

/// Packs a file while it is read: only what is packed of it is in memory.
fn pack(body: &mut impl Read) -> io::Result<Packed> {
    const STEP_BYTES: usize = 64 * 1024;
    let mut packing = zstd::stream::Encoder::new(Vec::new(), PACKING)?;
    let mut sum = Sha256::new();
    let mut byte_count = 0;
    let mut piece = vec![0; STEP_BYTES];
    loop {
        let count = body.read(&mut piece)?;
        if count == 0 {
            break;
        }
        sum.update(&piece[..count]);
        io::Write::write_all(&mut packing, &piece[..count])?;
        byte_count += count as i64;
    }
    Ok(Packed { sha256: sum.finalize().into(), byte_count, zstd: packing.finish()? })
}

/// Chunks in the database, read as one, with one of them in memory. Nothing is put on a disk: `/tmp` may be memory, too.
#[derive(Debug)]
struct Chunks {
    writer: Writer,
    organization_id: i64,
    handle: Handle,
    chunks: Vec<[u8; 20]>,
    lengths: HashMap<[u8; 20], u64>,
    at: u64,
    kept: Option<(usize, Vec<u8>)>,
}

/// Why a chunk could not be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("a chunk is gone")]
    Gone,
    #[error("a chunk cannot be read")]
    Store(#[source] StoreError),
}

impl Chunks {
    fn chunk(&mut self, index: usize) -> io::Result<&[u8]> {
        if self.kept.as_ref().is_none_or(|(kept, _)| *kept != index) {
            self.kept = None;
            let reading = self.writer.chunk(self.organization_id, &self.chunks[index]);
            let body = self.handle.block_on(reading).map_err(|error| io::Error::other(Unreadable::Store(error)))?;
            self.kept = Some((index, body.ok_or_else(|| io::Error::other(Unreadable::Gone))?));
        }
        Ok(self.kept.as_ref().map_or(&[], |(_, body)| body.as_slice()))
    }

    fn length_of(&self, index: usize) -> u64 {
        self.chunks.get(index).and_then(|sha1| self.lengths.get(sha1)).copied().unwrap_or_default()
    }

    /// The chunk that has a position, and how far in it is.
    fn place(&self, mut at: u64) -> Option<(usize, u64)> {
        for index in 0..self.chunks.len() {
            match at.checked_sub(self.length_of(index)) {
                Some(behind) => at = behind,
                None => return Some((index, at)),
            }
        }
        None
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((index, within)) = self.place(self.at) else { return Ok(0) };
        let chunk = self.chunk(index)?;
        let rest = usize::try_from(within).ok().and_then(|within| chunk.get(within..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Chunks {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let in_all: u64 = (0..self.chunks.len()).map(|index| self.length_of(index)).sum();
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => in_all.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
