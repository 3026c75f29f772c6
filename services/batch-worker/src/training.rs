//! Training dictionaries: what the bodies of an installation have in common, for gateways to pack them with.

use std::time::Duration;

use notice::Snapshot;
use queue::body::{self, DICTIONARY_BYTES_MAX, Dictionaries, Dictionary};
use queue::{Queue, QueueError};
use store::StoreError;
use store::housekeeper::Housekeeper;
use tokio::time::Instant;

/// Pause between looks at whether a dictionary, or a better one, can be trained.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// The same while there is none yet.
const FIRST_LOOK_EVERY: Duration = Duration::from_secs(30);

/// Fewer bodies say nothing about those to come.
const BODIES_MIN: usize = 200;

/// One body in this many is not trained on, but packed to see what it takes.
const HELD_BACK: usize = 5;

/// A new dictionary must take at most this part of what the present one takes, in percent: each is kept for ever.
const BETTER_PERCENT: usize = 80;

/// When to look next.
pub(crate) struct Training {
    next_look: Instant,
}

impl Training {
    /// Begins with a look.
    pub(crate) fn new() -> Self {
        Self { next_look: Instant::now() }
    }

    /// Trains a dictionary when it is time and when it is worth it.
    pub(crate) async fn look(&mut self, housekeeper: &mut Housekeeper) -> Result<(), StoreError> {
        if Instant::now() < self.next_look {
            return Ok(());
        }
        let present = housekeeper.newest_dictionary().await?;
        self.next_look = Instant::now() + if present.is_some() { LOOK_EVERY } else { FIRST_LOOK_EVERY };
        let bodies = housekeeper.bodies_to_train().await?;
        if bodies.len() >= BODIES_MIN {
            self.next_look = Instant::now() + LOOK_EVERY;
        }
        let present = present.and_then(|present| Dictionaries::default().learn(present.codec, &present.bytes));
        let trained =
            tokio::task::spawn_blocking(move || better(&bodies, present)).await.map_err(StoreError::TaskDied)?;
        let Some(Trained { bytes, packed_percent }) = trained else { return Ok(()) };
        // A number that was never used, also not before a database was set back: records of that time may still name it.
        let codec = rand::random_range(1..=i16::MAX).unsigned_abs();
        if housekeeper.add_dictionary(codec, &bytes).await? {
            tracing::info!(codec, bytes = bytes.len(), packed_percent, "dictionary trained");
        }
        Ok(())
    }
}

/// The dictionary that is published: what gateways pack with.
pub(crate) async fn published(queue: &Queue) -> Result<Option<(u16, Vec<u8>)>, QueueError> {
    Ok(queue.get_snapshot().await?.and_then(dictionary_of))
}

/// The dictionary of a snapshot.
pub(crate) fn dictionary_of(snapshot: Snapshot) -> Option<(u16, Vec<u8>)> {
    let dictionary = snapshot.dictionary?;
    let codec = u16::try_from(dictionary.codec).ok()?;
    (!dictionary.bytes.is_empty() && dictionary.bytes.len() <= DICTIONARY_BYTES_MAX)
        .then_some((codec, dictionary.bytes))
}

/// A dictionary that is published and not in the database, because that was set back, is put there again: gateways pack with it.
pub(crate) async fn restore_published(housekeeper: &mut Housekeeper, queue: &Queue) -> Result<(), StoreError> {
    let Ok(Some((codec, bytes))) = published(queue).await else { return Ok(()) };
    if housekeeper.add_dictionary(codec, &bytes).await? {
        tracing::warn!(codec, "the published dictionary was not in the database any more: put there again");
    }
    Ok(())
}

struct Trained {
    bytes: Vec<u8>,
    /// What bodies take with it, in percent of what they take as they are.
    packed_percent: usize,
}

/// A dictionary for bodies like these, if it is better than what there is.
fn better(bodies: &[Vec<u8>], present: Option<Dictionary>) -> Option<Trained> {
    if bodies.len() < BODIES_MIN {
        return None;
    }
    let (held_back, trained_on): (Vec<_>, Vec<_>) =
        bodies.iter().cloned().enumerate().partition(|(place, _)| place % HELD_BACK == 0);
    let held_back: Vec<Vec<u8>> = held_back.into_iter().map(|(_, body)| body).collect();
    let trained_on: Vec<Vec<u8>> = trained_on.into_iter().map(|(_, body)| body).collect();
    let bytes = body::train(&trained_on)?;
    let candidate = Dictionaries::default().learn(1, &bytes)?;
    let with = |pack: &dyn Fn(&[u8]) -> Vec<u8>| held_back.iter().map(|body| pack(body).len()).sum::<usize>();
    let as_it_is = with(&|body| present.map_or_else(|| body::compress(body), |present| present.compress(body)));
    let with_it = with(&|body| candidate.compress(body));
    let unpacked: usize = held_back.iter().map(Vec::len).sum();
    (with_it * 100 <= as_it_is * BETTER_PERCENT)
        .then(|| Trained { bytes, packed_percent: with_it * 100 / unpacked.max(1) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use sha2::Digest as _;

    use super::*;

    /// Bodies with lines that all of them share and that have nothing in common with each other.
    fn bodies(of: u8, count: u64) -> Vec<Vec<u8>> {
        let word = |at: u64| sha2::Sha256::digest([&[of], at.to_le_bytes().as_slice()].concat());
        let frames: String = (0..30).map(|at| format!("app/{:x?}.rb\n", word(at).as_slice())).collect();
        (0..count).map(|n| format!("order {n} of {}\n{frames}", n * 7919 % 1009).into_bytes()).collect()
    }

    #[test]
    fn a_dictionary_comes_when_there_is_something_to_learn_and_stays_while_it_is_good() {
        assert!(better(&bodies(1, BODIES_MIN as u64 - 1), None).is_none());
        let first = better(&bodies(1, 500), None).unwrap();
        assert!(first.packed_percent < 20, "{} %", first.packed_percent);
        let present = Dictionaries::default().learn(7, &first.bytes).unwrap();
        assert!(better(&bodies(1, 600), Some(present)).is_none());
        assert!(better(&bodies(2, 500), Some(present)).is_some());
    }
}
