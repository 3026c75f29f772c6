//! Weekly reports: what a project met, for the members who want to hear of it. Each is made once.

use time::Date;

use super::{Mail, MailReader, Writer, mail};
use crate::StoreError;

/// Groups that a list of a report names.
const NAMED_MAX: i64 = 10;

/// Most members who get a project's report.
const READERS_MAX: i64 = 500;

/// A project whose report is due.
#[derive(Debug, Clone)]
pub struct DueReport {
    /// The project.
    pub project_id: i64,
    /// What people call it.
    pub project_name: String,
}

/// What a project met in a week.
#[derive(Debug, Clone)]
pub struct WeekFigures {
    /// Notices.
    pub notice_count: i64,
    /// Notices of the week before.
    pub before_count: i64,
    /// Groups that came.
    pub group_count: i64,
    /// Groups that were new.
    pub fresh_count: i64,
    /// Resolved groups that came back.
    pub returned_count: i64,
}

/// A group in a week.
#[derive(Debug, Clone)]
pub struct WeekGroup {
    /// Number.
    pub id: i64,
    /// Class of its error.
    pub class: String,
    /// Its message.
    pub message: String,
    /// Notices.
    pub notice_count: i64,
    /// Notices of the week before.
    pub before_count: i64,
}

/// All that a report says.
#[derive(Debug, Clone)]
pub struct WeekReport {
    /// Sums.
    pub figures: WeekFigures,
    /// Which groups came most.
    pub most: Vec<WeekGroup>,
    /// Which new groups came most.
    pub fresh: Vec<WeekGroup>,
}

impl Writer {
    /// Projects of which somebody wants a report, and that have none for the week that began on this Monday.
    pub async fn reports_due(&self, week: Date) -> Result<Vec<DueReport>, StoreError> {
        let due = sqlx::query_as!(
            DueReport,
            "select p.id as project_id, p.name as project_name from project p
             where p.deleted_at is null
                 and exists (select from notification_choice c where c.project_id = p.id and c.weekly)
                 and not exists (select from weekly_report r where r.project_id = p.id and r.week = $1)
             order by p.id",
            week
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(due)
    }

    /// Whether a project has its report for the week that began on this Monday.
    pub async fn is_report_made(&self, project_id: i64, week: Date) -> Result<bool, StoreError> {
        let is_made = sqlx::query_scalar!(
            r#"select exists (select from weekly_report where project_id = $1 and week = $2) as "is_made!""#,
            project_id,
            week
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(is_made)
    }

    /// What a project met in the week that began on this Monday.
    pub async fn week_report(&self, project_id: i64, week: Date) -> Result<WeekReport, StoreError> {
        let figures = sqlx::query_file_as!(WeekFigures, "queries/report_figures.sql", project_id, week as Date)
            .fetch_one(&self.pool)
            .await?;
        let groups = async |only_fresh: bool| {
            sqlx::query_file_as!(
                WeekGroup,
                "queries/report_groups.sql",
                project_id,
                week as Date,
                only_fresh,
                NAMED_MAX
            )
            .fetch_all(&self.pool)
            .await
        };
        Ok(WeekReport { figures, most: groups(false).await?, fresh: groups(true).await? })
    }

    /// The members of a project who want its reports.
    pub async fn report_readers(&self, project_id: i64) -> Result<Vec<MailReader>, StoreError> {
        let readers = sqlx::query_as!(
            MailReader,
            "select u.id, u.email
             from notification_choice c
             join project_access m on m.user_id = c.user_id and m.project_id = c.project_id
             join user_account u on u.id = c.user_id
             where c.project_id = $1 and c.weekly order by u.id limit $2",
            project_id,
            READERS_MAX
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(readers)
    }

    /// Puts a report into the outbox, unless another worker has made it. Answers whether it was this one.
    pub async fn file_report(&self, project_id: i64, week: Date, mails: &[Mail]) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let made = sqlx::query!(
            "insert into weekly_report (project_id, week) values ($1, $2) on conflict (project_id, week) do nothing",
            project_id,
            week
        )
        .execute(&mut *transaction)
        .await?;
        if made.rows_affected() == 0 {
            return Ok(false);
        }
        for mail in mails {
            mail::queue(&mut transaction, "report.weekly", None, mail).await?;
        }
        transaction.commit().await.map_err(StoreError::CommitUnknown)?;
        Ok(true)
    }
}
