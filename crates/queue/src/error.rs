//! What can go wrong between us and Redis.

/// Why something could not be done on Redis.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The address or the prefix cannot be used.
    #[error("{0}")]
    Options(String),
    /// Redis cannot be reached, does not answer, or refuses.
    #[error("redis: {doing}")]
    Redis {
        /// What was being done.
        doing: &'static str,
        /// What Redis or the connection said.
        source: redis::RedisError,
    },
    /// The snapshot in Redis cannot be read.
    #[error("the snapshot of projects in redis cannot be read")]
    Snapshot(#[from] notice::prost::DecodeError),
}

impl QueueError {
    pub(crate) fn redis(doing: &'static str) -> impl FnOnce(redis::RedisError) -> QueueError {
        move |source| QueueError::Redis { doing, source }
    }

    /// Whether Redis said that it has no memory left.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, QueueError::Redis { source, .. } if is_out_of_memory(source))
    }
}

/// Whether Redis refused for want of memory.
pub(crate) fn is_out_of_memory(error: &redis::RedisError) -> bool {
    error.code() == Some("OOM")
}
