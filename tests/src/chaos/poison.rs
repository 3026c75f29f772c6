//! Entries that no gateway made, put into the lanes of Redis. Each must end in `dead_notice`, and hold up nobody.
//!
//! The format is the documented one: a stream `<prefix>:q:{<tag>}` of entries with the fields `j` (journal), `s` (number),
//! `b` (everything below is gone) and `p` (the record), and a record of `length u32 | crc32c u32 | version u8 | kind u8 | codec u16 |
//! lane u16 | number u64 | project u64 | version of the fold key u8 | fold key [16] | accepted at i64 | id [16] | body`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::{PgPool, Row as _};
use uuid::Uuid;

/// Lanes of an installation that nobody has told otherwise.
const LANES: u16 = 64;

/// Lanes that are poisoned at a time.
const LANES_AT_ONCE: usize = 12;

/// Entries of one pipeline: some are bombs.
const ADDED_AT_ONCE: usize = 100;

/// Redis may be hit by a fault of its own: then what was to be put into it comes again at the end.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Everything that was put into lanes.
#[derive(Debug)]
pub(super) struct Poison {
    redis_url: String,
    prefix: String,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    stream: String,
    lane: u16,
    /// Under what it is accounted for.
    journal: Uuid,
    fields: Vec<(&'static str, Vec<u8>)>,
    /// What `dead_notice` must say.
    reason: &'static str,
}

impl Poison {
    pub(super) fn new(redis_url: &str, prefix: &str) -> Poison {
        Poison { redis_url: redis_url.to_owned(), prefix: prefix.to_owned(), entries: Mutex::default() }
    }

    /// Puts some of every kind into some lanes; answers how many.
    pub(super) async fn spread(&self) -> usize {
        let lanes = rand::seq::index::sample(&mut rand::rng(), usize::from(LANES), LANES_AT_ONCE);
        let lanes = lanes.into_iter().map(|lane| u16::try_from(lane).expect("a lane's number is small"));
        let entries: Vec<Entry> = lanes.flat_map(|lane| of_every_kind(lane, &self.stream(lane))).collect();
        self.entries.lock().expect("nobody panics").extend(entries.iter().cloned());
        let _ = tokio::time::timeout(ANSWER_LIMIT, self.add(&entries)).await;
        entries.len()
    }

    /// Puts all of it into the lanes once more: Redis has forgotten some, and what comes twice counts once.
    pub(super) async fn spread_again(&self) {
        let entries = self.entries.lock().expect("nobody panics").clone();
        for some in entries.chunks(ADDED_AT_ONCE) {
            self.add(some).await.expect("redis answers");
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.entries.lock().expect("nobody panics").len()
    }

    /// Those that are not in `dead_notice`, or for another reason.
    pub(super) async fn faults(&self, pool: &PgPool) -> Vec<String> {
        let rows = sqlx::query("select journal, lane, reason from dead_notice").fetch_all(pool).await;
        let rows = rows.expect("dead notices can be read");
        let dead: BTreeMap<(Uuid, i32), String> =
            rows.iter().map(|row| ((row.get("journal"), row.get("lane")), row.get("reason"))).collect();
        let entries = self.entries.lock().expect("nobody panics");
        let faults = entries.iter().filter_map(|entry| match dead.get(&(entry.journal, i32::from(entry.lane))) {
            Some(reason) if reason == entry.reason => None,
            Some(reason) => Some(format!("a poison in lane {} is dead as {reason}, not {}", entry.lane, entry.reason)),
            None => Some(format!("a poison in lane {} ({}) is not dead", entry.lane, entry.reason)),
        });
        faults.collect()
    }

    fn stream(&self, lane: u16) -> String {
        format!("{}:q:{{{}}}", self.prefix, tag(lane))
    }

    async fn add(&self, entries: &[Entry]) -> redis::RedisResult<()> {
        let mut pipeline = redis::pipe();
        for entry in entries {
            let add = pipeline.cmd("XADD").arg(&entry.stream).arg("*");
            for (name, value) in &entry.fields {
                add.arg(name).arg(value);
            }
            add.ignore();
        }
        pipeline.query_async(&mut self.connect().await?).await
    }

    async fn connect(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        redis::Client::open(self.redis_url.as_str())?.get_multiplexed_async_connection().await
    }
}

/// The part of a stream's name that decides on its slot: `<lane>.<k>` with the smallest k that leads into the lane's own part of the
/// slots of a cluster.
fn tag(lane: u16) -> String {
    const SLOTS: u32 = 16_384;
    let is_in_its_part =
        |tag: &String| u32::from(crc16(tag.as_bytes())) % SLOTS * u32::from(LANES) / SLOTS == u32::from(lane);
    (0..).map(|k: u32| format!("{lane}.{k}")).find(is_in_its_part).expect("some k leads there")
}

/// CRC-16/XMODEM, as Redis computes slots.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8)
            .fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

/// One of each kind, each in a journal of its own.
fn of_every_kind(lane: u16, stream: &str) -> Vec<Entry> {
    const NOBODYS_PROJECT: u64 = 999_999;
    let noise: Vec<u8> = (0..300).map(|_| rand::random()).collect();
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).expect("zeros can be compressed");
    let sound = Record {
        lane,
        kind: NOTICE,
        number: 1,
        project_id: 1,
        body: zstd::bulk::compress(b"", 1).expect("nothing fits"),
    };
    let mut changed = sound.encode();
    changed[60] ^= 1;
    let first = |reason, record| (reason, 1, 1, record);
    let kinds: Vec<(&'static str, u64, u64, Option<Vec<u8>>)> = vec![
        first("damaged_record", Some(noise.clone())),
        first("damaged_record", Some(changed)),
        first("malformed_entry", None),
        first("undecodable_body", Some(Record { body: noise, ..sound.clone() }.encode())),
        first("undecodable_body", Some(Record { body: bomb, ..sound.clone() }.encode())),
        first("unknown_kind", Some(Record { kind: NOBODY_KNOWS, ..sound.clone() }.encode())),
        first("unknown_project", Some(Record { project_id: NOBODYS_PROJECT, ..sound.clone() }.encode())),
        first("misplaced_record", Some(Record { lane: lane + 1, ..sound.clone() }.encode())),
        // It says that 39 others before it are gone, which becomes an incident.
        ("unknown_kind", 50, 40, Some(Record { kind: NOBODY_KNOWS, number: 50, ..sound }.encode())),
    ];
    kinds
        .into_iter()
        .map(|(reason, number, base, record)| {
            let journal = Uuid::new_v4();
            let text = |text: &dyn ToString| text.to_string().into_bytes();
            let mut fields = vec![("j", text(&journal)), ("s", text(&number)), ("b", text(&base))];
            fields.extend(record.map(|record| ("p", record)));
            Entry { stream: stream.to_owned(), lane, journal, fields, reason }
        })
        .collect()
}

/// Kinds of records.
const NOTICE: u8 = 1;
const NOBODY_KNOWS: u8 = 99;

/// What differs between the records of gateways.
#[derive(Clone, Debug)]
struct Record {
    lane: u16,
    kind: u8,
    number: u64,
    project_id: u64,
    body: Vec<u8>,
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        const PREFIX_BYTES: usize = 8;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let mut bytes = vec![0; PREFIX_BYTES];
        bytes.extend([1, self.kind]);
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(self.lane.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.project_id.to_le_bytes());
        bytes.push(1);
        bytes.extend([7; 16]);
        bytes.extend(i64::try_from(now.as_micros()).expect("less than an age").to_le_bytes());
        bytes.extend(Uuid::now_v7().as_bytes());
        bytes.extend(&self.body);
        let length = u32::try_from(bytes.len() - PREFIX_BYTES).expect("it is short");
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[PREFIX_BYTES..]);
        bytes[4..PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_redis() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }
}
