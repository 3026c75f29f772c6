//! What a project takes out of its notices.

use notice::{IpRule, ScrubRules};
use serde::Serialize;
use sqlx::{Postgres, Transaction};

use super::{Act, CommandStatus, Order, Outcome, note, role_in_project};
use crate::{Role, StoreError};

/// Somebody says what is taken out of the notices that come from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetScrubbing {
    /// Names of fields.
    pub fields: Vec<String>,
    /// Regular expressions.
    pub patterns: Vec<String>,
    /// What becomes of the addresses of people.
    pub ip: IpRule,
    /// The version of these rules that the person saw; 0 where there were none.
    pub expected_version: i32,
}

impl Act for SetScrubbing {
    fn kind(&self) -> &'static str {
        "set_scrubbing"
    }

    async fn act(&self, transaction: &mut Transaction<'_, Postgres>, order: &Order) -> Result<Outcome, StoreError> {
        if !role_in_project(transaction, order).await?.is_some_and(Role::may_manage) {
            return Ok(Outcome::ended(CommandStatus::Denied, "You may not change the settings of this project."));
        }
        if let Err(error) = ScrubRules::new(&self.fields, &self.patterns, self.ip) {
            return Ok(Outcome::ended(CommandStatus::Invalid, format!("Not saved: {error}.")));
        }
        let version = sqlx::query_scalar!(
            "insert into project_scrubbing as kept (project_id, fields, patterns, ip, changed_by)
             select id, $2, $3, $4, $5 from project where id = $1 and $6 = 0
             on conflict (project_id) do nothing
             returning version",
            order.project_id,
            &self.fields,
            &self.patterns,
            self.ip.as_str(),
            order.actor_id,
            self.expected_version
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let version = match version {
            Some(version) => Some(version),
            None => {
                sqlx::query_scalar!(
                "update project_scrubbing set fields = $2, patterns = $3, ip = $4, changed_by = $5, changed_at = now(),
                         version = version + 1
                     where project_id = $1 and version = $6 returning version",
                order.project_id,
                &self.fields,
                &self.patterns,
                self.ip.as_str(),
                order.actor_id,
                self.expected_version
            )
                .fetch_optional(&mut **transaction)
                .await?
            }
        };
        if let Some(version) = version {
            let organization_id =
                sqlx::query_scalar!("select organization_id from project where id = $1", order.project_id)
                    .fetch_one(&mut **transaction)
                    .await?;
            // How much, and not what: a pattern may tell what it takes out.
            let about = format!(
                "{} fields, {} patterns, addresses: {}",
                self.fields.len(),
                self.patterns.len(),
                self.ip.as_str()
            );
            note(transaction, order, Some(organization_id), "project.scrubbing_changed", &about).await?;
            return Ok(Outcome::done("Saved.").with_version(version));
        }
        let other = sqlx::query_scalar!(
            r#"select coalesce(nullif(u.name, ''), u.email) as "name!" from project_scrubbing s join user_account u on u.id = s.changed_by
               where s.project_id = $1"#,
            order.project_id
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let who = other.unwrap_or_else(|| "Somebody".to_owned());
        let told = format!("Meanwhile {who} changed these rules. Nothing was changed; look again.");
        Ok(Outcome::ended(CommandStatus::Conflict, told))
    }
}
