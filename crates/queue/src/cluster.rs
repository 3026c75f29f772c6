//! A Redis cluster: a line to each of its servers, and which of them has which slot.
//!
//! The client library has a connection to a cluster, too. It is not used: all requests pass through one task, which lets them
//! stand while it looks up slots, and may wait there for a lock that one of those standing was just given. Under load, with
//! slots on the move, it stood still for ever. Here a server that is away holds up its own lanes and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use redis::{
    Arg, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind,
    TlsCertificates, Value,
};

use crate::dialer::{Dialer, client};
use crate::lanes::slot;
use crate::line::{Channel, Line, refusal};

/// A command is sent on to another server so often; then the answer is given as it is.
const REDIRECTIONS_MAX: usize = 5;

/// Pause between two looks at who has which slot.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Longest wait for what one server says of that.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is looked without a reason: servers come and go.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A server, as the cluster names it.
type Name = (String, u16);

/// A cluster. Clones share their lines.
#[derive(Clone)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    /// How to talk to each of them.
    sample: Client,
    /// Those that are known from the address.
    first: Vec<Name>,
    view: Mutex<View>,
    /// When the last look ended; one at a time.
    looking: tokio::sync::Mutex<Option<Instant>>,
    /// Whose turn it is to be asked: one that is cut off may be wrong for long.
    turn: AtomicUsize,
}

/// The cluster as it was when last looked at.
#[derive(Default)]
struct View {
    lines: BTreeMap<Name, Line>,
    ranges: Vec<Range>,
    /// Slots that were found elsewhere since.
    moved: HashMap<u16, Name>,
}

/// Slots and their master.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Name,
}

/// Where a server says that a command belongs.
struct Redirection {
    to: Name,
    /// Not for good: the slot is on the move, and the other server takes what is announced.
    is_ask: bool,
}

impl Cluster {
    /// Does not touch the network. Needs to be called within a Tokio runtime.
    pub(crate) fn new(servers: &[ConnectionInfo], certificates: Option<TlsCertificates>) -> RedisResult<Cluster> {
        let sample = client(servers.first().expect("an address names a server").clone(), certificates)?;
        let first = servers.iter().filter_map(|server| match server.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host.clone(), *port)),
            _ => None,
        });
        let shared = Shared {
            sample,
            first: first.collect(),
            view: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
        };
        let shared = Arc::new(shared);
        tokio::spawn(look_after(Arc::downgrade(&shared)));
        Ok(Cluster { shared })
    }

    /// Sends commands, each to the server that has its key, and answers what each was answered, refusals among them.
    pub(crate) async fn send(&self, pipeline: &Pipeline, channel: Channel) -> RedisResult<Vec<Value>> {
        let mut by_slot: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (at, command) in pipeline.cmd_iter().enumerate() {
            by_slot.entry(slot_of(command)).or_default().push(at);
        }
        if by_slot.len() <= 1 {
            let slot = by_slot.into_keys().next().unwrap_or_default();
            return self.send_to(slot, pipeline, channel).await;
        }
        let parts = by_slot.iter().map(|(slot, places)| async move {
            let part = pick(pipeline, places, |_| {});
            self.send_to(*slot, &part, channel).await
        });
        let answered = try_join_all(parts).await?;
        let mut answers = vec![Value::Nil; pipeline.len()];
        for (places, part) in by_slot.values().zip(answered) {
            places.iter().zip(part).for_each(|(place, answer)| answers[*place] = answer);
        }
        Ok(answers)
    }

    /// A line to each server that has slots.
    pub(crate) async fn masters(&self) -> RedisResult<Vec<Line>> {
        if self.view().ranges.is_empty() {
            self.look().await?;
        }
        let mut names: Vec<Name> = self.view().ranges.iter().map(|range| range.master.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.line(name)).collect()
    }

    /// Sends commands to the server that has a slot, and where that one sends them on.
    async fn send_to(&self, slot: u16, pipeline: &Pipeline, channel: Channel) -> RedisResult<Vec<Value>> {
        let mut server = self.owner(slot).await?;
        let mut answers = self.ask(&server, pipeline, channel).await?;
        for _ in 0..REDIRECTIONS_MAX {
            let elsewhere: Vec<usize> = (0..answers.len()).filter(|at| is_redirection(&answers[*at])).collect();
            // The last one is the newest.
            let Some(last) = elsewhere.last() else { break };
            let Some(Redirection { to, is_ask }) = redirection(&answers[*last], &server) else { break };
            let again = match is_ask {
                false => {
                    self.view().moved.insert(slot, to.clone());
                    pick(pipeline, &elsewhere, |_| {})
                }
                // One announcement holds for one command.
                true => pick(pipeline, &elsewhere, |again| {
                    again.cmd("ASKING");
                }),
            };
            let answered = self.ask(&to, &again, channel).await?;
            let answered = answered.into_iter().skip(usize::from(is_ask)).step_by(1 + usize::from(is_ask));
            elsewhere.into_iter().zip(answered).for_each(|(at, answer)| answers[at] = answer);
            server = to;
        }
        if answers.iter().any(|answer| refusal(answer) == Some(ServerErrorKind::ClusterDown)) {
            self.look_soon();
        }
        Ok(answers)
    }

    async fn ask(&self, server: &Name, pipeline: &Pipeline, channel: Channel) -> RedisResult<Vec<Value>> {
        // Where it does not answer another may have its slots by now.
        self.line(server.clone())?.send(pipeline, channel).await.inspect_err(|_| self.look_soon())
    }

    async fn owner(&self, slot: u16) -> RedisResult<Name> {
        if let Some(owner) = self.view().owner(slot) {
            return Ok(owner);
        }
        self.look().await?;
        let nobody = || RedisError::from((ErrorKind::Io, "no server has the slot", slot.to_string()));
        self.view().owner(slot).ok_or_else(nobody)
    }

    fn line(&self, name: Name) -> RedisResult<Line> {
        let mut view = self.view();
        if let Some(line) = view.lines.get(&name) {
            return Ok(line.clone());
        }
        let info = self.shared.sample.get_connection_info();
        let address = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: name.0.clone(), port: name.1, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(name.0.clone(), name.1),
        };
        let line = Line::new(Dialer::one(info.clone().set_addr(address), None)?);
        view.lines.insert(name, line.clone());
        Ok(line)
    }

    fn look_soon(&self) {
        let cluster = self.clone();
        tokio::spawn(async move { cluster.look().await });
    }

    /// Asks one server who has which slot; the next one when it does not answer.
    async fn look(&self) -> RedisResult<()> {
        let mut looked_at = self.shared.looking.lock().await;
        if looked_at.is_some_and(|at| at.elapsed() < LOOK_PAUSE) {
            return Ok(());
        }
        let mut names: Vec<Name> = self.view().ranges.iter().map(|range| range.master.clone()).collect();
        names.extend(self.shared.first.iter().cloned());
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed) % names.len();
        names.rotate_left(turn);
        let mut error = None;
        for name in names {
            match self.ask_for_slots(&name).await {
                Ok(ranges) => {
                    self.view().set(ranges, &self.shared.first);
                    error = None;
                    break;
                }
                Err(new) => error = Some(new),
            }
        }
        *looked_at = Some(Instant::now());
        error.map_or(Ok(()), Err)
    }

    async fn ask_for_slots(&self, name: &Name) -> RedisResult<Vec<Range>> {
        let mut question = Pipeline::with_capacity(1);
        question.cmd("CLUSTER").arg("SLOTS");
        let line = self.line(name.clone())?;
        let asked = tokio::time::timeout(LOOK_TIMEOUT, line.send(&question, Channel::Side)).await;
        let silent = |_| RedisError::from((ErrorKind::Io, "a server does not say who has which slot"));
        let mut answers = asked.map_err(silent)??;
        let ranges = ranges(answers.pop().unwrap_or(Value::Nil).extract_error()?, name);
        if ranges.is_empty() {
            return Err(RedisError::from((ErrorKind::Client, "the server belongs to no cluster that has slots")));
        }
        Ok(ranges)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.shared.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn owner(&self, slot: u16) -> Option<Name> {
        let range = || self.ranges.iter().find(|range| (range.first..=range.last).contains(&slot));
        self.moved.get(&slot).or_else(|| range().map(|range| &range.master)).cloned()
    }

    fn set(&mut self, ranges: Vec<Range>, first: &[Name]) {
        self.lines.retain(|name, _| first.contains(name) || ranges.iter().any(|range| range.master == *name));
        self.ranges = ranges;
        self.moved.clear();
    }
}

/// Some commands of a pipeline, and something before each.
fn pick(pipeline: &Pipeline, places: &[usize], before: impl Fn(&mut Pipeline)) -> Pipeline {
    let mut picked = Pipeline::with_capacity(2 * places.len());
    let mut places = places.iter().copied().peekable();
    for (at, command) in pipeline.cmd_iter().enumerate() {
        if places.next_if_eq(&at).is_some() {
            before(&mut picked);
            picked.add_command(command.clone());
        }
    }
    picked
}

fn is_redirection(answer: &Value) -> bool {
    matches!(refusal(answer), Some(ServerErrorKind::Moved | ServerErrorKind::Ask))
}

/// Reads a redirection of this server: `<slot> <host>:<port>`, without host when it is the server's own.
fn redirection(answer: &Value, by: &Name) -> Option<Redirection> {
    let Value::ServerError(error) = answer else { return None };
    let (host, port) = error.details()?.split_whitespace().nth(1)?.rsplit_once(':')?;
    let host = if host.is_empty() { &by.0 } else { host };
    Some(Redirection { to: (host.to_owned(), port.parse().ok()?), is_ask: error.kind() == Some(ServerErrorKind::Ask) })
}

/// Reads the answer of this server to CLUSTER SLOTS; a master that it cannot name has no slots for us.
fn ranges(answer: Value, by: &Name) -> Vec<Range> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    ranges.into_iter().filter_map(|range| read_range(range, by)).collect()
}

fn read_range(range: Value, by: &Name) -> Option<Range> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else { return None };
    let [host, Value::Int(port), ..] = &master[..] else { return None };
    let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
    let host = match host.as_deref() {
        Some("?") => return None,
        None | Some("") => by.0.clone(),
        Some(host) => host.to_owned(),
    };
    let number = |number: &i64| u16::try_from(*number).ok();
    Some(Range { first: number(first)?, last: number(last)?, master: (host, number(port)?) })
}

/// The slot of the key of a command: all of ours have one key, and it comes first.
fn slot_of(command: &Cmd) -> u16 {
    match command.args_iter().nth(1) {
        Some(Arg::Simple(key)) => slot_of_key(key),
        _ => 0,
    }
}

/// Of a key with braces only what stands between them counts.
fn slot_of_key(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    u16::try_from(slot(tag.unwrap_or(key))).expect("there are 16,384 slots")
}

async fn look_after(cluster: Weak<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shared) = cluster.upgrade() else { return };
        if !shared.view.lock().unwrap_or_else(PoisonError::into_inner).ranges.is_empty() {
            let _ = Cluster { shared }.look().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str, port: u16) -> Name {
        (host.to_owned(), port)
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn said(first: i64, last: i64, host: Value, port: i64) -> Value {
        let server = |host, port| Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])]);
        Value::Array(vec![Value::Int(first), Value::Int(last), server(host, port), server(text("replica"), 1)])
    }

    #[test]
    fn the_slots_of_a_cluster_are_read_with_their_masters() {
        let answer = Value::Array(vec![
            said(0, 5460, text("10.0.0.1"), 7000),
            said(5461, 10922, Value::Nil, 7001),
            said(10923, 12000, text(""), 7002),
            said(12001, 16383, text("?"), 7003),
        ]);
        let by = name("asked.example", 6379);
        let ranges = ranges(answer, &by);
        let expected =
            [(0, 5460, "10.0.0.1", 7000), (5461, 10922, "asked.example", 7001), (10923, 12000, "asked.example", 7002)];
        let expected = expected.map(|(first, last, host, port)| Range { first, last, master: name(host, port) });
        assert_eq!(ranges, expected);
        let mut view = View { ranges, ..View::default() };
        assert_eq!((view.owner(5460), view.owner(16000)), (Some(name("10.0.0.1", 7000)), None));
        view.moved.insert(5460, name("10.0.0.9", 7009));
        assert_eq!(view.owner(5460), Some(name("10.0.0.9", 7009)));
    }

    #[test]
    fn redirections_are_read() {
        let by = name("asked.example", 6379);
        for (line, to, is_ask) in [
            ("-MOVED 3999 127.0.0.1:6381\r\n", name("127.0.0.1", 6381), false),
            ("-ASK 3999 redis-1.example:6381\r\n", name("redis-1.example", 6381), true),
            ("-MOVED 3999 :6381\r\n", name("asked.example", 6381), false),
            ("-ASK 3999 dead::beef:6381\r\n", name("dead::beef", 6381), true),
        ] {
            let answer = redis::parse_redis_value(line.as_bytes()).expect("a line of the protocol");
            assert!(is_redirection(&answer), "{line}");
            let found = redirection(&answer, &by).expect(line);
            assert_eq!((found.to, found.is_ask), (to, is_ask));
        }
        let other = redis::parse_redis_value(b"-OOM command not allowed\r\n").expect("a line of the protocol");
        assert!(!is_redirection(&other));
    }

    #[test]
    fn only_what_stands_between_braces_decides_on_the_slot() {
        // From the Redis Cluster specification.
        assert_eq!(slot_of_key(b"{user1000}.following"), slot_of_key(b"user1000"));
        assert_eq!(slot_of_key(b"foo{{bar}}zap"), slot_of_key(b"{bar"));
        assert_ne!(slot_of_key(b"foo{}{bar}"), slot_of_key(b"bar"));
        assert_eq!(slot_of_key(b"123456789"), 0x31C3);
    }
}
