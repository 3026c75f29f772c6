//! Lanes: how work is divided, and what their keys are called.

use xxhash_rust::xxh3::xxh3_64;

/// Slots of a Redis Cluster.
const SLOT_COUNT: u32 = 16_384;

/// The lanes of an installation and the tag of each.
///
/// A tag is `<lane>.<k>`, with the smallest k for which the slot falls into the lane's own part of
/// the slots. Hashed names would crowd some servers of a cluster: 14 lanes of 64 on one of six instead of 11.
#[derive(Clone, Debug)]
pub struct Lanes {
    tags: Vec<String>,
}

impl Lanes {
    /// Lanes 0 to `count - 1`.
    pub fn new(count: u16) -> Lanes {
        assert!(count > 0, "there is at least one lane");
        let count = u32::from(count);
        let tags = (0..count)
            .map(|lane| {
                (0u32..)
                    .map(|k| format!("{lane}.{k}"))
                    .find(|tag| slot(tag.as_bytes()) * count / SLOT_COUNT == lane)
                    .expect("every part of the slots is hit by some k")
            })
            .collect();
        Lanes { tags }
    }

    /// How many lanes there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.tags.len()).expect("made from a u16")
    }

    /// The part of a lane's keys that decides on their slot.
    pub fn tag(&self, lane: u16) -> &str {
        &self.tags[usize::from(lane)]
    }

    /// The `k` lanes that a project may use: the best by rendezvous hashing, best first. Worth keeping.
    ///
    /// A project that floods fills these and no others.
    pub fn subset(&self, project_id: u64, k: u16) -> Vec<u16> {
        let mut lanes: Vec<(u64, u16)> = (0..self.count()).map(|lane| (score(project_id, lane), lane)).collect();
        lanes.sort_unstable_by(|a, b| b.cmp(a));
        lanes.truncate(usize::from(k.max(1)));
        lanes.into_iter().map(|(_, lane)| lane).collect()
    }

    /// The lane for a hash of class and culprit: equal hashes of a project always meet in one.
    pub fn lane_for(&self, project_id: u64, k: u16, hash: u64) -> u16 {
        let lanes = self.subset(project_id, k);
        let mut input = [0; 16];
        input[..8].copy_from_slice(&project_id.to_le_bytes());
        input[8..].copy_from_slice(&hash.to_le_bytes());
        let at = xxh3_64(&input) % lanes.len() as u64;
        lanes[usize::try_from(at).expect("below the number of lanes")]
    }
}

fn score(project_id: u64, lane: u16) -> u64 {
    let mut input = [0; 10];
    input[..8].copy_from_slice(&project_id.to_le_bytes());
    input[8..].copy_from_slice(&lane.to_le_bytes());
    xxh3_64(&input)
}

/// The slot of a key's tag: CRC16 (XMODEM) modulo the number of slots.
pub(crate) fn slot(tag: &[u8]) -> u32 {
    let mut crc: u16 = 0;
    for byte in tag {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    u32::from(crc) % SLOT_COUNT
}

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
    fn a_larger_subset_keeps_the_lanes_of_a_smaller_one() {
        let lanes = Lanes::new(64);
        assert_eq!(lanes.subset(7, 16)[..8], lanes.subset(7, 8));
    }
}
