//! Which group the next notice belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, Zipf};

/// Groups that duplicates belong to when it is not said how many.
const GROUPS: u64 = 1_000;
/// Share of duplicates, in percent, when nothing is said.
const DUPLICATES: f64 = 95.0;

/// How much more often the first groups are met than the last ones: as it is with most things that people or programs do.
const ZIPF: f64 = 1.0;

/// How alike the notices are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MixArgs {
    /// Of 100 notices, how many belong to a group that is known; the others are each a group of their own. Default: 95, or 100 where --groups is given
    #[arg(long)]
    duplicates: Option<f64>,
    /// How many known groups there are [default: 1000]
    #[arg(long)]
    groups: Option<u64>,
    /// How much more often the first of them are met than the last: the exponent of a Zipf distribution, 0 for all alike
    #[arg(long, default_value_t = ZIPF)]
    zipf: f64,
    /// Every notice is a group of its own
    #[arg(long, conflicts_with_all = ["duplicates", "groups"])]
    unique: bool,
}

/// Draws groups. Cheap to clone; clones never draw the same new group.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    /// Of one notice, how much of it is a duplicate.
    duplicates: f64,
    known: Zipf<f64>,
    new: Arc<AtomicU64>,
}

impl Default for MixArgs {
    fn default() -> MixArgs {
        MixArgs { duplicates: None, groups: None, zipf: ZIPF, unique: false }
    }
}

impl MixArgs {
    /// The mix. New groups are numbered from `new_from`, which must be beyond what earlier runs came to.
    pub(crate) fn mix(&self, new_from: u64) -> anyhow::Result<Mix> {
        let groups = self.groups.unwrap_or(GROUPS);
        let percent = match (self.unique, self.duplicates, self.groups) {
            (true, ..) => 0.0,
            (false, Some(percent), _) => percent,
            (false, None, Some(_)) => 100.0,
            (false, None, None) => DUPLICATES,
        };
        ensure!((0.0..=100.0).contains(&percent), "--duplicates {percent} is no percentage: 0 to 100");
        ensure!((1..=new_from).contains(&groups), "--groups {groups} must be at least 1");
        let known = Zipf::new(groups as f64, self.zipf);
        let known = known.map_err(|error| anyhow::anyhow!("--zipf {}: {error}; 0 and more is right", self.zipf))?;
        Ok(Mix { duplicates: percent / 100.0, known, new: Arc::new(AtomicU64::new(new_from)) })
    }
}

impl Mix {
    /// The group of the next notice.
    pub(crate) fn draw(&self, random: &mut impl Rng) -> u64 {
        if random.random::<f64>() < self.duplicates {
            // From 1 up.
            return self.known.sample(random) as u64 - 1;
        }
        self.new.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::collections::{HashMap, HashSet};

    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    const NEW_FROM: u64 = 1 << 40;
    const DRAWS: usize = 200_000;

    fn draws(args: &MixArgs) -> Vec<u64> {
        let mix = args.mix(NEW_FROM).unwrap();
        let mut random = SmallRng::seed_from_u64(7);
        (0..DRAWS).map(|_| mix.draw(&mut random)).collect()
    }

    #[test]
    fn known_groups_are_met_as_often_as_their_rank_says() {
        let args = MixArgs { groups: Some(100), ..MixArgs::default() };
        let mut counts = HashMap::<u64, f64>::new();
        for group in draws(&args) {
            *counts.entry(group).or_default() += 1.0;
        }
        // By Zipf with exponent 1: 1/k of the first one's, whose share is 1 in the 100th harmonic number.
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (group, rank) in [(0, 1.0), (1, 2.0), (9, 10.0)] {
            let expected = DRAWS as f64 / harmonic / rank;
            let ratio = counts[&group] / expected;
            assert!((0.9..1.1).contains(&ratio), "group {group} was met {} times, not {expected}", counts[&group]);
        }
        assert!(counts.keys().all(|group| *group < 100));
    }

    #[test]
    fn with_exponent_0_all_known_groups_are_alike() {
        let groups = draws(&MixArgs { groups: Some(10), zipf: 0.0, ..MixArgs::default() });
        for group in 0..10 {
            let count = groups.iter().filter(|drawn| **drawn == group).count();
            assert!(count.abs_diff(DRAWS / 10) < DRAWS / 100, "group {group} was met {count} times");
        }
    }

    #[test]
    fn what_is_no_duplicate_is_a_group_of_its_own() {
        let groups = draws(&MixArgs { duplicates: Some(95.0), ..MixArgs::default() });
        let new: Vec<u64> = groups.into_iter().filter(|group| *group >= NEW_FROM).collect();
        assert!(new.len().abs_diff(DRAWS / 20) < DRAWS / 200, "{} of {DRAWS} are new", new.len());
        assert_eq!(new.iter().collect::<HashSet<_>>().len(), new.len());

        let unique = draws(&MixArgs { unique: true, ..MixArgs::default() });
        assert_eq!(unique.iter().collect::<HashSet<_>>().len(), DRAWS);
    }

    #[test]
    fn clones_never_draw_the_same_new_group() {
        let mix = MixArgs { unique: true, ..MixArgs::default() }.mix(NEW_FROM).unwrap();
        let (one, other) = (mix.clone(), mix);
        let mut random = SmallRng::seed_from_u64(7);
        assert_ne!(one.draw(&mut random), other.draw(&mut random));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert!(MixArgs { duplicates: Some(101.0), ..MixArgs::default() }.mix(NEW_FROM).is_err());
        assert!(MixArgs { zipf: -1.0, ..MixArgs::default() }.mix(NEW_FROM).is_err());
        assert!(MixArgs { groups: Some(0), ..MixArgs::default() }.mix(NEW_FROM).is_err());
    }
}
