//! A line to a Redis server: connected when it is first used, and anew when that has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use deadpool_redis::PoolError;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use redis::aio::ConnectionLike as _;
use redis::{ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use crate::dialer::{Dialer, Server};

/// How often the server is given something to say – a connection that has quietly gone is only noticed by use – and
/// it is looked whether it is still the right one.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Which of the connections to a server something goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// What lies in lanes: one connection that all commands share.
    Lanes,
    /// What is small and rare.
    Side,
}

/// A connection that stands or is being made; all who want it wait for the same one.
type Dialling = Shared<BoxFuture<'static, RedisResult<Server>>>;

/// The line of one process to a server. Clones share it.
#[derive(Clone)]
pub(crate) struct Line {
    ends: Arc<Ends>,
}

struct Ends {
    dialer: Arc<Dialer>,
    dialling: Mutex<Option<Dialling>>,
}

impl Line {
    /// A line that connects when it is first used. Needs to be called within a Tokio runtime.
    pub(crate) fn new(dialer: Dialer) -> Line {
        let ends = Arc::new(Ends { dialer: Arc::new(dialer), dialling: Mutex::default() });
        tokio::spawn(look_after(Arc::downgrade(&ends)));
        Line { ends }
    }

    /// Sends commands and answers what each was answered, refusals among them.
    pub(crate) async fn send(&self, pipeline: &Pipeline, channel: Channel) -> RedisResult<Vec<Value>> {
        let (dialling, mut server) = self.connected().await?;
        let answers = match channel {
            Channel::Lanes => server.lanes.req_packed_commands(pipeline, 0, pipeline.len()).await,
            Channel::Side => match server.side.get().await {
                Ok(mut connection) => connection.req_packed_commands(pipeline, 0, pipeline.len()).await,
                Err(error) => Err(without(error)),
            },
        };
        // A server that only reads is not the master any more.
        let is_over = match &answers {
            Err(error) => error.is_unrecoverable_error(),
            Ok(answers) => answers.iter().any(|answer| refusal(answer) == Some(ServerErrorKind::ReadOnly)),
        };
        if is_over {
            self.hang_up(&dialling);
        }
        answers
    }

    async fn connected(&self) -> RedisResult<(Dialling, Server)> {
        let dialling = self.lock().get_or_insert_with(|| dial(Arc::clone(&self.ends.dialer))).clone();
        match dialling.clone().await {
            Ok(server) => Ok((dialling, server)),
            Err(error) => {
                self.hang_up(&dialling);
                Err(error)
            }
        }
    }

    fn hang_up(&self, dialling: &Dialling) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|current| current.ptr_eq(dialling)) {
            *current = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Dialling>> {
        self.ends.dialling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look at a connection that stands.
    async fn look(&self) {
        let Some(dialling) = self.lock().clone() else { return };
        let Some(Ok(server)) = dialling.peek() else { return };
        if self.ends.dialer.has_moved(server).await {
            tracing::info!("the sentinels name another master");
            self.hang_up(&dialling);
            return;
        }
        let mut ping = Pipeline::with_capacity(1);
        ping.cmd("PING");
        // What it says does not matter, and what the line has to say against it is heeded there.
        let _ = self.send(&ping, Channel::Lanes).await;
    }
}

/// What a server refused with, if it did.
pub(crate) fn refusal(answer: &Value) -> Option<ServerErrorKind> {
    match answer {
        Value::ServerError(error) => error.kind(),
        _ => None,
    }
}

/// Why there was no connection to be had.
fn without(error: PoolError) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        other => RedisError::from((ErrorKind::Io, "no connection", other.to_string())),
    }
}

fn dial(dialer: Arc<Dialer>) -> Dialling {
    async move { dialer.dial().await }.boxed().shared()
}

async fn look_after(line: Weak<Ends>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(ends) = line.upgrade() else { return };
        Line { ends }.look().await;
    }
}
