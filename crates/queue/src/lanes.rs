//! Lanes: how work is divided, and what their keys are called.

use std::collections::BTreeMap;
use std::ops::Range;

use journal::LANES_MAX;
use notice::{LaneEpoch, Snapshot};
use xxhash_rust::xxh3::xxh3_64;

use crate::QueueError;

/// Slots of a Redis Cluster.
const SLOT_COUNT: u32 = 16_384;

/// The lanes of an installation, of all its epochs, and the tag of each.
///
/// A tag is `<lane>.<k>`, with the smallest k for which the slot falls into the lane's own part of
/// the slots, which the lanes of an epoch share out among themselves. Hashed names would crowd some servers of a
/// cluster: 14 lanes of 64 on one of six instead of 11.
#[derive(Clone, Debug)]
pub struct Lanes {
    epochs: Vec<LaneEpoch>,
    tags: BTreeMap<u16, String>,
}

impl Lanes {
    /// Lanes 0 to `count - 1`: those of an installation that has one epoch.
    pub fn new(count: u16) -> Lanes {
        assert!(count > 0, "there is at least one lane");
        let epoch = LaneEpoch { epoch: 0, first_lane: 0, lane_count: u32::from(count) };
        Lanes { tags: tags(&(0..count)).collect(), epochs: vec![epoch] }
    }

    /// The lanes of these epochs, oldest first; the last is the current one.
    pub fn of(epochs: &[LaneEpoch]) -> Result<Lanes, QueueError> {
        let mut tagged = BTreeMap::new();
        let mut before = None;
        for epoch in epochs {
            let lanes = range(epoch).filter(|_| before < Some(epoch.epoch));
            let lanes = lanes.filter(|lanes| tagged.range(lanes.clone()).next().is_none());
            let lanes = lanes.ok_or_else(|| wrong(&format!("epoch {}", epoch.epoch)))?;
            tagged.extend(tags(&lanes));
            before = Some(epoch.epoch);
        }
        if tagged.is_empty() {
            return Err(wrong("no epoch at all"));
        }
        Ok(Lanes { epochs: epochs.to_vec(), tags: tagged })
    }

    /// The epochs that a snapshot tells of. One from before there were epochs knows of epoch 0 alone.
    pub fn epochs_of(snapshot: &Snapshot) -> Vec<LaneEpoch> {
        match snapshot.lane_epochs.as_slice() {
            [] => vec![LaneEpoch { epoch: 0, first_lane: 0, lane_count: snapshot.lane_count }],
            epochs => epochs.to_vec(),
        }
    }

    /// The epochs, oldest first.
    pub fn epochs(&self) -> &[LaneEpoch] {
        &self.epochs
    }

    /// The numbers of an epoch's lanes; none if there cannot be such lanes.
    pub fn of_epoch(epoch: &LaneEpoch) -> Range<u16> {
        range(epoch).unwrap_or_default()
    }

    /// How many lanes there are, in all epochs together.
    pub fn count(&self) -> u16 {
        u16::try_from(self.tags.len()).expect("lanes are numbered by a u16")
    }

    /// Whether there is such a lane.
    pub fn has(&self, lane: u16) -> bool {
        self.tags.contains_key(&lane)
    }

    /// The lanes of the current epoch: what new records go to.
    pub fn current(&self) -> Range<u16> {
        self.epochs.last().and_then(range).expect("there is an epoch, and all were checked")
    }

    /// The part of a lane's keys that decides on their slot. There must be such a lane.
    pub fn tag(&self, lane: u16) -> &str {
        &self.tags[&lane]
    }

    /// The `k` lanes of the current epoch that a project may use: the best by rendezvous hashing, best first. Worth keeping.
    ///
    /// A project that floods fills these and no others.
    pub fn subset(&self, project_id: u64, k: u16) -> Vec<u16> {
        let mut lanes = self.scored(project_id);
        lanes.sort_unstable_by(|a, b| b.cmp(a));
        lanes.truncate(usize::from(k.max(1)));
        lanes.into_iter().map(|(_, lane)| lane).collect()
    }

    /// The lane for a hash of class and culprit: equal hashes of a project always meet in one.
    pub fn lane_for(&self, project_id: u64, k: u16, hash: u64) -> u16 {
        let mut input = [0; 16];
        input[..8].copy_from_slice(&project_id.to_le_bytes());
        input[8..].copy_from_slice(&hash.to_le_bytes());
        let mut lanes = self.scored(project_id);
        let subset = usize::from(k.max(1)).min(lanes.len());
        let at = usize::try_from(xxh3_64(&input) % subset as u64).expect("below the number of lanes");
        // The one at this place of the subset; the order of the others is not asked for.
        let (_, (_, lane), _) = lanes.select_nth_unstable_by(at, |a, b| b.cmp(a));
        *lane
    }

    /// The lanes of the current epoch, and how much each is this project's.
    fn scored(&self, project_id: u64) -> Vec<(u64, u16)> {
        self.current().map(|lane| (score(project_id, lane), lane)).collect()
    }
}

/// The numbers of an epoch's lanes; `None` if there cannot be such lanes.
fn range(epoch: &LaneEpoch) -> Option<Range<u16>> {
    let end = epoch.first_lane.checked_add(epoch.lane_count)?;
    let is_possible = epoch.lane_count > 0 && end <= u32::from(LANES_MAX);
    is_possible
        .then(|| u16::try_from(epoch.first_lane).ok().zip(u16::try_from(end).ok()))?
        .map(|(first, end)| first..end)
}

fn wrong(what: &str) -> QueueError {
    QueueError::Options(format!(
        "the lanes cannot be used ({what}): epochs follow each other, with lanes of their own below {LANES_MAX}"
    ))
}

/// The lanes of one epoch with their tags.
fn tags(lanes: &Range<u16>) -> impl Iterator<Item = (u16, String)> + use<> {
    let count = lanes.len() as u32;
    lanes.clone().zip(0..).map(move |(lane, part)| {
        let tag = (0u32..)
            .map(|k| format!("{lane}.{k}"))
            .find(|tag| slot(tag.as_bytes()) * count / SLOT_COUNT == part)
            .expect("every part of the slots is hit by some k");
        (lane, tag)
    })
}

fn score(project_id: u64, lane: u16) -> u64 {
    let mut input = [0; 10];
    input[..8].copy_from_slice(&project_id.to_le_bytes());
    input[8..].copy_from_slice(&lane.to_le_bytes());
    xxh3_64(&input)
}

/// The slot of a key's tag: CRC16 (XMODEM) modulo the number of slots.
pub(crate) fn slot(tag: &[u8]) -> u32 {
    let crc = tag.iter().fold(0_u16, |crc, byte| (crc << 8) ^ CRC16[usize::from((crc >> 8) ^ u16::from(*byte))]);
    u32::from(crc) % SLOT_COUNT
}

/// CRC16 of each byte: the tags of a thousand lanes take a million slots to find.
const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_slot_is_the_one_that_redis_computes() {
        // From the Redis Cluster specification: CRC16("123456789") = 0x31C3.
        assert_eq!(slot(b"123456789"), 0x31C3 % SLOT_COUNT);
    }

    #[test]
    fn every_lane_has_a_part_of_the_slots_of_its_own() {
        for count in [1, 2, 64, 100, 256] {
            let lanes = Lanes::new(count);
            for lane in 0..count {
                assert_eq!(slot(lanes.tag(lane).as_bytes()) * u32::from(count) / SLOT_COUNT, u32::from(lane));
            }
        }
    }

    #[test]
    fn six_masters_get_ten_or_eleven_of_64_lanes() {
        let lanes = Lanes::new(64);
        let mut per_master = [0; 6];
        for lane in 0..64 {
            per_master[(slot(lanes.tag(lane).as_bytes()) * 6 / SLOT_COUNT) as usize] += 1;
        }
        assert!(per_master.iter().all(|count| [10, 11].contains(count)), "{per_master:?}");
    }

    #[test]
    fn a_project_uses_k_lanes_and_all_of_them() {
        let lanes = Lanes::new(64);
        for project_id in 1..50 {
            let subset: HashSet<u16> = lanes.subset(project_id, 16).into_iter().collect();
            assert_eq!(subset.len(), 16);
            let used: HashSet<u16> = (0..2000).map(|hash| lanes.lane_for(project_id, 16, hash)).collect();
            assert_eq!(used, subset);
        }
        assert_eq!(lanes.subset(1, 200).len(), 64);
    }

    #[test]
    fn projects_are_spread_over_all_lanes() {
        let lanes = Lanes::new(64);
        let mut projects = [0; 64];
        for project_id in 0..1000 {
            for lane in lanes.subset(project_id, 16) {
                projects[usize::from(lane)] += 1;
            }
        }
        assert!(projects.iter().all(|count| (150..350).contains(count)), "{projects:?}");
    }

    #[test]
    fn a_new_epoch_has_lanes_and_keys_of_its_own_and_takes_all_that_is_new() {
        let epoch = |epoch, first_lane, lane_count| LaneEpoch { epoch, first_lane, lane_count };
        let epochs = [epoch(0, 0, 64), epoch(1, 64, 128), epoch(2, 192, 32)];
        let lanes = Lanes::of(&epochs).expect("they follow each other");
        assert_eq!((lanes.count(), lanes.current()), (224, 192..224));
        let distinct: HashSet<&str> = (0..224).map(|lane| lanes.tag(lane)).collect();
        assert_eq!(distinct.len(), 224);
        for LaneEpoch { first_lane, lane_count, .. } in epochs {
            for part in 0..lane_count {
                let tag = lanes.tag(u16::try_from(first_lane + part).expect("below 224"));
                assert_eq!(slot(tag.as_bytes()) * lane_count / SLOT_COUNT, part);
            }
        }
        let before = Lanes::of(&epochs[..1]).expect("it is what there always was");
        assert!(
            (0..64).all(|lane| before.tag(lane) == lanes.tag(lane) && before.tag(lane) == Lanes::new(64).tag(lane))
        );
        for project_id in 1..50 {
            assert!(lanes.subset(project_id, 16).iter().all(|lane| lanes.current().contains(lane)));
            assert!(lanes.current().contains(&lanes.lane_for(project_id, 16, 7)));
        }
    }

    #[test]
    fn epochs_that_contradict_each_other_are_refused() {
        let epoch = |epoch, first_lane, lane_count| LaneEpoch { epoch, first_lane, lane_count };
        for epochs in [
            vec![],
            vec![epoch(0, 0, 0)],
            vec![epoch(0, 0, 4097)],
            vec![epoch(0, u32::MAX, 2)],
            vec![epoch(0, 0, 64), epoch(0, 64, 64)],
            vec![epoch(0, 0, 64), epoch(1, 63, 64)],
        ] {
            assert!(Lanes::of(&epochs).is_err(), "{epochs:?}");
        }
        assert!(Lanes::of(&[epoch(0, 0, 4096)]).is_ok());
    }

    #[test]
    fn a_larger_subset_keeps_the_lanes_of_a_smaller_one() {
        let lanes = Lanes::new(64);
        assert_eq!(lanes.subset(7, 16)[..8], lanes.subset(7, 8));
    }
}
