//! What the database spends on notices: statements and bytes.

use anyhow::Context as _;
use serde::Serialize;
use store::Admin;
use store::admin::{ServiceRole, StatementCounts};

use super::report::{Section, number};

/// Statements that a report names.
const NAMED_MAX: usize = 12;
/// Letters of a statement that are shown.
const QUERY_CHARS_MAX: usize = 100;

/// What the database had done at one moment.
pub(crate) struct Ledger {
    statements: Option<StatementCounts>,
    /// How often the server has forgotten some of them.
    forgotten: i64,
    table_bytes: i64,
}

/// What it did between two of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Spent {
    notices: u64,
    /// Statements of the workers' role, without the frame of transactions and without signs of life; nothing where they are not counted.
    statements: Option<i64>,
    statements_per_1000: Option<f64>,
    bytes: i64,
    bytes_per_notice: f64,
    /// The statements that were run most often.
    most: Vec<(String, i64)>,
}

impl Ledger {
    pub(crate) async fn read(admin: &Admin) -> anyhow::Result<Ledger> {
        Ok(Ledger {
            statements: admin.statements(ServiceRole::Worker).await.context("counting statements")?,
            forgotten: admin.statements_forgotten().await.context("asking whether statements were forgotten")?,
            table_bytes: admin.table_bytes().await.context("measuring the tables")?,
        })
    }

    /// What was spent since on so many notices.
    pub(crate) fn until(&self, later: &Ledger, notices: u64) -> Spent {
        let per_notice = |amount: f64| amount / notices.max(1) as f64;
        let run = self.statements.as_ref().zip(later.statements.as_ref()).filter(|_| self.forgotten == later.forgotten);
        let mut most: Vec<(String, i64)> = run
            .iter()
            .flat_map(|(before, after)| {
                after.iter().map(|(id, statement)| {
                    let calls = statement.calls - before.get(id).map_or(0, |earlier| earlier.calls);
                    (short(&statement.query), calls)
                })
            })
            .filter(|(_, calls)| *calls > 0)
            .collect();
        most.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let statements = run.map(|_| most.iter().map(|(_, calls)| calls).sum::<i64>());
        most.truncate(NAMED_MAX);
        let bytes = later.table_bytes - self.table_bytes;
        Spent {
            notices,
            statements,
            statements_per_1000: statements.map(|count| per_notice(count as f64) * 1_000.0),
            bytes,
            bytes_per_notice: per_notice(bytes as f64),
            most,
        }
    }
}

impl Spent {
    pub(crate) fn section(&self) -> Section {
        let section = Section::new("Database").note(format!(
            "{} bytes a notice, indexes included ({} bytes for {} notices)",
            number(self.bytes_per_notice),
            number(self.bytes as f64),
            number(self.notices as f64)
        ));
        match self.statements_per_1000 {
            Some(statements) => section
                .note(format!("{} statements for 1,000 notices", number(statements)))
                .table(&["statement", "calls"], self.most.iter().map(|(query, calls)| vec![query.clone(), calls.to_string()]).collect()),
            None => section.note(
                "statements are not counted: that takes pg_stat_statements (loaded, created, with room for all: pg_stat_statements.max) and a role that may read all of it (pg_read_all_stats)",
            ),
        }
    }
}

/// A statement in one line, without what is said of it.
fn short(query: &str) -> String {
    let said = query.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<&str> = said.flat_map(str::split_whitespace).collect();
    words.join(" ").chars().take(QUERY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use store::admin::Statement;

    use super::*;

    fn ledger(calls: &[(i64, &str, i64)], table_bytes: i64) -> Ledger {
        let statements =
            calls.iter().map(|(id, query, calls)| (*id, Statement { query: (*query).to_owned(), calls: *calls }));
        Ledger { statements: Some(statements.collect()), forgotten: 0, table_bytes }
    }

    #[test]
    fn what_was_run_before_does_not_count() {
        let before = ledger(&[(1, "select 1", 100)], 10_000);
        let after = ledger(&[(1, "select 1", 104), (2, "-- why\nselect\n  2", 6)], 60_000);
        let spent = before.until(&after, 2_000);
        assert_eq!((spent.statements, spent.statements_per_1000), (Some(10), Some(5.0)));
        assert_eq!((spent.bytes, spent.bytes_per_notice), (50_000, 25.0));
        assert_eq!(spent.most, [("select 2".to_owned(), 6), ("select 1".to_owned(), 4)]);
    }

    #[test]
    fn what_is_not_counted_is_not_called_nothing() {
        let uncounted = |table_bytes| Ledger { statements: None, forgotten: 0, table_bytes };
        let spent = uncounted(0).until(&uncounted(8_192), 0);
        assert_eq!((spent.statements, spent.statements_per_1000), (None, None));
        assert_eq!(spent.bytes_per_notice, 8_192.0);
        let forgetful = Ledger { forgotten: 1, ..ledger(&[(1, "select 1", 4)], 8_192) };
        assert_eq!(ledger(&[], 0).until(&forgetful, 0).statements, None);
    }
}
