//! What people do to groups.

use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, may_act};
use crate::StoreError;

/// A change of a group's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// It is mended; a later notice reopens it.
    Resolve,
    /// It is not mended after all.
    Reopen,
    /// It goes on being counted, but tells nobody.
    Mute,
}

impl GroupChange {
    /// The state it leads to.
    fn state(self) -> &'static str {
        match self {
            Self::Resolve => "resolved",
            Self::Reopen => "unresolved",
            Self::Mute => "muted",
        }
    }

    /// What the history calls it.
    fn happened(self) -> &'static str {
        match self {
            Self::Resolve => "resolved",
            Self::Reopen => "reopened",
            Self::Mute => "muted",
        }
    }
}

/// Somebody changes a group's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GroupAct {
    /// The group, of the order's project.
    pub group_id: i64,
    /// What is done.
    #[serde(skip)] // the kind says it
    pub change: GroupChange,
    /// The version of the group that the person saw.
    pub expected_version: i32,
}

impl Act for GroupAct {
    fn kind(&self) -> &'static str {
        match self.change {
            GroupChange::Resolve => "resolve",
            GroupChange::Reopen => "reopen",
            GroupChange::Mute => "mute",
        }
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !may_act(transaction, order).await? {
            return Ok(Outcome::ended(CommandStatus::Denied, "You may not change this project."));
        }
        let found = sqlx::query!(
            "select state, version from grp where project_id = $1 and id = $2 for update",
            order.project_id,
            self.group_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(group) = found else {
            return Ok(Outcome::ended(CommandStatus::Missing, "There is no such group."));
        };
        let state = self.change.state();
        if group.state == state {
            return Ok(Outcome::done("It was so already.").with_version(group.version));
        }
        if group.version != self.expected_version {
            let told = "Somebody changed this group meanwhile; look again.";
            return Ok(Outcome::ended(CommandStatus::Conflict, told).with_version(group.version));
        }
        let version = sqlx::query_scalar!(
            "update grp set state = $3, version = version + 1, resolved_at = case when $3 = 'resolved' then now() end
             where project_id = $1 and id = $2 returning version",
            order.project_id,
            self.group_id,
            state
        )
        .fetch_one(&mut **transaction)
        .await?;
        sqlx::query!(
            "insert into grp_history (project_id, group_id, actor_id, kind) values ($1, $2, $3, $4)",
            order.project_id,
            self.group_id,
            order.actor_id,
            self.change.happened()
        )
        .execute(&mut **transaction)
        .await?;
        Ok(Outcome::done("Done.").with_version(version))
    }
}
