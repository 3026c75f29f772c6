//! A line that tells how a run goes.

use std::io::{IsTerminal as _, Write as _};

use super::course::{LOOK_EVERY, Point};
use super::load::Load;
use super::report::number;

/// A line that tells how it goes, where somebody looks.
pub(crate) struct Progress {
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { is_shown: std::io::stderr().is_terminal() }
    }

    pub(crate) fn show(&mut self, points: &[Point], load: &Load) {
        /// Looks that a rate is the mean of.
        const LOOKS: usize = 4;
        let Some(last) = points.last().filter(|_| self.is_shown) else { return };
        let first = &points[points.len().saturating_sub(LOOKS + 1)];
        let took_s = (last.at_s - first.at_s).max(LOOK_EVERY.as_secs_f64());
        let mut line =
            format!("{:.0} s  {}/s accepted", last.at_s, number((last.accepted - first.accepted) as f64 / took_s));
        if let (Some(now), Some(before), Some(waiting)) = (last.stored, first.stored, last.waiting()) {
            line +=
                &format!("  {}/s stored  {} waiting", number((now - before) as f64 / took_s), number(waiting as f64));
        }
        let failed = load.counts().failed();
        if failed > 0 {
            line += &format!("  {failed} not accepted");
        }
        // Nobody minds when a line of progress cannot be written.
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    pub(crate) fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
