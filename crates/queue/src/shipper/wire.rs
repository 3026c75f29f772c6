//! What the shipper says to Redis: entries, questions for watermarks, probes.

use std::ops::RangeInclusive;

use futures::future::join_all;
use redis::{RedisResult, Value};
use uuid::Uuid;

use crate::error::is_out_of_memory;
use crate::queue::{BEAT_FIELD, watermark_field};
use crate::stream_id::StreamId;
use crate::{Queue, QueueError};

/// What every entry of a pipeline says of its journal and lane.
pub(super) struct Letterhead {
    pub(super) journal: Uuid,
    pub(super) base: u64,
    pub(super) gap: Option<RangeInclusive<u64>>,
    pub(super) head_seq: u64,
    pub(super) oldest_unacked_at_us: Option<i64>,
}

/// What became of one entry of a pipeline.
pub(super) enum Answer {
    Accepted(StreamId),
    OutOfMemory,
    Refused(String),
}

/// What a lane is asked for.
pub(super) struct LaneQuestion {
    pub(super) lane: u16,
    /// The claim whose watermarks are wanted, as far as one is known.
    pub(super) token: Option<i64>,
    pub(super) journals: Vec<Uuid>,
}

/// What the hash of a lane's watermarks says.
pub(super) struct LaneWatermarks {
    pub(super) lane: u16,
    /// The claim after which the hash was published whole.
    pub(super) token: Option<i64>,
    /// The number of that publication.
    pub(super) beat: Option<u64>,
    /// The watermarks of the claim that was asked for.
    pub(super) watermarks: Vec<(Uuid, Option<u64>)>,
}

/// What came of asking for the watermarks of some lanes.
#[derive(Default)]
pub(super) struct Polled {
    pub(super) heard: Vec<LaneWatermarks>,
    /// Lanes whose server did not answer.
    pub(super) silent: Vec<u16>,
    /// Why not, for one of them.
    pub(super) error: Option<QueueError>,
}

impl LaneWatermarks {
    /// The watermark of a journal: a missing one is 0 when all were published, and unknown when not.
    pub(super) fn known(&self) -> impl Iterator<Item = (Uuid, Option<u64>)> + '_ {
        let missing = self.token.map(|_| 0);
        self.watermarks.iter().map(move |(journal, watermark)| (*journal, watermark.or(missing)))
    }
}

impl Queue {
    /// Adds entries to a lane: each on its own, so that one refused entry says nothing about the others.
    pub(super) async fn add(
        &self,
        lane: u16,
        letterhead: &Letterhead,
        records: &[(u64, Vec<u8>)],
    ) -> Result<Vec<Answer>, QueueError> {
        let key = self.stream_key(lane);
        let journal = letterhead.journal.to_string();
        let mut pipeline = redis::Pipeline::with_capacity(records.len());
        for (seq, record) in records {
            let entry = pipeline
                .cmd("XADD")
                .arg(&key)
                .arg("*")
                .arg("j")
                .arg(&journal)
                .arg("s")
                .arg(seq)
                .arg("b")
                .arg(letterhead.base);
            entry.arg("h").arg(letterhead.head_seq);
            if let Some(gap) = &letterhead.gap {
                entry.arg("g").arg(format!("{}-{}", gap.start(), gap.end()));
            }
            if let Some(at_us) = letterhead.oldest_unacked_at_us {
                entry.arg("o").arg(at_us);
            }
            entry.arg("p").arg(record.as_slice());
        }
        pipeline.ignore_errors();
        let results: Vec<RedisResult<String>> =
            pipeline.query_async(&mut self.connection()).await.map_err(QueueError::redis("adding to a lane"))?;
        Ok(results
            .into_iter()
            .map(|result| match result {
                Ok(stream_id) => match stream_id.parse() {
                    Ok(stream_id) => Answer::Accepted(stream_id),
                    Err(_) => Answer::Refused(format!("`{stream_id}` is not a place in a stream")),
                },
                Err(error) if is_out_of_memory(&error) => Answer::OutOfMemory,
                Err(error) if error.is_cluster_error() && !self.is_cluster() => {
                    Answer::Refused(format!("{error}: to a cluster leads a `redis-cluster://…` in CROAK_REDIS_URL"))
                }
                Err(error) => Answer::Refused(error.to_string()),
            })
            .collect())
    }

    /// The watermarks of journals, lane by lane.
    pub(super) async fn ask_watermarks(&self, lanes: &[LaneQuestion]) -> Polled {
        // In a cluster each lane may lie on another server, which may be the one that is away.
        let per_trip = if self.is_cluster() { 1 } else { lanes.len().max(1) };
        let trips = join_all(lanes.chunks(per_trip).map(|lanes| self.watermarks_of(lanes))).await;
        let mut polled = Polled::default();
        for (lanes, watermarks) in lanes.chunks(per_trip).zip(trips) {
            match watermarks {
                Ok(watermarks) => polled.heard.extend(watermarks),
                Err(error) => {
                    polled.silent.extend(lanes.iter().map(|question| question.lane));
                    polled.error = Some(error);
                }
            }
        }
        polled
    }

    /// The same in one go.
    async fn watermarks_of(&self, lanes: &[LaneQuestion]) -> Result<Vec<LaneWatermarks>, QueueError> {
        let mut pipeline = redis::Pipeline::with_capacity(lanes.len());
        for LaneQuestion { lane, token, journals } in lanes {
            let question = pipeline.cmd("HMGET").arg(self.watermarks_key(*lane)).arg("_").arg(BEAT_FIELD);
            if let Some(token) = token {
                for journal in journals {
                    question.arg(watermark_field(journal, *token));
                }
            }
        }
        let answers: Vec<Vec<Option<String>>> =
            pipeline.query_async(&mut self.connection()).await.map_err(QueueError::redis("reading watermarks"))?;
        Ok(lanes
            .iter()
            .zip(answers)
            .map(|(LaneQuestion { lane, journals, .. }, answer)| {
                let mut values = answer.into_iter();
                let token = values.next().flatten().and_then(|token| token.parse().ok());
                let beat = values.next().flatten().and_then(|beat| beat.parse().ok());
                // What is not a number was not written by a worker, and says nothing.
                let watermarks = journals.iter().zip(values.chain(std::iter::repeat(None)));
                let watermarks = watermarks.filter_map(|(journal, value)| match value {
                    None => Some((*journal, None)),
                    Some(value) => value.parse().ok().map(|watermark| (*journal, Some(watermark))),
                });
                LaneWatermarks { lane: *lane, token, beat, watermarks: watermarks.collect() }
            })
            .collect())
    }

    /// Whether both entries are still in the lane.
    pub(super) async fn has_both(&self, lane: u16, oldest: StreamId, newest: StreamId) -> Result<bool, QueueError> {
        let key = self.stream_key(lane);
        let mut pipeline = redis::Pipeline::with_capacity(2);
        for stream_id in [oldest, newest] {
            pipeline.cmd("XRANGE").arg(&key).arg(stream_id.to_string()).arg(stream_id.to_string());
        }
        let found: Vec<Vec<Value>> =
            pipeline.query_async(&mut self.connection()).await.map_err(QueueError::redis("probing a lane"))?;
        Ok(found.iter().all(|entries| !entries.is_empty()))
    }
}
