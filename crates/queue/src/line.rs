//! The line to Redis: connected when it is first used, and anew when that has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use redis::aio::ConnectionLike;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

use crate::QueueError;
use crate::dialer::{Connected, Dialer};

/// How often it is looked whether the server is still the right one, and how often each server of a cluster is given
/// something to say: a connection that has quietly gone is only noticed by use.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A connection that stands or is being made; all who want it wait for the same one.
type Dialling = Shared<BoxFuture<'static, RedisResult<Connected>>>;

/// The line of one process to Redis. Clones share it.
#[derive(Clone)]
pub(crate) struct Line {
    shared: Arc<Ends>,
}

struct Ends {
    dialer: Arc<Dialer>,
    dialling: Mutex<Option<Dialling>>,
}

impl Line {
    /// A line that connects when it is first used. Needs to be called within a Tokio runtime.
    pub(crate) fn new(dialer: Dialer) -> Line {
        let is_single = matches!(dialer, Dialer::One(_));
        let shared = Arc::new(Ends { dialer: Arc::new(dialer), dialling: Mutex::default() });
        if !is_single {
            tokio::spawn(look_after(Arc::downgrade(&shared)));
        }
        Line { shared }
    }

    /// Whether keys may lie on different servers.
    pub(crate) fn is_cluster(&self) -> bool {
        self.shared.dialer.is_cluster()
    }

    /// Asks for something small and rare: it never stands behind a lane's megabytes.
    pub(crate) async fn ask_aside<T: FromRedisValue>(
        &self,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<T, QueueError> {
        let (dialling, connected) = self.connected().await.map_err(QueueError::redis(doing))?;
        let answer = match connected {
            Connected::Cluster(mut cluster) => command.query_async(&mut cluster).await,
            Connected::One(server) => {
                let mut connection = server.side.get().await.map_err(|source| {
                    // The server may have moved: the next one asks anew where it is.
                    self.hang_up(&dialling);
                    QueueError::Pool { doing, source }
                })?;
                command.query_async(&mut connection).await
            }
        };
        answer.inspect_err(|error| self.judge(&dialling, error)).map_err(QueueError::redis(doing))
    }

    async fn connected(&self) -> RedisResult<(Dialling, Connected)> {
        let dialling = self.lock().get_or_insert_with(|| dial(Arc::clone(&self.shared.dialer))).clone();
        match dialling.clone().await {
            Ok(connected) => Ok((dialling, connected)),
            Err(error) => {
                self.hang_up(&dialling);
                Err(error)
            }
        }
    }

    /// Ends a connection after an error that a new one may not have.
    fn judge(&self, dialling: &Dialling, error: &RedisError) {
        // A server that only reads is not the master any more.
        if error.is_unrecoverable_error() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
            self.hang_up(dialling);
        }
    }

    fn hang_up(&self, dialling: &Dialling) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|current| current.ptr_eq(dialling)) {
            *current = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Dialling>> {
        self.shared.dialling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look at a connection that stands.
    async fn look(&self) {
        let Some(dialling) = self.lock().clone() else { return };
        match dialling.peek() {
            Some(Ok(Connected::One(server))) if self.shared.dialer.has_moved(server).await => {
                tracing::info!("the sentinels name another master");
                self.hang_up(&dialling);
            }
            Some(Ok(Connected::Cluster(cluster))) => {
                let everywhere = (MultipleNodeRoutingInfo::AllNodes, Some(ResponsePolicy::AllSucceeded));
                // A server that does not answer is what the cluster is asked for when it matters.
                let _ = cluster.clone().route_command(redis::cmd("PING"), RoutingInfo::MultiNode(everywhere)).await;
            }
            _ => {}
        }
    }
}

fn dial(dialer: Arc<Dialer>) -> Dialling {
    async move { dialer.dial().await }.boxed().shared()
}

async fn look_after(line: Weak<Ends>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shared) = line.upgrade() else { return };
        Line { shared }.look().await;
    }
}

/// What lies in lanes.
impl ConnectionLike for Line {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let (dialling, connected) = self.connected().await?;
            let answer = match connected {
                Connected::One(mut server) => server.lanes.req_packed_command(command).await,
                Connected::Cluster(mut cluster) => cluster.req_packed_command(command).await,
            };
            let answer = answer.and_then(Value::extract_error);
            answer.inspect_err(|error| self.judge(&dialling, error))
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let (dialling, connected) = self.connected().await?;
            let answers = match connected {
                Connected::One(mut server) => server.lanes.req_packed_commands(pipeline, offset, count).await,
                Connected::Cluster(mut cluster) => match cluster.req_packed_commands(pipeline, offset, count).await {
                    Err(error) if is_redirection(&error) => one_by_one(&mut cluster, pipeline).await,
                    answers => answers,
                },
            };
            match &answers {
                Err(error) => self.judge(&dialling, error),
                Ok(answers) => answers.iter().filter_map(refusal).for_each(|error| self.judge(&dialling, &error)),
            }
            answers
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn refusal(answer: &Value) -> Option<RedisError> {
    match answer {
        Value::ServerError(error) => Some(RedisError::from(error.clone())),
        _ => None,
    }
}

fn is_redirection(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::Moved))
}

/// Sends the commands of a pipeline each on its own.
///
/// While a slot moves, its new server takes a command for it only when that is announced, one by one; the client
/// announces the first command of a pipeline alone. So long as nobody finishes the move, the whole would never be taken.
async fn one_by_one(cluster: &mut ClusterConnection, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
    let mut answers = Vec::with_capacity(pipeline.len());
    for command in pipeline.cmd_iter() {
        let answer = cluster.req_packed_command(command).await.and_then(Value::extract_error);
        answers.push(match answer {
            Ok(answer) => answer,
            // Those before may have been taken; sending them again is harmless.
            Err(error) if error.is_cluster_error() => return Err(error),
            Err(error) => Value::ServerError(error.try_into()?),
        });
    }
    Ok(answers)
}
