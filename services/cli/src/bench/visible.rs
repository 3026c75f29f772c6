//! From intake to visible: a sample of what was accepted is asked for until it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::api::Api;
use super::plan::{Sample, Samples};
use super::tally::{Times, histogram, record};

/// Notices that are asked for at a time.
const WATCHED_MAX: usize = 128;
/// The shortest pause between two questions for one notice.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// What of the time so far the next pause may be: the answer is wrong by no more than this, and asking costs little.
const PAUSE_SHARE: f64 = 0.1;
/// A notice that cannot be seen after this long is given up.
const SEEN_WITHIN: Duration = Duration::from_secs(120);

/// What the sample has shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Visible {
    #[serde(flatten)]
    pub(crate) times: Times,
    /// Notices that were not seen in time.
    pub(crate) unseen: u64,
    /// Notices that were not looked after because too many others were not yet seen.
    pub(crate) omitted: u64,
}

/// Those who look after the sample.
pub(crate) struct Watch {
    watching: JoinHandle<(Histogram<u64>, u64)>,
    omitted: Arc<AtomicU64>,
}

impl Watch {
    /// Begins to look after at most `per_second` notices a second; the load gets the [`Samples`].
    pub(crate) fn start(api: &Api, per_second: f64) -> (Watch, Samples) {
        let (into, samples) = mpsc::channel(WATCHED_MAX);
        let watching = tokio::spawn(watch(api.clone(), samples));
        let omitted = Arc::new(AtomicU64::new(0));
        let every = Duration::from_secs_f64(1.0 / per_second);
        (Watch { watching, omitted: Arc::clone(&omitted) }, Samples { every, into, omitted })
    }

    /// Waits until each of them was seen or given up. The load's [`Samples`] must be gone.
    pub(crate) async fn finish(self) -> anyhow::Result<Visible> {
        let (times, unseen) = self.watching.await?;
        Ok(Visible { times: Times::of(&times), unseen, omitted: self.omitted.load(Ordering::Relaxed) })
    }
}

async fn watch(api: Api, mut samples: mpsc::Receiver<Sample>) -> (Histogram<u64>, u64) {
    let (mut times, mut unseen) = (histogram(), 0);
    let mut watched = JoinSet::new();
    let mut idle = vec![api; WATCHED_MAX];
    loop {
        tokio::select! {
            Some(ended) = watched.join_next() => {
                let (api, took): (Api, Option<Duration>) = ended.expect("asking does not panic");
                idle.push(api);
                match took {
                    Some(took) => record(&mut times, took),
                    None => unseen += 1,
                }
            }
            sample = samples.recv(), if !idle.is_empty() => match sample {
                Some(sample) => {
                    let api = idle.pop().expect("there is an idle one");
                    watched.spawn(until_seen(api, sample));
                }
                None if watched.is_empty() => return (times, unseen),
                // Nothing more comes; those that are watched are waited for.
                None => idle.clear(),
            },
            else => return (times, unseen),
        }
    }
}

async fn until_seen(mut api: Api, sample: Sample) -> (Api, Option<Duration>) {
    while sample.sent_at.elapsed() < SEEN_WITHIN {
        if let Ok(true) = api.is_visible(sample.id).await {
            return (api, Some(sample.sent_at.elapsed()));
        }
        tokio::time::sleep(PAUSE_MIN.max(sample.sent_at.elapsed().mul_f64(PAUSE_SHARE))).await;
    }
    (api, None)
}
