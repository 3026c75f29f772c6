//! Groups that are deleted: hidden at once, and taken away by housekeep.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::groups::{conflict, denied, lock, missing};
use super::{Act, Order, Outcome, may_act};
use crate::StoreError;

/// Somebody deletes a group with its notices, and with the groups that were merged into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeleteGroup {
    /// The group, of the order's project.
    pub group_id: i64,
    /// The version of the group that the person saw; 0: it is deleted as it is.
    pub expected_version: i32,
}

impl Act for DeleteGroup {
    fn kind(&self) -> &'static str {
        "delete"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(denied());
        }
        let Some(group) = lock(transaction, order, &[self.group_id]).await?.pop() else {
            return Ok(missing());
        };
        if let Some(conflict) = conflict(transaction, order, &group, self.expected_version).await? {
            return Ok(conflict);
        }
        // A batch that waits for the group's lock finds it deleted and looks again: by then its fingerprints are new ones.
        sqlx::query!(
            "update fingerprint set fingerprint = uuid_send(gen_random_uuid()), deleted_at = now()
             where project_id = $1 and group_id = $2",
            order.project_id,
            self.group_id
        )
        .execute(&mut **transaction)
        .await?;
        sqlx::query_file!("queries/delete_group.sql", order.project_id, self.group_id)
            .execute(&mut **transaction)
            .await?;
        Ok(Outcome::done("Deleted.").with_version(group.version + 1))
    }
}
