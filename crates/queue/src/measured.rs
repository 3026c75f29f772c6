//! What Redis says of itself, and what it can bear: for `croak bench`, which no service calls.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};

use crate::QueueError;

/// Longest wait for an answer: a pipeline of megabytes takes its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Entries of a pipeline, and bytes of it, as the shipper sends them.
const PIPELINE_ENTRIES: usize = 500;
const PIPELINE_BYTES: usize = 1 << 20;
/// The stream is emptied at this many bytes, so that a server with little memory is measured too.
const STREAM_BYTES_MAX: usize = 32 << 20;

/// A Redis server to be measured.
pub struct Server(MultiplexedConnection);

/// What it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its version, as in `7.0.15`.
    pub version: String,
    /// Its process.
    pub process_id: u32,
}

impl Server {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Server, QueueError> {
        let client = Client::open(url).map_err(QueueError::redis("reading the address"))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        connection.map(Server).map_err(QueueError::redis("connecting"))
    }

    /// Version and process.
    pub async fn facts(&mut self) -> Result<Facts, QueueError> {
        let told: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut self.0)
            .await
            .map_err(QueueError::redis("asking for its facts"))?;
        let fact =
            |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        Ok(Facts { version: fact("redis_version:"), process_id: fact("process_id:").parse().unwrap_or(0) })
    }

    /// Records of `bytes` a second that it takes into one stream in pipelines, for `time`. The stream has the key
    /// `<prefix>:bench` and is deleted afterwards.
    pub async fn appends_per_s(&mut self, prefix: &str, bytes: usize, time: Duration) -> Result<f64, QueueError> {
        let key = format!("{prefix}:bench");
        let measured = self.append(&key, bytes, time).await;
        let deleted: Result<(), _> = redis::cmd("DEL").arg(&key).query_async(&mut self.0).await;
        let per_s = measured?;
        deleted.map_err(QueueError::redis("deleting the stream of the measurement"))?;
        Ok(per_s)
    }

    async fn append(&mut self, key: &str, bytes: usize, time: Duration) -> Result<f64, QueueError> {
        // Not compressible, and not the same twice: a server may look for either.
        let record: Vec<u8> =
            (0..bytes as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let entries = PIPELINE_ENTRIES.min(PIPELINE_BYTES / bytes.max(1)).max(1);
        let entries_max = (STREAM_BYTES_MAX / bytes.max(1)).max(entries);
        let mut pipeline = redis::pipe();
        for _ in 0..entries {
            pipeline.cmd("XADD").arg(key).arg("*").arg("p").arg(&record).ignore();
        }
        let (mut appended, mut in_stream, began) = (0, 0, Instant::now());
        while began.elapsed() < time {
            let () = pipeline.query_async(&mut self.0).await.map_err(QueueError::redis("appending"))?;
            appended += entries;
            in_stream += entries;
            if in_stream >= entries_max {
                let () =
                    redis::cmd("DEL").arg(key).query_async(&mut self.0).await.map_err(QueueError::redis("emptying"))?;
                in_stream = 0;
            }
        }
        Ok(appended as f64 / began.elapsed().as_secs_f64())
    }
}
