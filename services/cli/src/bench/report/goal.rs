//! What a run has to reach, as the command line says it.

use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

/// A figure of the report and its limit, as in `end_to_end.stored_per_s>=20000`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    /// Names down to the figure, with dots between.
    path: String,
    limit: Limit,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    AtLeast,
    AtMost,
}

/// What became of a goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Reached {
    pub(crate) figure: String,
    pub(crate) goal: String,
    /// Nothing where the run has no such figure.
    pub(crate) measured: Option<f64>,
    pub(crate) is_met: bool,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Goal, String> {
        let signs = [(">=", Limit::AtLeast), ("<=", Limit::AtMost)];
        let split =
            signs.into_iter().find_map(|(sign, limit)| text.split_once(sign).map(|(path, value)| (path, limit, value)));
        let (path, limit, value) = split.ok_or("needs the form end_to_end.stored_per_s>=20000, with >= or <=")?;
        let value = value.trim().parse().map_err(|_| format!("`{value}` is no number"))?;
        Ok(Goal { path: path.trim().to_owned(), limit, value })
    }
}

impl Goal {
    /// Looks the figure up.
    pub(crate) fn look_up(&self, figures: &Value) -> Reached {
        let found = self.path.split('.').try_fold(figures, |value, name| value.get(name));
        let measured = found.and_then(Value::as_f64);
        let (sign, is_met) = match self.limit {
            Limit::AtLeast => ("≥", measured.is_some_and(|measured| measured >= self.value)),
            Limit::AtMost => ("≤", measured.is_some_and(|measured| measured <= self.value)),
        };
        Reached { figure: self.path.clone(), goal: format!("{sign} {}", self.value), measured, is_met }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_goal_is_met_or_not_and_a_figure_that_is_missing_meets_none() {
        let figures = json!({"end_to_end": {"stored_per_s": 20_000.5}, "latency": {"p99_ms": 3}});
        for (text, is_met) in [
            ("end_to_end.stored_per_s>=20000", true),
            ("end_to_end.stored_per_s >= 20001", false),
            ("latency.p99_ms<=3", true),
            ("latency.p99_ms<=2.9", false),
            ("latency.p98_ms<=9", false),
        ] {
            assert_eq!(text.parse::<Goal>().unwrap().look_up(&figures).is_met, is_met, "{text}");
        }
    }

    #[test]
    fn what_is_no_goal_is_refused() {
        assert!("latency.p99_ms".parse::<Goal>().is_err());
        assert!("latency.p99_ms>=fast".parse::<Goal>().is_err());
    }
}
