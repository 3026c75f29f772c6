//! Bars, drawn on the server: these are counts, not curves.

use std::fmt::Write as _;

use store::reader::{Bar, Mark};
use time::{Duration, OffsetDateTime};

use super::number::grouped;
use super::text::escaped;
use super::times;

/// The least height of a bar that is not empty, in per cent: one notice in a million is still seen.
const HEIGHT_MIN: f64 = 4.0;

/// A small chart for lists: one path, so that a page of them stays small.
pub(crate) fn sparkline(counts: &[i64], told: &str) -> String {
    let peak = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut path = String::new();
    for (column, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (height(*count, peak) * 0.24).max(1.0);
        let _ = write!(path, "M{} 24v-{height:.1}h3v{height:.1}z", column * 4);
    }
    let total: i64 = counts.iter().sum();
    format!(
        r#"<svg class="spark" viewBox="0 0 {} 24" width="{}" height="24" role="img" aria-label="{}"><path class="base" d="M0 23.5h{}"/><path d="{path}"/></svg>"#,
        counts.len() * 4,
        counts.len() * 4,
        escaped(&format!(
            "{} {told}, at most {} at once",
            grouped(total),
            grouped(counts.iter().copied().max().unwrap_or(0))
        )),
        counts.len() * 4 - 1,
    )
}

/// Counts of one chart and, on top of them, others that are worse.
pub(crate) struct Column {
    pub(crate) at: OffsetDateTime,
    pub(crate) count: i64,
    /// Drawn above `count`, in the colour of trouble.
    pub(crate) refused: i64,
}

impl From<&Bar> for Column {
    fn from(bar: &Bar) -> Column {
        Column { at: bar.at, count: bar.count, refused: 0 }
    }
}

/// A chart as wide as its place, with deploys marked and the ends of its axis below.
pub(crate) fn chart(columns: &[Column], marks: &[Mark], step: Duration, told: &str) -> String {
    let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return String::new() };
    let peak = columns.iter().map(|column| column.count + column.refused).max().unwrap_or(0);
    let scale = nice_peak(peak);
    let total: i64 = columns.iter().map(|column| column.count).sum();
    let end = last.at + step;
    let shows_time = step < Duration::DAY;
    let mut svg = String::with_capacity(columns.len() * 120);
    let _ = write!(
        svg,
        r#"<svg viewBox="0 0 {} 100" preserveAspectRatio="none" role="img" aria-label="{}"><path class="grid" d="M0 .5H{w}M0 50H{w}"/>"#,
        columns.len(),
        escaped(&format!(
            "{} {told} from {} to {}, at most {} in {}",
            grouped(total),
            times::written(first.at),
            times::written(end),
            grouped(peak),
            times::span_in_words(step)
        )),
        w = columns.len(),
    );
    for (number, column) in columns.iter().enumerate() {
        let of_scale = |count: i64| height(count, scale);
        let (good, bad) = (of_scale(column.count), of_scale(column.refused));
        let title = if column.refused > 0 {
            format!("{}: {}, refused {}", times::written(column.at), grouped(column.count), grouped(column.refused))
        } else {
            format!("{}: {}", times::written(column.at), grouped(column.count))
        };
        // The whole column answers to the pointer, not only its bar.
        let _ = write!(svg, r#"<g><title>{title}</title><path class="hit" d="M{number} 0h1v100h-1z"/>"#);
        if column.count > 0 {
            let _ = write!(svg, r#"<path class="bar" d="M{number}.1 100v-{good:.1}h.8v{good:.1}z"/>"#);
        }
        if column.refused > 0 {
            let _ = write!(svg, r#"<path class="bad" d="M{number}.1 {:.1}v-{bad:.1}h.8v{bad:.1}z"/>"#, 100.0 - good);
        }
        svg.push_str("</g>");
    }
    let width = (end - first.at).as_seconds_f64();
    let shown = marks.iter().filter(|mark| mark.at >= first.at && mark.at < end);
    for mark in shown.clone() {
        let x = (mark.at - first.at).as_seconds_f64() / width * columns.len() as f64;
        let _ = write!(
            svg,
            r#"<g class="mark"><title>Deploy {} {}: {}</title><path d="M{x:.3} 0V100"/></g>"#,
            escaped(&mark.label),
            escaped(&mark.environment),
            times::written(mark.at)
        );
    }
    svg.push_str("</svg>");
    let mut deploys = String::new();
    let newest: Vec<&Mark> = shown.collect();
    for mark in newest.iter().rev().take(4) {
        let _ = write!(
            deploys,
            r#"<li><b>{}</b> {} {}</li>"#,
            escaped(&mark.label),
            escaped(&mark.environment),
            times::brief(mark.at, true)
        );
    }
    if newest.len() > 4 {
        let _ = write!(deploys, "<li>and {} earlier</li>", newest.len() - 4);
    }
    let deploys = if deploys.is_empty() {
        String::new()
    } else {
        format!(r#"<div class="marks"><span class="key"></span> Deploys <ul>{deploys}</ul></div>"#)
    };
    format!(
        r#"<figure class="chart"><div class="plot"><span class="peak">{}</span>{svg}</div><figcaption>{}<span>{}</span>{}</figcaption>{deploys}</figure>"#,
        grouped(scale),
        times::brief(first.at, shows_time),
        escaped(&format!("{told} per {}", width_in_words(step))),
        times::brief(end, shows_time),
    )
}

/// The width of a column.
fn width_in_words(step: Duration) -> String {
    match step.whole_seconds() {
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        _ => times::span_in_words(step),
    }
}

fn height(count: i64, peak: i64) -> f64 {
    if count <= 0 { 0.0 } else { (count as f64 * 100.0 / peak.max(1) as f64).max(HEIGHT_MIN) }
}

/// The end of the axis: the next number that is easy to read.
fn nice_peak(peak: i64) -> i64 {
    let mut unit = 1;
    loop {
        for factor in [1, 2, 4, 5, 10] {
            if unit * factor >= peak.max(1) {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (peak, end) in [(0, 1), (1, 1), (3, 4), (7, 10), (11, 20), (41, 50), (401, 500), (1_000, 1_000)] {
            assert_eq!(nice_peak(peak), end);
        }
    }

    #[test]
    fn charts_can_be_read_aloud() {
        let at = datetime!(2026-11-23 03:00 UTC);
        let columns =
            [Column { at, count: 1_500, refused: 0 }, Column { at: at + Duration::HOUR, count: 0, refused: 2 }];
        let html = chart(&columns, &[], Duration::HOUR, "notices");
        assert!(
            html.contains(
                "1,500 notices from 2026-11-23 03:00:00 UTC to 2026-11-23 05:00:00 UTC, at most 1,500 in 1 h"
            ),
            "{html}"
        );
        assert!(html.contains("2026-11-23 04:00:00 UTC: 0, refused 2"));
        assert!(
            sparkline(&[0, 2, 1], "notices in 24 hours")
                .contains(r#"aria-label="3 notices in 24 hours, at most 2 at once""#)
        );
    }

    #[test]
    fn deploys_of_the_time_are_marked_and_named() {
        let at = datetime!(2026-11-23 03:00 UTC);
        let columns = [Column { at, count: 1, refused: 0 }];
        let mark = |at| Mark { at, label: "<1.4>".into(), environment: "production".into() };
        let html =
            chart(&columns, &[mark(at + Duration::MINUTE), mark(at - Duration::MINUTE)], Duration::HOUR, "notices");
        assert_eq!(html.matches(r#"class="mark""#).count(), 1);
        assert!(html.contains("&lt;1.4&gt;") && !html.contains("<1.4>"));
    }
}
