//! Role report: what a project met in a week, by mail to the members who want to hear of it.
//!
//! Any number of workers may have the role: whoever files a report first has made it.

use std::fmt::Write as _;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use store::writer::{DueReport, Mail, MailReader, WeekGroup, WeekReport};
use store::{StoreError, Writer};
use time::{Date, OffsetDateTime, Weekday};
use tokio_util::sync::CancellationToken;

use crate::html::escaped;
use crate::unsubscribe::{Ends, Link};

/// Pause between looks for reports that are due.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Hour of Monday, in UTC, from which the week before is reported: what was late on Sunday night has come by then.
const HOUR: i64 = 6;

/// Makes reports until told to stop.
pub(crate) async fn run(writer: Writer, public_url: Option<String>, shutdown: CancellationToken) {
    let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
    while !shutdown.is_cancelled() {
        match make(&writer, public_url.as_deref(), OffsetDateTime::now_utc()).await {
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "weekly reports made"),
            Err(error) => tracing::warn!(error = service::causes(&error), "weekly reports wait"),
        }
        let _ = tokio::time::timeout(LOOK_EVERY, shutdown.cancelled()).await;
    }
}

/// Makes what is due; how many.
async fn make(writer: &Writer, public_url: Option<&str>, now: OffsetDateTime) -> Result<u64, StoreError> {
    let week = reported_week(now);
    let mut made = 0;
    let mut projects = writer.reports_due(week).await?;
    // Workers begin in different places, so that they seldom make the same report at the same time.
    projects.shuffle(&mut rand::rng());
    for project in projects {
        match make_one(writer, public_url, week, &project).await {
            Ok(is_made) => made += u64::from(is_made),
            Err(error) => {
                let project_id = project.project_id;
                tracing::warn!(project_id, error = service::causes(&error), "a weekly report waits");
            }
        }
    }
    Ok(made)
}

/// Whether it was this worker that made it.
async fn make_one(
    writer: &Writer,
    public_url: Option<&str>,
    week: Date,
    project: &DueReport,
) -> Result<bool, StoreError> {
    if writer.is_report_made(project.project_id, week).await? {
        return Ok(false);
    }
    let report = writer.week_report(project.project_id, week).await?;
    let key = writer.unsubscribe_key().await?;
    let readers = writer.report_readers(project.project_id).await?;
    let mails: Vec<Mail> =
        readers.iter().map(|reader| compose(public_url, &key, project, week, &report, reader)).collect();
    writer.file_report(project.project_id, week, &mails).await
}

/// The Monday of the last week that is over.
fn reported_week(now: OffsetDateTime) -> Date {
    let at = now - time::Duration::hours(HOUR);
    let since_monday = i64::from(at.weekday().number_days_from_monday());
    let monday = at.date() - time::Duration::days(since_monday + 7);
    debug_assert_eq!(monday.weekday(), Weekday::Monday);
    monday
}

fn compose(
    public_url: Option<&str>,
    key: &[u8],
    project: &DueReport,
    week: Date,
    report: &WeekReport,
    reader: &MailReader,
) -> Mail {
    let DueReport { project_id, project_name } = project;
    let figures = &report.figures;
    let until = week + time::Duration::days(6);
    let title = format!("{project_name}: {} notices from {week} to {until}", figures.notice_count);
    let sums = format!(
        "{} notices, {}. {} groups came, {} of them new; {} came back after they were resolved.",
        figures.notice_count,
        trend(figures.notice_count, figures.before_count),
        figures.group_count,
        figures.fresh_count,
        figures.returned_count
    );
    let mut text = format!("{title}\n\n{sums}\n");
    let mut html = format!("<h2>{}</h2><p>{}</p>", escaped(&title), escaped(&sums));
    for (head, groups) in [("Came most", &report.most), ("Were new", &report.fresh)] {
        if groups.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{head}:");
        let _ = write!(html, "<h3>{head}</h3><ul>");
        for group in groups {
            let line = line(group);
            let _ = writeln!(text, "- {line}");
            let line = escaped(&line);
            let _ = match public_url {
                Some(base) => {
                    let url = format!("{base}/projects/{project_id}/groups/{}", group.id);
                    let _ = writeln!(text, "  {url}");
                    write!(html, "<li><a href=\"{}\">{line}</a></li>", escaped(&url))
                }
                None => write!(html, "<li>{line}</li>"),
            };
        }
        html.push_str("</ul>");
    }
    let link = Link { ends: Ends::Weekly, user_id: reader.id, project_id: *project_id };
    let unsubscribe_url = public_url.map(|base| link.address(base, key));
    if let Some(url) = &unsubscribe_url {
        let _ = writeln!(text, "\n-- \nTo end these reports: {url}");
        let _ = write!(html, "<hr><p><small><a href=\"{}\">End these reports</a></small></p>", escaped(url));
    }
    Mail {
        to: reader.email.clone(),
        subject: title,
        text,
        html: Some(html),
        thread: Some(format!("weekly-{project_id}")),
        unsubscribe_url,
    }
}

/// One group in one line.
fn line(group: &WeekGroup) -> String {
    let message = group.message.lines().next().unwrap_or_default();
    let error =
        if message.starts_with(&group.class) { message.to_owned() } else { format!("{}: {message}", group.class) };
    let error: String = error.chars().take(150).collect();
    format!("{error} – {}, {}", group.notice_count, trend(group.notice_count, group.before_count))
}

/// How a count stands to that of the week before.
fn trend(count: i64, before: i64) -> String {
    if before == 0 {
        return "none in the week before".to_owned();
    }
    let percent = (count - before) * 100 / before;
    match percent {
        0 => "as many as in the week before".to_owned(),
        1.. => format!("{percent} % more than in the week before"),
        _ => format!("{} % fewer than in the week before", -percent),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn a_week_is_reported_from_monday_morning_on() {
        assert_eq!(reported_week(datetime!(2026-11-30 05:59 UTC)), date!(2026 - 11 - 16));
        assert_eq!(reported_week(datetime!(2026-11-30 06:00 UTC)), date!(2026 - 11 - 23));
        assert_eq!(reported_week(datetime!(2026-12-06 23:59 UTC)), date!(2026 - 11 - 23));
    }

    #[test]
    fn trends_are_words() {
        assert_eq!(trend(130, 100), "30 % more than in the week before");
        assert_eq!(trend(50, 100), "50 % fewer than in the week before");
        assert_eq!(trend(5, 0), "none in the week before");
    }
}
