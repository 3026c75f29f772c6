//! `croak generate`: a project full of notices that nobody sent.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use notice::prost::Message as _;
use notice::{Accepted, Error, Frame, Grouping, Notice, NoticeFacts, NoticeId, Notifier, Request, Server, User};
use serde::Serialize;
use store::batch::{FacetCount, FingerprintBatch, Identity};
use store::writer::Generated;
use store::{Writer, chunk};

use crate::database::Database;
use crate::output::Output;

/// Groups of one slice, which is one transaction.
const SLICE_GROUPS: i64 = 500;
/// Lanes that the notices are said to have come by.
const LANES: i64 = 16;
/// Notices that come within one minute of one group.
const BURST: u64 = 50;
/// How far back they go.
const DAYS: i32 = 13;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

const CLASSES: [&str; 24] = [
    "Net::ReadTimeout",
    "Net::OpenTimeout",
    "ActiveRecord::RecordNotFound",
    "ActiveRecord::Deadlocked",
    "NoMethodError",
    "ArgumentError",
    "KeyError",
    "TypeError",
    "JSON::ParserError",
    "OpenSSL::SSL::SSLError",
    "Errno::ECONNREFUSED",
    "Errno::ENOSPC",
    "Redis::CannotConnectError",
    "Stripe::CardError",
    "ZeroDivisionError",
    "RangeError",
    "IOError",
    "EncodingError",
    "Timeout::Error",
    "Faraday::ConnectionFailed",
    "Sidekiq::Shutdown",
    "ActionView::Template::Error",
    "ActionController::RoutingError",
    "PG::UniqueViolation",
];
const THINGS: [&str; 20] = [
    "order", "invoice", "customer", "basket", "payment", "shipment", "refund", "coupon", "report", "session", "upload",
    "import", "webhook", "tenant", "price", "stock", "address", "mail", "job", "search",
];
const DEEDS: [&str; 16] = [
    "create", "update", "charge", "render", "fetch", "parse", "sync", "send", "merge", "validate", "load", "store",
    "expire", "retry", "count", "publish",
];

/// Makes notices for a project that has none of its own, to see what an installation bears; goes on where it was stopped
#[derive(clap::Args, Debug)]
pub(crate) struct Generate {
    #[command(flatten)]
    database: Database,
    /// Number or slug of the project
    #[arg(long)]
    project: String,
    /// Groups
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    groups: i64,
    /// Notices, at least one for each group; a few groups have many of them
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(1..=10_000_000_000))]
    notices: i64,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    project_id: i64,
    groups: i64,
    notices: i64,
    /// Of these, those that this call made.
    made_now: i64,
    seconds: f64,
}

impl Generate {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        ensure!(self.notices >= self.groups, "--notices must be at least --groups: a group has one notice at least");
        let admin = self.database.connect().await?;
        let project = admin.project(&self.project).await.context("looking for the project")?;
        let writer = Writer::connect(&self.database.url()?).await.context("connecting to the database")?;
        let plan = writer.begin_generated(project.id, self.groups, self.notices, DAYS).await.context("beginning")?;
        let began_at = Instant::now();
        self.make(&writer, plan).await?;
        if plan.slices_done < slices(plan) {
            writer.analyze().await.context("telling the planner")?;
        }
        let made = Made {
            project_id: project.id,
            groups: plan.group_count,
            notices: plan.notice_count,
            made_now: plan.notice_count - plan.notices_done,
            seconds: began_at.elapsed().as_secs_f64(),
        };
        output.show(&made, |made| {
            format!(
                "project {} has {} groups and {} notices, {} of them made in {:.0} s\n",
                made.project_id, made.groups, made.notices, made.made_now, made.seconds
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn make(&self, writer: &Writer, plan: Generated) -> anyhow::Result<()> {
        let mut told_at = Instant::now();
        let mut next = tokio::task::spawn_blocking(move || slice(plan, plan.slices_done));
        for number in plan.slices_done..slices(plan) {
            let batch = next.await.context("making a slice")?;
            // The next one is made while this one is written.
            next = tokio::task::spawn_blocking(move || slice(plan, number + 1));
            let lane = u16::try_from(number % LANES).unwrap_or_default();
            writer
                .write_generated(plan, number, lane, &batch)
                .await
                .with_context(|| format!("writing slice {number}"))?;
            if told_at.elapsed() > TELL_EVERY {
                told_at = Instant::now();
                eprintln!("{} of {} groups", (number + 1) * SLICE_GROUPS, plan.group_count);
            }
        }
        Ok(())
    }
}

fn slices(plan: Generated) -> i64 {
    (plan.group_count + SLICE_GROUPS - 1) / SLICE_GROUPS
}

/// The groups of a slice, always the same for a plan; nothing behind the last.
fn slice(plan: Generated, number: i64) -> Vec<FingerprintBatch> {
    let lane = u16::try_from(number % LANES).unwrap_or_default();
    let from = number * SLICE_GROUPS;
    (from..(from + SLICE_GROUPS).min(plan.group_count)).map(|place| group(plan, place, lane)).collect()
}

/// How many notices the groups before this place have: a tenth of the groups have about a third of all.
fn notices_before(plan: Generated, place: i64) -> i64 {
    let spare = (plan.notice_count - plan.group_count) as f64;
    place + (spare * (place as f64 / plan.group_count as f64).sqrt()).round() as i64
}

fn group(plan: Generated, place: i64, lane: u16) -> FingerprintBatch {
    let mut numbers = Numbers(plan.project_id.unsigned_abs() << 40 ^ place.unsigned_abs());
    let count = u64::try_from(notices_before(plan, place + 1) - notices_before(plan, place)).unwrap_or(1);
    // Most groups have not been seen lately: ages are spread so that each half of the time has half of the rest.
    let span_us = i64::from(DAYS) * 86_400_000_000 - 3_600_000_000;
    let age = |numbers: &mut Numbers, least: i64| {
        let part = numbers.below(1 << 20) as f64 / f64::from(1 << 20);
        least + ((span_us - least) as f64 * part * part) as i64
    };
    let last_age_us = age(&mut numbers, 0);
    let mut accepted = Vec::new();
    let mut burst_at_us = plan.ends_at_us() - last_age_us;
    for n in 0..count {
        if n > 0 && n % BURST == 0 {
            burst_at_us = plan.ends_at_us() - age(&mut numbers, last_age_us);
        }
        let at_us = burst_at_us - burst_at_us.rem_euclid(60_000_000) + (numbers.below(60_000_000)) as i64;
        let notice = notice(place, &mut numbers);
        let body = notice.encode_to_vec();
        accepted.push(Accepted {
            project_id: plan.project_id,
            fold_key: notice::fold_key(&notice),
            id: NoticeId::new(at_us, lane, numbers.next()),
            accepted_at_us: at_us,
            facts: NoticeFacts::decode(body.as_slice()).expect("it was just encoded"),
            body,
        });
    }
    fold(plan.project_id, accepted)
}

/// All notices of a group as one thing to write.
fn fold(project_id: i64, accepted: Vec<Accepted>) -> FingerprintBatch {
    let mut batch: Option<FingerprintBatch> = None;
    let mut items = Vec::new();
    for folded in notice::fold(accepted) {
        let sample = folded.sample().expect("it was just encoded");
        let batch = batch.get_or_insert_with(|| FingerprintBatch {
            project_id,
            identity: Arc::new(identity(&sample)),
            notice_count: 0,
            first_at_us: folded.first_at_us,
            last_at_us: folded.last_at_us,
            newest_id: folded.items[0].id,
            minutes: Default::default(),
            facets: Default::default(),
            users: Default::default(),
            user_hashes: Default::default(),
            chunks: Vec::new(),
        });
        batch.notice_count += folded.items.len() as u64;
        batch.first_at_us = batch.first_at_us.min(folded.first_at_us);
        batch.last_at_us = batch.last_at_us.max(folded.last_at_us);
        for (minute, count) in folded.minutes {
            *batch.minutes.entry(minute).or_default() += u64::from(count);
        }
        for (key, value, notice_count, first_at_us, last_at_us) in folded.facets {
            let facet = FacetCount { notice_count, first_at_us, last_at_us };
            batch.facets.entry((key, value)).and_modify(|counted| counted.add(&facet)).or_insert(facet);
        }
        batch.users.merge(&folded.users);
        batch.user_hashes.extend(folded.user_hashes);
        items.extend(folded.items);
    }
    let mut batch = batch.expect("a group has a notice");
    items.sort_unstable();
    batch.newest_id = items.last().map_or(batch.newest_id, |item| item.id);
    batch.chunks = chunk::encode(&items);
    batch
}

fn identity(notice: &Notice) -> Identity {
    let fingerprint = notice::fingerprint(notice, Grouping::Default);
    let error = &notice.errors[0];
    Identity {
        fingerprint: fingerprint.hash,
        version: fingerprint.version,
        parts_json: serde_json::to_string(&fingerprint.parts).expect("names and values are strings"),
        class: error.class().to_owned(),
        message: error.message().to_owned(),
        culprit: notice::culprit(notice),
        words: notice::search_words(notice),
        frame_names: notice::frame_names(notice),
    }
}

/// A notice of the group at this place: class, message and frames are the group's, the rest is anybody's.
fn notice(place: i64, numbers: &mut Numbers) -> Notice {
    let mut of_group = Numbers(place.unsigned_abs().wrapping_mul(0x5851_f42d_4c95_7f2d));
    let class = of_group.one_of(&CLASSES);
    let (thing, deed) = (of_group.one_of(&THINGS), of_group.one_of(&DEEDS));
    let mut frames: Vec<Frame> = Vec::new();
    for depth in 0..6_u64 {
        let thing = if depth == 5 { thing } else { of_group.one_of(&THINGS) };
        let deed = if depth == 5 { deed } else { of_group.one_of(&DEEDS) };
        let is_app = depth % 2 == 1;
        let frame = Frame {
            file: Some(if is_app {
                format!("app/models/{thing}.rb")
            } else {
                format!("gems/rack-3.1.{depth}/lib/rack/{thing}.rb")
            }),
            function: Some(if depth == 5 { format!("{deed}_{thing}_{place}") } else { format!("{deed}_{thing}") }),
            line: Some(u32::try_from(of_group.below(400)).unwrap_or_default() + 1),
            in_app: Some(is_app),
            ..Frame::default()
        };
        // The innermost first.
        frames.insert(0, frame);
    }
    let user = numbers.below(200_000);
    Notice {
        protocol: "airbrake-json".into(),
        environment: Some(if of_group.below(5) == 0 { "staging" } else { "production" }.into()),
        release: Some(format!("1.{}.{}", of_group.below(40), numbers.below(3))),
        tags_json: Some(format!(
            r#"{{"shop": "{}", "plan": "{}"}}"#,
            of_group.one_of(&["eu", "us", "uk", "jp"]),
            of_group.below(3)
        )),
        user: Some(User {
            id: Some(user.to_string()),
            email: Some(format!("user{user}@example.org")),
            ..User::default()
        }),
        server: Some(Server { hostname: Some(format!("web-{}", numbers.below(20))), ..Server::default() }),
        request: Some(Request { component: Some(thing.into()), action: Some(deed.into()), ..Request::default() }),
        notifier: Some(Notifier {
            name: Some("croak generate".into()),
            version: Some("1".into()),
            ..Notifier::default()
        }),
        errors: vec![Error {
            class: Some(class.into()),
            message: Some(format!("cannot {deed} {thing} {place}: the other side went away")),
            frames,
            ..Error::default()
        }],
        ..Notice::default()
    }
}

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(group_count: i64, notice_count: i64) -> Generated {
        let ends_at = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        Generated { project_id: 7, group_count, notice_count, slices_done: 0, notices_done: 0, ends_at }
    }

    #[test]
    fn all_slices_together_have_what_was_asked_for() {
        let plan = plan(1_200, 20_000);
        let batches: Vec<_> = (0..slices(plan)).flat_map(|number| slice(plan, number)).collect();
        assert_eq!(batches.len(), 1_200);
        assert_eq!(batches.iter().map(|batch| batch.notice_count).sum::<u64>(), 20_000);
        let fingerprints: std::collections::BTreeSet<_> =
            batches.iter().map(|batch| batch.identity.fingerprint).collect();
        assert_eq!(fingerprints.len(), 1_200, "each is a group of its own");
        assert!(slice(plan, slices(plan)).is_empty());
    }

    #[test]
    fn a_slice_is_the_same_each_time() {
        let plan = plan(600, 3_000);
        let ids = |batches: Vec<FingerprintBatch>| -> Vec<_> { batches.iter().map(|batch| batch.newest_id).collect() };
        assert_eq!(ids(slice(plan, 1)), ids(slice(plan, 1)));
    }
}
