//! Less processor than a process would like to have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How often a process goes on. Short against every timeout of a service, long against a switch of the scheduler.
const PERIOD: Duration = Duration::from_millis(50);

/// Lets a process run for a part of the time only, by stopping it and letting it go on: it needs no rights that a test may not
/// have, as control groups do. The process runs freely again when this is dropped.
#[derive(Debug)]
pub struct Throttle {
    ended: Arc<AtomicBool>,
    turns: Option<JoinHandle<()>>,
}

impl Throttle {
    /// Holds a process to this share of the time, between 0 and 1: to that part of one core, if it has one thread, and of as many
    /// cores as it has busy threads.
    pub fn hold(pid: u32, share: f64) -> Throttle {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("no process has the id 0");
        let ended = Arc::new(AtomicBool::new(false));
        let turns = std::thread::spawn({
            let ended = ended.clone();
            move || {
                while !ended.load(Ordering::Relaxed) {
                    let _ = kill_process(pid, Signal::CONT);
                    std::thread::sleep(PERIOD.mul_f64(share));
                    let _ = kill_process(pid, Signal::STOP);
                    std::thread::sleep(PERIOD.mul_f64(1.0 - share));
                }
                let _ = kill_process(pid, Signal::CONT);
            }
        });
        Throttle { ended, turns: Some(turns) }
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(turns) = self.turns.take() {
            let _ = turns.join();
        }
    }
}
