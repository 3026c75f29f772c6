//! When the next request is due, whatever became of the ones before it.
//!
//! A generator that waits for an answer before it sends again leaves out just those requests that would have met the
//! trouble (coordinated omission). Here every request has its time from the beginning; one that had to wait for a
//! free connection counts from when it was due.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

/// The shortest tick: at greater rates several requests fall due at once.
const TICK_MIN: Duration = Duration::from_micros(100);

/// Requests in equal distances.
pub(crate) struct Schedule {
    began: Instant,
    until: Instant,
    every: Duration,
    /// One permit for each request that is due; connections take them in turn.
    due: Semaphore,
    taken: Cell<u64>,
}

impl Schedule {
    /// `per_second` requests from `began` until `until`.
    pub(crate) fn new(per_second: f64, began: Instant, until: Instant) -> Schedule {
        let every = Duration::from_secs_f64(1.0 / per_second);
        Schedule { began, until, every, due: Semaphore::new(0), taken: Cell::new(0) }
    }

    /// Waits for the next request that nobody has taken; `None` at the end. Answers when it was due.
    pub(crate) async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        // Those that are still untaken at the end were not sent, which is told; they are not sent late.
        if Instant::now() >= self.until {
            return None;
        }
        let place = self.taken.replace(self.taken.get() + 1);
        Some(self.began + self.every.mul_f64(place as f64))
    }

    /// Lets requests fall due, each at its time, until the end.
    pub(crate) async fn keep(&self) -> io::Result<()> {
        let ticks = Ticks::every(self.every.max(TICK_MIN))?;
        let mut released = 0;
        loop {
            let now = Instant::now();
            if now >= self.until || self.due.is_closed() {
                break;
            }
            let due = self.due_at(now);
            self.due.add_permits((due - released) as usize);
            released = due;
            ticks.next().await?;
        }
        self.due.close();
        Ok(())
    }

    /// Lets nothing more fall due.
    pub(crate) fn stop(&self) {
        self.due.close();
    }

    /// How many fell due and were taken by nobody.
    pub(crate) fn untaken(&self) -> u64 {
        self.due_at(self.until).saturating_sub(self.taken.get())
    }

    fn due_at(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began);
        (passed.as_secs_f64() / self.every.as_secs_f64()) as u64 + 1
    }
}

/// A timer finer than a runtime's own, which rounds up to milliseconds.
struct Ticks(AsyncFd<OwnedFd>);

impl Ticks {
    fn every(interval: Duration) -> io::Result<Ticks> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = Timespec { tv_sec: interval.as_secs() as i64, tv_nsec: interval.subsec_nanos().into() };
        let times = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        #[expect(deprecated, reason = "what took its place is unsafe, for a promise that an `OwnedFd` keeps by itself")]
        let timer = AsyncFd::new(timer)?;
        Ok(Ticks(timer))
    }

    /// Waits for the next tick; of those that were missed nothing is left.
    async fn next(&self) -> io::Result<()> {
        let read = |timer: &OwnedFd| Ok(rustix::io::read(timer, &mut [0; 8])?);
        self.0.async_io(Interest::READABLE, read).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[tokio::test]
    async fn requests_fall_due_in_equal_distances_and_none_is_left_out() {
        let began = Instant::now();
        let schedule = Schedule::new(1_000.0, began, began + Duration::from_millis(200));
        let taking = async {
            let mut dues = Vec::new();
            while let Some(due) = schedule.next().await {
                assert!(Instant::now() >= due, "nothing is sent early");
                dues.push(due);
                // Whoever takes them is away for a while: what fell due meanwhile keeps its time.
                if dues.len() == 50 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            dues
        };
        let (kept, dues) = tokio::join!(schedule.keep(), taking);
        kept.unwrap();
        assert!(dues.windows(2).all(|two| two[1] - two[0] == Duration::from_millis(1)), "{dues:?}");
        assert_eq!(dues.len() as u64 + schedule.untaken(), 201);
    }
}
