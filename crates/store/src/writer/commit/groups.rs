//! Fingerprints and groups: finding, locking, making, adding up.

use std::collections::{BTreeMap, HashMap};

use notice::UserSketch;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{releases, signed};
use crate::batch::FingerprintBatch;
use crate::error::StoreError;
use crate::live_days::LiveDays;

/// A lane that inserts the same fingerprints at the same moment makes one more look necessary, not more.
const LOOKS_MAX: u32 = 5;

/// Of a fingerprint that more users met, those who come later are counted and not written down one by one.
const USERS_MET_MAX: u32 = 10_000;

/// The facet that says where a notice came from.
const ENVIRONMENT: &str = "environment";

/// Where the notices of a fingerprint went.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) project_id: i64,
    pub(super) fingerprint_id: i64,
    pub(super) group_id: i64,
    pub(super) is_fresh: bool,
    /// Why its group is open again, if this batch opened it.
    pub(super) back: Option<Back>,
    /// Only a notice of a release behind this place reopens its group.
    resolved_after: Option<i64>,
    /// Its group is muted for this environment.
    mute_environment: Option<String>,
}

/// Why a group is open again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// It was resolved, and a notice came.
    Returned,
    /// It was resolved, and a notice of a later release came.
    LaterRelease,
    /// It was muted until a time that has come.
    MuteTime,
    /// The same, and housekeep was there before this notice: the history has it.
    MuteOver,
    /// It was muted until there were so many notices more.
    MuteNotices,
    /// It was muted until so many users had met it.
    MuteUsers,
    /// It was muted for one environment, and a notice came from elsewhere.
    MuteElsewhere,
}

impl Back {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "came_back" => Self::Returned,
            "later_release" => Self::LaterRelease,
            "mute_time" => Self::MuteTime,
            "mute_over" => Self::MuteOver,
            "mute_notices" => Self::MuteNotices,
            "mute_users" => Self::MuteUsers,
            "mute_elsewhere" => Self::MuteElsewhere,
            _ => return None,
        })
    }

    /// What the history calls it, and what it says of it; nothing where it has said so.
    pub(super) fn happened(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Returned => ("reopened", "the error came back"),
            Self::LaterRelease => ("reopened", "the error came back in a later release"),
            Self::MuteTime => ("unmuted", "the time of its mute is over"),
            Self::MuteOver => return None,
            Self::MuteNotices => ("unmuted", "as many notices came as its mute allowed"),
            Self::MuteUsers => ("unmuted", "as many users met it as its mute allowed"),
            Self::MuteElsewhere => ("unmuted", "a notice came from another environment"),
        })
    }
}

/// Finds or makes the group of every fingerprint and adds this batch to its totals. The answer is in the order given.
pub(super) async fn write(
    tx: &mut PgConnection,
    groups: &[FingerprintBatch],
    live: LiveDays,
) -> Result<Vec<Placed>, StoreError> {
    let mut placed = place(tx, groups, live).await?;
    let users = users(tx, groups, &placed).await?;
    add(tx, groups, &mut placed, &users, live).await?;
    Ok(placed)
}

async fn place(tx: &mut PgConnection, groups: &[FingerprintBatch], live: LiveDays) -> Result<Vec<Placed>, StoreError> {
    let mut found: HashMap<(i64, [u8; 16]), Placed> = HashMap::with_capacity(groups.len());
    for _ in 0..LOOKS_MAX {
        let missing: Vec<&FingerprintBatch> = groups.iter().filter(|group| !found.contains_key(&key(group))).collect();
        if missing.is_empty() {
            break;
        }
        found.extend(resolve(tx, &missing).await?);
        let missing: Vec<&FingerprintBatch> =
            missing.into_iter().filter(|group| !found.contains_key(&key(group))).collect();
        if missing.is_empty() {
            break;
        }
        found.extend(insert(tx, &missing, live).await?);
    }
    groups
        .iter()
        .map(|group| found.get(&key(group)).cloned())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| StoreError::Invalid("a fingerprint can neither be found nor inserted".into()))
}

fn key(group: &FingerprintBatch) -> (i64, [u8; 16]) {
    (group.project_id, group.identity.fingerprint)
}

async fn resolve(
    tx: &mut PgConnection,
    groups: &[&FingerprintBatch],
) -> Result<Vec<((i64, [u8; 16]), Placed)>, StoreError> {
    let projects: Vec<i64> = groups.iter().map(|group| group.project_id).collect();
    let fingerprints: Vec<Vec<u8>> = groups.iter().map(|group| group.identity.fingerprint.to_vec()).collect();
    let rows = sqlx::query_file!("queries/batch/resolve.sql", &projects, &fingerprints).fetch_all(tx).await?;
    rows.into_iter()
        .map(|row| {
            let placed = Placed {
                project_id: row.project_id,
                fingerprint_id: row.id,
                group_id: row.group_id,
                is_fresh: false,
                back: None,
                resolved_after: row.resolved_after,
                mute_environment: row.mute_environment,
            };
            Ok(((row.project_id, hash(&row.fingerprint)?), placed))
        })
        .collect()
}

async fn insert(
    tx: &mut PgConnection,
    groups: &[&FingerprintBatch],
    live: LiveDays,
) -> Result<Vec<((i64, [u8; 16]), Placed)>, StoreError> {
    let column = |of: fn(&FingerprintBatch) -> &String| -> Vec<String> {
        groups.iter().map(|group| of(group).clone()).collect()
    };
    let projects: Vec<i64> = groups.iter().map(|group| group.project_id).collect();
    let fingerprints: Vec<Vec<u8>> = groups.iter().map(|group| group.identity.fingerprint.to_vec()).collect();
    let versions: Vec<i16> = groups.iter().map(|group| i16::from(group.identity.version)).collect();
    let counts: Vec<i64> = groups.iter().map(|group| signed(group.notice_count)).collect();
    let users: Vec<i32> = groups.iter().map(|group| estimate(&group.users)).collect();
    let first: Vec<OffsetDateTime> = groups.iter().map(|group| live.clamp(group.first_at_us)).collect();
    let last: Vec<OffsetDateTime> = groups.iter().map(|group| live.clamp(group.last_at_us)).collect();
    let rows = sqlx::query_file!(
        "queries/batch/fresh.sql",
        &projects,
        &fingerprints,
        &versions,
        &column(|group| &group.identity.parts_json),
        &column(|group| &group.identity.class),
        &column(|group| &group.identity.message),
        &column(|group| &group.identity.culprit),
        &column(|group| &group.identity.words),
        &counts,
        &users,
        &first,
        &last,
        &column(|group| &group.identity.frame_names.files),
        &column(|group| &group.identity.frame_names.functions),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let placed = Placed {
                project_id: row.project_id,
                fingerprint_id: row.id,
                group_id: row.group_id,
                is_fresh: true,
                back: None,
                resolved_after: None,
                mute_environment: None,
            };
            Ok(((row.project_id, hash(&row.fingerprint)?), placed))
        })
        .collect()
}

fn hash(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Invalid("a fingerprint is not 16 bytes long".into()))
}

/// Writes the sketches that changed; how many users each known group has now.
async fn users(
    tx: &mut PgConnection,
    groups: &[FingerprintBatch],
    placed: &[Placed],
) -> Result<BTreeMap<(i64, i64), i32>, StoreError> {
    let with_users = || groups.iter().zip(placed).filter(|(group, _)| group.users.estimate() > 0);
    let touched: std::collections::BTreeSet<(i64, i64)> = with_users()
        .filter(|(_, place)| !place.is_fresh)
        .map(|(_, place)| (place.project_id, place.group_id))
        .collect();

    let mut kept: HashMap<(i64, i64), (i64, UserSketch)> = HashMap::new();
    if !touched.is_empty() {
        let (projects, ids): (Vec<i64>, Vec<i64>) = touched.iter().copied().unzip();
        for row in sqlx::query_file!("queries/batch/sketches.sql", &projects, &ids).fetch_all(&mut *tx).await? {
            kept.insert((row.project_id, row.fingerprint_id), (row.group_id, UserSketch::from_bytes(&row.sketch)));
        }
    }

    let mut changed: BTreeMap<(i64, i64), Vec<u8>> = BTreeMap::new();
    let mut met = Met::default();
    for (group, place) in with_users() {
        let at = (place.project_id, place.fingerprint_id);
        let (_, sketch) = kept.entry(at).or_insert_with(|| (place.group_id, UserSketch::default()));
        met.add(group, place, sketch);
        let before = sketch.to_bytes();
        sketch.merge(&group.users);
        let after = sketch.to_bytes();
        if after != before {
            changed.insert(at, after);
        }
    }
    if !changed.is_empty() {
        let projects: Vec<i64> = changed.keys().map(|(project, _)| *project).collect();
        let fingerprints: Vec<i64> = changed.keys().map(|(_, fingerprint)| *fingerprint).collect();
        let sketches: Vec<Vec<u8>> = changed.into_values().collect();
        sqlx::query_file!("queries/batch/sketches_write.sql", &projects, &fingerprints, &sketches)
            .execute(&mut *tx)
            .await?;
    }

    met.write(tx).await?;

    let mut unions: BTreeMap<(i64, i64), UserSketch> = BTreeMap::new();
    for ((project_id, _), (group_id, sketch)) in kept {
        if touched.contains(&(project_id, group_id)) {
            unions.entry((project_id, group_id)).or_default().merge(&sketch);
        }
    }
    Ok(unions.into_iter().map(|(at, sketch)| (at, estimate(&sketch))).collect())
}

/// Which users met which fingerprints, as far as that may not be written yet.
#[derive(Default)]
struct Met {
    projects: Vec<i64>,
    users: Vec<i64>,
    fingerprints: Vec<i64>,
}

impl Met {
    /// Adds the users of a batch that `kept` cannot say it has.
    fn add(&mut self, group: &FingerprintBatch, place: &Placed, kept: &UserSketch) {
        if kept.estimate() >= USERS_MET_MAX {
            return;
        }
        for user in group.user_hashes.iter().filter(|user| !kept.holds(**user)) {
            self.projects.push(place.project_id);
            self.users.push(user.cast_signed());
            self.fingerprints.push(place.fingerprint_id);
        }
    }

    async fn write(self, tx: &mut PgConnection) -> Result<(), StoreError> {
        if self.users.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "insert into user_met (project_id, user_hash, fingerprint_id)
             select * from unnest($1::bigint[], $2::bigint[], $3::bigint[]) order by 1, 2, 3 on conflict do nothing",
            &self.projects,
            &self.users,
            &self.fingerprints
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}

fn estimate(users: &UserSketch) -> i32 {
    i32::try_from(users.estimate()).unwrap_or(i32::MAX)
}

async fn add(
    tx: &mut PgConnection,
    groups: &[FingerprintBatch],
    placed: &mut [Placed],
    users: &BTreeMap<(i64, i64), i32>,
    live: LiveDays,
) -> Result<(), StoreError> {
    let known: Vec<(&FingerprintBatch, &Placed)> =
        groups.iter().zip(placed.iter()).filter(|(_, place)| !place.is_fresh).collect();
    if known.is_empty() {
        return Ok(());
    }
    let projects: Vec<i64> = known.iter().map(|(_, place)| place.project_id).collect();
    let fingerprints: Vec<i64> = known.iter().map(|(_, place)| place.fingerprint_id).collect();
    let group_ids: Vec<i64> = known.iter().map(|(_, place)| place.group_id).collect();
    let counts: Vec<i64> = known.iter().map(|(group, _)| signed(group.notice_count)).collect();
    let first: Vec<OffsetDateTime> = known.iter().map(|(group, _)| live.clamp(group.first_at_us)).collect();
    let last: Vec<OffsetDateTime> = known.iter().map(|(group, _)| live.clamp(group.last_at_us)).collect();
    let may_reopen = may_reopen(tx, &known).await?;
    let is_elsewhere: Vec<bool> = known.iter().map(|(group, place)| is_elsewhere(group, place)).collect();
    let user_projects: Vec<i64> = users.keys().map(|(project, _)| *project).collect();
    let user_groups: Vec<i64> = users.keys().map(|(_, group)| *group).collect();
    let user_counts: Vec<i32> = users.values().copied().collect();
    let rows = sqlx::query_file!(
        "queries/batch/groups.sql",
        &projects,
        &fingerprints,
        &group_ids,
        &counts,
        &first,
        &last,
        &may_reopen,
        &is_elsewhere,
        &user_projects,
        &user_groups,
        &user_counts,
    )
    .fetch_all(tx)
    .await?;
    let added: i64 = rows.iter().map(|row| row.fingerprint_count).sum();
    if usize::try_from(added).ok() != Some(known.len()) {
        return Err(StoreError::MergedMeanwhile);
    }
    let back: HashMap<(i64, i64), Back> = rows
        .into_iter()
        .filter_map(|row| Some(((row.project_id, row.id), Back::parse(row.back.as_deref()?)?)))
        .collect();
    for place in placed.iter_mut().filter(|place| !place.is_fresh) {
        place.back = back.get(&(place.project_id, place.group_id)).copied();
    }
    Ok(())
}

/// Whether the notices of each fingerprint say that its group is not mended, if it is resolved: all do, unless it was resolved in a
/// release. Then those of a later one do.
async fn may_reopen(tx: &mut PgConnection, known: &[(&FingerprintBatch, &Placed)]) -> Result<Vec<bool>, StoreError> {
    let ruled: Vec<&FingerprintBatch> =
        known.iter().filter(|(_, place)| place.resolved_after.is_some()).map(|(group, _)| *group).collect();
    let places = if ruled.is_empty() { HashMap::new() } else { releases::places(tx, &ruled).await? };
    let is_later = |group: &FingerprintBatch, after: i64| {
        releases::of(group)
            .any(|version| places.get(&(group.project_id, version.to_owned())).is_some_and(|place| *place > after))
    };
    Ok(known.iter().map(|(group, place)| place.resolved_after.is_none_or(|after| is_later(group, after))).collect())
}

/// Whether some notices of a fingerprint came from elsewhere than where its group is muted.
fn is_elsewhere(group: &FingerprintBatch, place: &Placed) -> bool {
    let Some(environment) = &place.mute_environment else { return false };
    let inside = group.facets.get(&(ENVIRONMENT.to_owned(), environment.clone())).map_or(0, |facet| facet.notice_count);
    inside < group.notice_count
}
