//! Who holds which lane.

use std::collections::HashMap;

use notice::Accounted;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Writer, detached};
use crate::StoreError;
use crate::batch::Claim;

/// A lane that has just been claimed, and what has been accounted for in it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The proof.
    pub claim: Claim,
    /// How often in a row owners died with the lane in hand and nothing committed.
    pub attempts: u32,
    /// The accounted sets of all journals.
    pub cursors: Vec<Cursor>,
}

/// The accounted set of one journal in a lane.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The journal.
    pub journal: Uuid,
    /// The set.
    pub accounted: Accounted,
    /// Whether something of it came in within the last day.
    pub is_recent: bool,
}

/// A lane as its owner finds it when it extends its leases.
#[derive(Debug, Clone, Copy)]
pub struct Owned {
    /// The proof.
    pub claim: Claim,
    /// Whether dead records of the lane are to be tried again.
    pub has_retries: bool,
    /// Whether the lane needs no owner any more.
    pub is_retired: bool,
}

impl Writer {
    /// Claims up to `limit` lanes of these epochs that nobody holds, taken at random so that workers that start together spread out.
    ///
    /// Never one that is `in_hand`: two that work on one lane, each with a claim, would take it from each other, and the older one could go on
    /// to publish watermarks that the database does not have any more.
    pub async fn claim_free_lanes(
        &self,
        owner: &str,
        epochs: &[i32],
        in_hand: &[u16],
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let (writer, owner, epochs) = (self.clone(), owner.to_owned(), epochs.to_vec());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let in_hand: Vec<i32> = in_hand.iter().copied().map(i32::from).collect();
        detached(async move {
            let mut transaction = writer.begin().await?;
            let rows = sqlx::query_file!("queries/claim_free_lanes.sql", &epochs, owner, limit, &in_hand)
                .fetch_all(&mut *transaction)
                .await?;
            let claims =
                rows.into_iter().map(|row| Ok((claim(row.lane, row.epoch, row.token, row.accounted)?, row.attempts)));
            let claimed = with_cursors(&mut transaction, claims.collect::<Result<_, StoreError>>()?).await?;
            transaction.commit().await?;
            Ok(claimed)
        })
        .await
    }

    /// Claims a lane anew that this owner holds or nobody does; `None` when it belongs to somebody else.
    ///
    /// For when it is not known what was committed: the old token is worth nothing afterwards, so whatever is still
    /// under way with it cannot commit any more, and what is read now is the truth.
    pub async fn claim_again(&self, owner: &str, lane: u16) -> Result<Option<Claimed>, StoreError> {
        let (writer, owner) = (self.clone(), owner.to_owned());
        detached(async move {
            let mut transaction = writer.begin().await?;
            let row = sqlx::query_file!("queries/claim_lane.sql", i32::from(lane), owner)
                .fetch_optional(&mut *transaction)
                .await?;
            let claims = row.map(|row| {
                (Claim { lane, epoch: row.epoch, token: row.token, accounted: row.accounted }, row.attempts)
            });
            let claimed = with_cursors(&mut transaction, claims.into_iter().collect()).await?.pop();
            transaction.commit().await?;
            Ok(claimed)
        })
        .await
    }

    /// Extends the leases of idle lanes with one statement; answers what this owner holds now, idle or not.
    ///
    /// A lane that is just being committed is passed over: its commit extends the lease.
    pub async fn extend_lanes(&self, owner: &str, idle: &[u16]) -> Result<Vec<Owned>, StoreError> {
        let writer = self.clone();
        let owner = owner.to_owned();
        let idle: Vec<i32> = idle.iter().copied().map(i32::from).collect();
        detached(async move {
            let mut transaction = writer.begin().await?;
            // A lease that is lost with the server is only a lane claimed a little earlier by somebody else.
            sqlx::raw_sql("set local synchronous_commit = off").execute(&mut *transaction).await?;
            let rows = sqlx::query_file!("queries/extend_lanes.sql", owner, &idle).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            let owned = rows.into_iter().map(|row| {
                Ok(Owned {
                    claim: claim(row.lane, row.epoch, row.token, row.accounted)?,
                    has_retries: row.has_retries,
                    is_retired: row.is_retired,
                })
            });
            owned.collect()
        })
        .await
    }

    /// Gives lanes back: somebody else can have them at once.
    pub async fn release_lanes(&self, claims: &[Claim]) -> Result<(), StoreError> {
        let lanes: Vec<i32> = claims.iter().map(|claim| i32::from(claim.lane)).collect();
        let tokens: Vec<i64> = claims.iter().map(|claim| claim.token).collect();
        sqlx::query!(
            "update lane_state l set lease_until = clock_timestamp(), released = true
             from unnest($1::int[], $2::bigint[]) as given (lane, token)
             where l.lane = given.lane and l.token = given.token",
            &lanes,
            &tokens
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn claim(lane: i32, epoch: i32, token: i64, accounted: i64) -> Result<Claim, StoreError> {
    let lane = u16::try_from(lane).map_err(|_| StoreError::Invalid(format!("there is no lane {lane}")))?;
    Ok(Claim { lane, epoch, token, accounted })
}

/// The sets of lanes that have just been claimed, in one statement. Read after the claim, whoever had a lane before cannot change them any
/// more; and by the same transaction, so that no other server answers, which may have more of them, or less.
async fn with_cursors(connection: &mut PgConnection, claims: Vec<(Claim, i32)>) -> Result<Vec<Claimed>, StoreError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let epochs: Vec<i32> = claims.iter().map(|(claim, _)| claim.epoch).collect();
    let lanes: Vec<i32> = claims.iter().map(|(claim, _)| i32::from(claim.lane)).collect();
    let rows = sqlx::query!(
        r#"select lane, journal, wm, runs, updated_at > now() - interval '1 day' as "is_recent!"
           from journal_cursor where (epoch, lane) in (select epoch, lane from unnest($1::int[], $2::int[]) as given (epoch, lane))"#,
        &epochs,
        &lanes
    )
    .fetch_all(connection)
    .await?;
    let mut cursors: HashMap<i32, Vec<Cursor>> = HashMap::new();
    for row in rows {
        let accounted = Accounted::from_stored(row.wm, &row.runs);
        cursors.entry(row.lane).or_default().push(Cursor { journal: row.journal, accounted, is_recent: row.is_recent });
    }
    let claimed = claims.into_iter().map(|(claim, attempts)| Claimed {
        claim,
        attempts: u32::try_from(attempts).unwrap_or(0),
        cursors: cursors.remove(&i32::from(claim.lane)).unwrap_or_default(),
    });
    Ok(claimed.collect())
}
