//! The frames of one error, as many of them as a notice keeps.

use std::collections::VecDeque;

use notice::Frame;
use notice::normalise::FRAMES_MAX;

const HALF: usize = FRAMES_MAX / 2;

/// Frames in the order of the text; of too many the middle is left out as they come.
#[derive(Default)]
pub(super) struct Frames {
    first: Vec<Frame>,
    last: VecDeque<Frame>,
    dropped_count: usize,
}

impl Frames {
    pub(super) fn push(&mut self, frame: Frame) {
        if self.first.len() < HALF {
            self.first.push(frame);
            return;
        }
        if self.last.len() == HALF {
            self.last.pop_front();
            self.dropped_count += 1;
        }
        self.last.push_back(frame);
    }

    pub(super) fn len(&self) -> usize {
        self.first.len() + self.last.len() + self.dropped_count
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut Frame> {
        self.first.first_mut()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Frame> {
        self.last.back_mut().or(self.first.last_mut())
    }

    /// Repeats the last frame, without its code.
    pub(super) fn repeat_last(&mut self, times: usize) {
        let Some(last) = self.last_mut() else { return };
        let frame = Frame { code: Vec::new(), ..last.clone() };
        for _ in 0..times {
            self.push(frame.clone());
        }
    }

    /// The last so many of those that are kept.
    pub(super) fn tail(&self, count: usize) -> Vec<Frame> {
        let kept = self.len() - self.dropped_count;
        self.first.iter().chain(&self.last).skip(kept.saturating_sub(count)).cloned().collect()
    }

    /// What `other` has behind the frame that is number `before` of these, at most so many.
    pub(super) fn missing(&self, before: usize, other: &Frames, count: usize) -> Vec<Frame> {
        let Some(last) = before.checked_sub(1).and_then(|at| self.first.get(at)) else { return Vec::new() };
        let Some(there) = other.first.iter().position(|frame| frame == last) else { return Vec::new() };
        other.first.iter().skip(there + 1).take(count).cloned().collect()
    }

    /// Puts frames behind the first so many.
    pub(super) fn insert(&mut self, before: usize, frames: Vec<Frame>) {
        if before <= self.first.len() {
            self.first.splice(before..before, frames);
        }
    }

    /// Those that are kept, and a note of those that are not.
    pub(super) fn finish(self) -> (Vec<Frame>, Option<String>) {
        let mut frames = self.first;
        frames.extend(self.last);
        let note = (self.dropped_count > 0).then(|| {
            let count = frames.len() + self.dropped_count;
            format!("frames: {} of {count} were dropped from the middle", self.dropped_count)
        });
        (frames, note)
    }
}
