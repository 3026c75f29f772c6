//! One lane that this worker holds: read, fold, commit, trim, publish.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::Record;
use queue::body::CODEC_ZSTD;
use queue::{Entry, QueueError};
use store::batch::{Batch, Claim};
use store::writer::{Claimed, DeadRecord, ProjectRules};
use store::{ErrorClass, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::accounts::{Accounts, Sifted};
use super::limit::Limit;
use super::prepare::{Asked, Known, Prepared, prepare};
use super::record::{self, Death};
use super::resolve::{Resolved, resolve};
use super::standing::Standing;
use super::{Fold, measure};
use crate::training;

/// Entries of one XRANGE: as many as probably fit into the batch, and of a lane whose entries are not known yet a few.
const READ_COUNT_MIN: usize = 16;
const READ_COUNT_FIRST: usize = 100;
const READ_COUNT_MAX: usize = 1_000;

/// A lane with fewer entries than this is given a moment to fill, unless it has rested: what a batch costs the database goes by the
/// different errors in it far more than by the notices.
const LINGER_BELOW: u64 = 2_000;

/// A lane without a batch for so long has rested: a notice that comes alone is stored at once.
const RESTED_AFTER: Duration = Duration::from_secs(1);

/// When so many entries came in that moment, more will: the lane is given this many moments besides.
const BUSY_FROM: u64 = 2;
const BUSY_MOMENTS: u32 = 4;

/// Pause between looks at an empty lane: begins short, doubles.
const IDLE_MIN: Duration = Duration::from_millis(10);
const IDLE_MAX: Duration = Duration::from_millis(100);

/// Pause after an error: begins short, doubles.
const TROUBLE_MIN: Duration = Duration::from_millis(100);
const TROUBLE_MAX: Duration = Duration::from_secs(2);

/// Watermarks are published again this often, changed or not: Redis may have forgotten them.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// So often all of them are: whoever held the lane before may have published its own in between.
const PUBLISH_ALL_EVERY: Duration = Duration::from_secs(5);

/// From here on a batch has one record, and a worker that is given the lane then stores it unread.
const DEADLY_ATTEMPTS: u32 = 8;

/// Dead records that are tried again before the lane goes on.
const RETRIES_MAX: usize = 100;

/// A batch is prepared anew so often because others have stored the same names meanwhile; then the lane pauses, and others get its turn.
const ROUNDS_MAX: u32 = 20;

/// How a lane's task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Told to stop; the lane is still held and can be given back.
    Stopped(Claim),
    /// It belongs to somebody else now.
    Lost(u16),
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("redis does not do what it is asked")]
    Queue(#[from] QueueError),
    #[error("the database does not do what it is asked")]
    Store(#[from] StoreError),
    #[error("the task that folds died")]
    Task(#[from] tokio::task::JoinError),
    #[error("others have stored notices with the same ids, or may have")]
    OutOfDate,
    #[error("the lane was claimed by another worker, or the database was set back")]
    Fenced,
    #[error("the lane belongs to another worker now")]
    Lost,
}

/// What a step did.
enum Step {
    Paused,
    Idle,
    Done,
}

/// A lane in hand.
pub(crate) struct Lane {
    fold: Arc<Fold>,
    claim: Claim,
    attempts: u32,
    accounts: Accounts,
    standing: Arc<Standing>,
    /// Whether the sets in memory are those in the database. Not after a commit whose end is not known.
    is_certain: bool,
    /// When the watermarks were last published whole, since the claim.
    published_all_at: Option<Instant>,
    /// How often they were, since the claim.
    beat: u64,
    published_at: Instant,
    /// When the last batch was stored, since the claim.
    stored_at: Option<Instant>,
    /// Mean bytes of the entries that were read last; 0 before any was.
    entry_bytes: usize,
    /// Most records that the database is asked to store at once: half as many after each time that it could not do so in time, at least 1.
    part_max: usize,
}

impl Lane {
    pub(crate) fn new(fold: Arc<Fold>, claimed: &Claimed, standing: Arc<Standing>) -> Self {
        Self {
            fold,
            claim: claimed.claim,
            attempts: claimed.attempts,
            accounts: Accounts::from_claimed(claimed),
            standing,
            is_certain: true,
            published_all_at: None,
            beat: 0,
            published_at: Instant::now(),
            stored_at: None,
            entry_bytes: 0,
            part_max: usize::MAX,
        }
    }

    /// Works on the lane until told to stop or until it belongs to somebody else.
    pub(crate) async fn run(mut self, stop: CancellationToken, mut paused: watch::Receiver<bool>) -> Ended {
        let mut idle = IDLE_MIN;
        let mut trouble = TROUBLE_MIN;
        while !stop.is_cancelled() {
            let is_paused = *paused.borrow_and_update();
            let done = if is_paused { self.stand().await.map(|()| Step::Paused) } else { self.step(&stop).await };
            let pause = match done {
                Ok(Step::Done) => {
                    (idle, trouble) = (IDLE_MIN, TROUBLE_MIN);
                    continue;
                }
                Ok(Step::Paused) => PUBLISH_EVERY,
                Ok(Step::Idle) => {
                    trouble = TROUBLE_MIN;
                    match double(&mut idle, IDLE_MAX) {
                        IDLE_MAX => until_next_look(self.fold.started_at),
                        shorter => shorter,
                    }
                }
                Err(Trouble::Lost) => return Ended::Lost(self.claim.lane),
                Err(error) => {
                    self.cope(&error);
                    double(&mut trouble, TROUBLE_MAX)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
                Ok(()) = paused.changed() => {}
            }
        }
        Ended::Stopped(self.claim)
    }

    /// One batch, from Redis to PostgreSQL. Trims last: a crash between the commit and the trim repeats the batch, and
    /// what is repeated is recognised by its numbers.
    async fn step(&mut self, stop: &CancellationToken) -> Result<Step, Trouble> {
        self.stand().await?;
        if self.standing.take_retries() {
            self.retry_dead().await?;
        }
        if !self.has_enough(stop).await? {
            self.absolve().await?;
            return Ok(Step::Idle);
        }
        let fold = Arc::clone(&self.fold);
        let _slot = fold.slots.acquire().await.expect("the slots are never closed");
        let entries = self.next_batch().await?;
        let Some(last) = entries.last() else { return Ok(Step::Idle) };
        let last = last.stream_id().to_owned();
        self.commit(&entries).await?;
        self.stored_at = Some(Instant::now());
        drop(entries);
        self.fold.queue.trim(self.claim.lane, &last).await?;
        journal::failpoint::hit("batch.after_trim");
        self.publish_now().await?;
        Ok(Step::Done)
    }

    /// What is due whether or not there is work, and while the worker is paused: takes back what does not hold any more, and says what does.
    async fn stand(&mut self) -> Result<(), Trouble> {
        if self.standing.take_set_back() {
            self.is_certain = false;
        }
        self.make_certain().await?;
        self.publish().await
    }

    /// Whether the lane holds anything. A few entries are given time to become more: a transaction costs the same for one notice as
    /// for a hundred.
    async fn has_enough(&self, stop: &CancellationToken) -> Result<bool, Trouble> {
        let has_rested = self.stored_at.is_none_or(|stored_at| stored_at.elapsed() >= RESTED_AFTER);
        let count = self.fold.queue.depth(self.claim.lane).await?;
        if count == 0 || count >= LINGER_BELOW || has_rested {
            return Ok(count > 0);
        }
        let moment = self.fold.limits.wait;
        let _ = tokio::time::timeout(moment, stop.cancelled()).await;
        let grown = self.fold.queue.depth(self.claim.lane).await?;
        if grown >= count + BUSY_FROM && grown < LINGER_BELOW {
            let _ = tokio::time::timeout(moment * BUSY_MOMENTS, stop.cancelled()).await;
        }
        Ok(true)
    }

    /// An empty lane has killed nobody: owners that died while they held it died of something else. Without this a lane that is seldom
    /// used would collect their deaths, and its next notice would be buried unread.
    async fn absolve(&mut self) -> Result<(), Trouble> {
        if self.attempts > 0 {
            self.fold.writer.commit(self.claim, Arc::default()).await?;
            self.attempts = 0;
        }
        Ok(())
    }

    /// The next entries, always from the beginning of the lane: what was committed has been trimmed.
    async fn next_batch(&mut self) -> Result<Vec<Entry>, Trouble> {
        let records_max = self.records_max();
        let mut limit = Limit::new(self.fold.limits);
        let mut entries: Vec<Entry> = Vec::new();
        while entries.len() < records_max && !limit.is_reached() {
            let count = read_count(limit.bytes_left(), self.entry_bytes).min(records_max - entries.len());
            let after = entries.last().map(|entry| entry.stream_id().to_owned());
            let more = self.fold.queue.read(self.claim.lane, after.as_deref(), count).await?;
            let is_all = more.len() < count;
            self.entry_bytes = more.iter().map(Entry::bytes).sum::<usize>() / more.len().max(1);
            entries.extend(more.into_iter().take_while(|entry| limit.admits(entry)));
            if is_all {
                break;
            }
        }
        Ok(entries)
    }

    /// Fewer with every owner that died over this lane: the batch that kills is found by halving, the process being
    /// the one that cannot tell. And no more than the database can store in time.
    fn records_max(&self) -> usize {
        (self.fold.limits.records_max >> (2 * self.attempts).min(63)).clamp(1, self.part_max)
    }

    /// Commits entries: together if the database takes them, else in halves until the one that it refuses stands alone.
    async fn commit(&mut self, entries: &[Entry]) -> Result<(), Trouble> {
        let mut parts = vec![entries];
        while let Some(part) = parts.pop() {
            let refused = match self.commit_part(part).await {
                Ok(Ok(())) => {
                    self.part_max = self.part_max.saturating_mul(2);
                    continue;
                }
                Ok(Err(refused)) => refused,
                Err(Trouble::Store(error)) if error.class() == ErrorClass::TooSlow => {
                    self.part_max = (part.len() / 2).max(1);
                    let (lane, records, next) = (self.claim.lane, part.len(), self.part_max);
                    tracing::warn!(
                        lane,
                        records,
                        next,
                        "the database did not store a batch in time: the next is smaller"
                    );
                    return Err(Trouble::Store(error));
                }
                Err(trouble) => return Err(trouble),
            };
            match part {
                [one] => self.commit_dead(one, &refused).await?,
                part => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first].into_iter().filter(|half| !half.is_empty()));
                }
            }
        }
        Ok(())
    }

    /// Commits a part in one transaction. The inner error is what the database, or the fold, says against it.
    async fn commit_part(&mut self, part: &[Entry]) -> Result<Result<(), Refused>, Trouble> {
        for _ in 1..ROUNDS_MAX {
            match self.try_part(part).await {
                Err(Trouble::OutOfDate) => {}
                other => return other,
            }
        }
        self.try_part(part).await
    }

    async fn try_part(&mut self, part: &[Entry]) -> Result<Result<(), Refused>, Trouble> {
        let sifted = self.accounts.sift(part);
        let batch = match self.prepare(&sifted).await? {
            Ok(batch) => batch,
            Err(panic) => return Ok(Err(Refused { death: Death::Panicked, detail: panic })),
        };
        match self.write(batch, sifted, part.len()).await {
            Err(Trouble::Store(error)) if error.class() == ErrorClass::Refused => {
                let detail = service::causes(&error);
                tracing::warn!(lane = self.claim.lane, records = part.len(), error = detail, "a batch was refused");
                Ok(Err(Refused { death: Death::Refused, detail }))
            }
            other => other.map(Ok),
        }
    }

    /// Buries the one entry that is refused, with what was said against it.
    async fn commit_dead(&mut self, entry: &Entry, refused: &Refused) -> Result<(), Trouble> {
        let sifted = self.accounts.sift(std::slice::from_ref(entry));
        let mut batch = Batch::default();
        for shipped in &sifted.fresh {
            let record = Record::decode(&shipped.record).ok();
            batch.dead.push(record::bury(shipped, record.as_ref(), refused.death, refused.detail.clone()));
        }
        self.write(batch, sifted, 1).await
    }

    /// Tries dead records again, one by one. Their numbers have been accounted for: only what they say is new.
    async fn retry_dead(&mut self) -> Result<(), Trouble> {
        let lane = self.claim.lane;
        for _ in 0..RETRIES_MAX {
            let Some(record) = self.fold.writer.dead_to_retry(self.claim).await? else { break };
            if record.reason == Death::Deadly.reason() {
                // It may kill this worker, too: then it remains dead, and does not meet the next one.
                let detail = "it was tried again, and the worker did not live to tell";
                self.fold.writer.still_dead(self.claim, &record, Death::Deadly.reason(), detail).await?;
                journal::failpoint::hit("retry.deadly");
            }
            let mut tried = self.try_again(&record).await;
            for _ in 1..ROUNDS_MAX {
                if !matches!(tried, Err(Trouble::OutOfDate)) {
                    break;
                }
                tried = self.try_again(&record).await;
            }
            let died_again = match tried {
                Ok(died_again) => died_again,
                Err(trouble) => {
                    let detail = format!("trying it again was cut short: {trouble}");
                    self.fold.writer.retry_later(self.claim, &record, &detail).await?;
                    return Err(trouble);
                }
            };
            tracing::info!(lane, seq = record.seq, lives = died_again.is_none(), "dead record tried again");
            if let Some((reason, detail)) = died_again {
                self.fold.writer.still_dead(self.claim, &record, reason, &detail).await?;
            }
        }
        Ok(())
    }

    /// `Some` is why a dead record remains dead.
    async fn try_again(&mut self, record: &DeadRecord) -> Result<Option<(&'static str, String)>, Trouble> {
        let rules = self.fold.projects.read_again().await?;
        match self.prepare_with(Arc::from([record::dug_up(record)]), rules).await? {
            Err(panic) => Ok(Some((Death::Panicked.reason(), panic))),
            Ok(batch) => match batch.dead.first() {
                Some(dead) => Ok(Some((dead.reason, dead.detail.clone()))),
                None => self.revive(batch, record).await,
            },
        }
    }

    /// Commits what a dead record says, and removes it in the same transaction. `Some` is why not.
    async fn revive(
        &mut self,
        mut batch: Batch,
        record: &DeadRecord,
    ) -> Result<Option<(&'static str, String)>, Trouble> {
        batch.revived.push((record.journal, record.seq));
        match self.write(batch, Sifted::default(), 1).await {
            Ok(()) => Ok(None),
            Err(Trouble::Store(error)) if error.class() == ErrorClass::Refused => {
                Ok(Some((Death::Refused.reason(), service::causes(&error))))
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn prepare(&mut self, sifted: &Sifted<'_>) -> Result<Result<Batch, String>, Trouble> {
        if sifted.fresh.is_empty() {
            return Ok(Ok(Batch::default()));
        }
        if self.attempts >= DEADLY_ATTEMPTS {
            let dead = sifted.fresh.iter().map(|shipped| record::bury_unread(shipped)).collect();
            return Ok(Ok(Batch { dead, ..Batch::default() }));
        }
        // Unpacking, folding and packing take tens of milliseconds of one core: not among the tasks that wait.
        let fresh: Arc<[queue::Shipped]> = sifted.fresh.iter().map(|shipped| (*shipped).clone()).collect();
        let prepared = self.prepare_with(Arc::clone(&fresh), self.fold.projects.rules().await?).await?;
        let lacks_project = |batch: &Batch| batch.dead.iter().any(|dead| dead.reason == Death::UnknownProject.reason());
        if prepared.as_ref().is_ok_and(lacks_project) {
            // The project may be newer than the rules.
            return self.prepare_with(fresh, self.fold.projects.read_again().await?).await;
        }
        Ok(prepared)
    }

    /// Prepares, and finds out what has to be known for it on the way.
    async fn prepare_with(
        &mut self,
        fresh: Arc<[queue::Shipped]>,
        rules: Arc<ProjectRules>,
    ) -> Result<Result<Batch, String>, Trouble> {
        self.learn_dictionaries(&fresh).await?;
        let lane = self.claim.lane;
        let Fold { client_ids, source_maps, writer, .. } = &*self.fold;
        let mut asked = Asked::new();
        let bundles = writer.newest_bundles(source_maps).await?;
        let mut resolved = Resolved::new();
        loop {
            let (fold, fresh, rules) = (Arc::clone(&self.fold), Arc::clone(&fresh), Arc::clone(&rules));
            let bundles = Arc::clone(&bundles);
            let work = move || {
                let known =
                    Known { client_ids: &fold.client_ids, asked: &asked, bundles: &bundles, resolved: &resolved };
                let prepared = prepare(&fresh, lane, &rules, &fold.dictionaries, &fold.identities, known);
                (prepared, asked, resolved)
            };
            let prepared;
            (prepared, asked, resolved) = tokio::task::spawn_blocking(work).await?;
            match prepared {
                Err(panic) => return Ok(Err(panic)),
                Ok(Prepared::Batch(batch)) => return Ok(Ok(*batch)),
                Ok(Prepared::NeedsClientIds(projects)) => client_ids.learn(writer, projects).await?,
                Ok(Prepared::NeedsAsking(suspects)) => {
                    let stored = writer.stored_there(&suspects).await?;
                    asked.extend(suspects.into_iter().map(|(suspect, there)| {
                        let is_stored = stored.contains(&suspect);
                        (suspect, (there, is_stored))
                    }));
                }
                Ok(Prepared::NeedsResolving(unresolved)) => {
                    resolved.extend(resolve(&self.fold, unresolved).await?);
                }
            }
        }
    }

    /// Reads the dictionaries that these records name and that are not known yet. What names one that there is not stays
    /// unreadable, which is for whoever reads it to say.
    async fn learn_dictionaries(&self, fresh: &[queue::Shipped]) -> Result<(), Trouble> {
        let Fold { dictionaries, writer, .. } = &*self.fold;
        let named: BTreeSet<u16> = fresh.iter().filter_map(|shipped| Record::codec_of(&shipped.record)).collect();
        for codec in named.into_iter().filter(|codec| *codec != CODEC_ZSTD && dictionaries.get(*codec).is_none()) {
            let bytes = match writer.dictionary(codec).await? {
                None => self.put_back_dictionary(codec).await?,
                known => known,
            };
            if let Some(bytes) = bytes {
                dictionaries.learn(codec, &bytes);
            }
        }
        Ok(())
    }

    /// A database that was set back may lack the dictionary that gateways pack with. Housekeep puts it there again as well, but what
    /// comes before that would be buried.
    async fn put_back_dictionary(&self, codec: u16) -> Result<Option<Vec<u8>>, Trouble> {
        let published = training::published(&self.fold.queue).await?;
        let Some((_, bytes)) = published.filter(|(published, _)| *published == codec) else { return Ok(None) };
        self.fold.writer.put_back_dictionary(codec, &bytes).await?;
        tracing::warn!(codec, "the published dictionary was not in the database any more: put there again");
        Ok(Some(bytes))
    }

    async fn write(&mut self, mut batch: Batch, sifted: Sifted<'_>, entry_count: usize) -> Result<(), Trouble> {
        batch.dead.extend(sifted.malformed.iter().map(|malformed| record::bury_malformed(malformed)));
        batch.gone.clone_from(&sifted.gone);
        if !sifted.is_empty() {
            batch.cursors = sifted.cursors();
        }
        let batch = Arc::new(batch);
        let started = Instant::now();
        let written = match self.fold.writer.commit(self.claim, Arc::clone(&batch)).await {
            Err(error) if error.class() == ErrorClass::Fenced => {
                measure::fenced();
                self.fold.writer.forget();
                return Err(Trouble::Fenced);
            }
            Err(error) if error.class() == ErrorClass::OutOfDate => {
                measure::out_of_date();
                self.fold.client_ids.learn(&self.fold.writer, batch.client_ids.keys().copied()).await?;
                return Err(Trouble::OutOfDate);
            }
            other => other?,
        };
        self.attempts = 0;
        self.claim.accounted = written.accounted;
        self.standing.holds(self.claim, started);
        self.fold.client_ids.take(&written.client_ids);
        measure::committed(self.claim.lane, &batch, &written, &sifted, entry_count, started.elapsed());
        self.accounts.advance(sifted);
        Ok(())
    }

    /// Publishes watermarks when it is time: all of them after a claim and now and then, each second those of the journals
    /// that something came from. Nothing while the lease may have run out: somebody else may have the lane, or the database may have been
    /// set back, and then what is in memory does not hold.
    async fn publish(&mut self) -> Result<(), Trouble> {
        if !self.standing.has_lease() {
            return Ok(());
        }
        if self.published_all_at.is_none_or(|at| at.elapsed() >= PUBLISH_ALL_EVERY) {
            let published = self.publish_all().await;
            self.published_at = Instant::now();
            if published.is_ok() {
                self.published_all_at = Some(self.published_at);
            }
            return unless_full(published);
        }
        if self.published_at.elapsed() >= PUBLISH_EVERY {
            self.publish_now().await?;
        }
        Ok(())
    }

    async fn publish_all(&mut self) -> Result<(), QueueError> {
        let (queue, lane) = (&self.fold.queue, self.claim.lane);
        self.beat += 1;
        if self.published_all_at.is_none() {
            queue.clear_watermarks(lane).await?;
        }
        queue.publish_watermarks(lane, self.claim.token, self.beat, &self.accounts.recent_watermarks()).await
    }

    async fn publish_now(&mut self) -> Result<(), Trouble> {
        self.published_at = Instant::now();
        unless_full(
            self.fold
                .queue
                .update_watermarks(self.claim.lane, self.claim.token, &self.accounts.seen_watermarks())
                .await,
        )
    }

    /// Whatever was in memory is forgotten when it is not known what was committed.
    fn cope(&mut self, trouble: &Trouble) {
        let lane = self.claim.lane;
        match trouble {
            // That Redis is away is said once for all lanes, by whoever guards the installation.
            Trouble::Queue(error) => tracing::debug!(lane, error = service::causes(error), "the lane cannot be read"),
            trouble if self.is_certain => {
                self.is_certain = false;
                tracing::warn!(lane, error = service::causes(trouble), "a batch was not committed, or it is not known");
            }
            trouble => tracing::debug!(lane, error = service::causes(trouble), "the lane cannot be claimed again"),
        }
    }

    /// Claims the lane anew when it is not known what was committed, and reads the sets again.
    async fn make_certain(&mut self) -> Result<(), Trouble> {
        if self.is_certain {
            return Ok(());
        }
        let asked_at = Instant::now();
        let claimed = self.fold.writer.claim_again(&self.fold.owner, self.claim.lane).await?;
        let claimed = claimed.ok_or(Trouble::Lost)?;
        self.standing.holds(claimed.claim, asked_at);
        *self = Lane::new(Arc::clone(&self.fold), &claimed, Arc::clone(&self.standing));
        Ok(())
    }
}

/// Why a part was not taken.
#[derive(Debug)]
struct Refused {
    death: Death,
    detail: String,
}

/// A full Redis takes no watermarks, but it lets itself be read and trimmed: that must go on, or it would stay full.
fn unless_full(published: Result<(), QueueError>) -> Result<(), Trouble> {
    match published {
        Err(error) if error.is_out_of_memory() => Ok(()),
        other => Ok(other?),
    }
}

/// How many entries to ask for where so many bytes are left and one takes so many.
fn read_count(bytes_left: usize, entry_bytes: usize) -> usize {
    match entry_bytes {
        0 => READ_COUNT_FIRST,
        bytes => (bytes_left / bytes).clamp(READ_COUNT_MIN, READ_COUNT_MAX),
    }
}

/// Lanes that have been empty for a while look at the same moments: the worker wakes once, and asks Redis for all of them in one write.
fn until_next_look(started_at: Instant) -> Duration {
    let since_last = started_at.elapsed().as_nanos() % IDLE_MAX.as_nanos();
    IDLE_MAX.saturating_sub(Duration::from_nanos(u64::try_from(since_last).unwrap_or(0)))
}

/// The pause now; the next one is twice as long.
fn double(pause: &mut Duration, max: Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(max);
    now
}
