//! `POST /api/{project}/envelope/`: an event and whatever belongs to it.

use std::io::BufRead;
use std::sync::Arc;

use http::request::Parts;
use journal::{Draft, Kind};
use notice::{Ledger, Stats};
use protocol::sentry::{self, Envelope, EnvelopeError, Feedback, Item, ItemHead, ReportContext};
use serde_json::{Value, json};
use service::http::Body;
use tokio::runtime::Handle;

use super::{Desk, EVENT_BYTES_MAX, accepted, key};
use crate::admission::Hold;
use crate::attachments::{Attachments, FileHead};
use crate::doors::{Answer, Answered};
use crate::gateway::{Gateway, Taking};
use crate::intake::Drafted;
use crate::projects::Project;
use crate::rejection::{Refusal, Rejection};
use crate::stream;

/// Most bytes of a client report, of what somebody wrote about an event, of a report of a browser.
const SMALL_ITEM_BYTES_MAX: usize = 64 * 1024;

/// Most bytes of an envelope, before and after it is unpacked.
pub(super) const ENVELOPE_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Records of one envelope; a client makes two or three.
const DRAFTS_MAX: usize = 200;

/// The item that is a file.
const ATTACHMENT: &str = "attachment";

/// What is only counted, and with it the files that come with it.
const WITH_FILES_OF_THEIR_OWN: [&str; 3] = ["transaction", "profile", "replay_event"];

/// What is taken and only counted, until there is something to show of it. What else may come is counted as `other`.
const COUNTED: [&str; 18] = [
    "transaction",
    "session",
    "sessions",
    "check_in",
    "log",
    "trace_metric",
    "span",
    "otel_span",
    "otel_log",
    "statsd",
    "metric_buckets",
    "profile",
    "profile_chunk",
    "replay_event",
    "replay_recording",
    "replay_video",
    ATTACHMENT,
    "minidump",
];

pub(in crate::doors) async fn envelope(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
) -> Answered {
    let taking = gateway.taking()?;
    let shown = match key::of_sentry(parts)? {
        Some(key) => Some(Ok(key::open(&taking.projects, &key, named)?)),
        // What this is shows when the envelope has no key of its own.
        None => key::of_anybody(parts).transpose().map(|key| key::open(&taking.projects, &key?, named)),
    };
    let project_id = shown.as_ref().and_then(|shown| shown.as_ref().ok()).map(|project| project.id);
    let taken = async {
        let (takes, head, named) = (Arc::clone(gateway), parts.clone(), named.to_owned());
        let read = move |reader: &mut dyn BufRead, hold: &mut Hold, waiting: Option<&Handle>| {
            read(reader, hold, waiting, |key| desk(&takes, &taking, &head, shown, key, &named))
        };
        finish(gateway, parts, gateway.read_through(parts, body, ENVELOPE_BYTES_MAX, read).await?).await
    };
    taken.await.map_err(|refusal: Refusal| refusal.or_of(project_id))
}

/// The project: the one whose key the request's head showed, else the one that the envelope names.
fn desk(
    gateway: &Arc<Gateway>,
    taking: &Taking,
    parts: &Parts,
    shown: Option<Result<Arc<Project>, Refusal>>,
    key: Option<&str>,
    named: &str,
) -> Result<Desk, Refusal> {
    let project = match (shown, key) {
        (Some(Ok(project)), _) => project,
        (_, Some(key)) => key::open(&taking.projects, key, named)?,
        (Some(Err(refusal)), None) => return Err(refusal),
        (None, None) => return Err(Rejection::MissingKey.into()),
    };
    Ok(Desk::new(gateway, taking.clone(), project, parts))
}

/// What came of an envelope.
struct Taken {
    desk: Desk,
    /// The id that is answered.
    event_id: Option<String>,
    drafts: Vec<Drafted>,
    /// Files of whatever is in the envelope.
    attachments: Attachments,
    /// Whose they are, if not of `event_id`: what somebody wrote is about another event.
    about: Option<String>,
    /// Whether they belong to something of which nothing is kept.
    is_only_counted: bool,
    /// Why a notice in it was not taken. The rest is.
    refused: Option<Refusal>,
}

/// Reads all of an envelope. What was good before it broke off is taken.
fn read(
    reader: &mut dyn BufRead,
    hold: &mut Hold,
    waiting: Option<&Handle>,
    desk: impl FnOnce(Option<&str>) -> Result<Desk, Refusal>,
) -> Result<Taken, Refusal> {
    let mut envelope = Envelope::begin(reader).map_err(broken)?;
    let desk = desk(envelope.public_key.as_deref())?;
    let project_id = desk.project.id;
    let attachments = desk.attachments(waiting);
    let mut taken = Taken {
        desk,
        event_id: envelope.event_id.clone(),
        drafts: Vec::new(),
        attachments,
        about: None,
        is_only_counted: false,
        refused: None,
    };
    if let Err(refusal) = read_items(&mut envelope, hold, &mut taken) {
        taken.attachments.give_up();
        return Err(refusal.or_of(Some(project_id)));
    }
    Ok(taken)
}

fn read_items<R: BufRead>(envelope: &mut Envelope<R>, hold: &mut Hold, taken: &mut Taken) -> Result<(), Refusal> {
    let mut is_first_event = true;
    loop {
        let Taken { attachments, is_only_counted, .. } = &mut *taken;
        let passed = |head: &ItemHead, bytes: &[u8]| {
            if head.kind == ATTACHMENT && !*is_only_counted {
                attachments.write(bytes, hold);
            }
        };
        let item = match envelope.next_item_passing(bytes_max, passed) {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(()),
            Err(_) if !taken.drafts.is_empty() || taken.attachments.count() > 0 => return Ok(()),
            Err(error) => return Err(broken(error)),
        };
        hold.grow(item.payload.len())?;
        let head_id = envelope.event_id.as_deref().filter(|_| is_first_event);
        is_first_event &= item.head.kind != "event";
        if let Err(refusal) = take(taken, &item, head_id) {
            taken.refused.get_or_insert(refusal.or_of(Some(taken.desk.project.id)));
        }
        if taken.drafts.len() >= DRAFTS_MAX {
            return Ok(());
        }
    }
}

/// How much of an item is needed.
fn bytes_max(head: &ItemHead) -> usize {
    match head.kind.as_str() {
        // What somebody wrote comes with all that an event has.
        "event" | "feedback" => EVENT_BYTES_MAX,
        "client_report" | "user_report" | "raw_security" | "nel" => SMALL_ITEM_BYTES_MAX,
        _ => 0,
    }
}

fn take(taken: &mut Taken, item: &Item, head_id: Option<&str>) -> Result<(), Refusal> {
    let kind = item.head.kind.as_str();
    let bytes_max = bytes_max(&item.head);
    if bytes_max > 0 && !item.is_whole() {
        return Err(Rejection::TooLarge { bytes_max }.into());
    }
    let desk = taken.desk.clone();
    match kind {
        "event" => {
            if let Some((client_id, draft)) = desk.event(&item.payload, head_id)? {
                taken.event_id.get_or_insert(client_id);
                taken.drafts.push(draft);
            } else {
                taken.is_only_counted = true;
            }
        }
        "raw_security" | "nel" => {
            let context = ReportContext::default();
            let reports = match kind {
                "nel" => sentry::nel_report(&item.payload, &context),
                _ => sentry::security_report(
                    &item.payload,
                    item.head.content_type.as_deref().unwrap_or_default(),
                    &context,
                ),
            };
            for parsed in reports.map_err(Rejection::from)? {
                let (client_id, draft) = desk.notice(parsed.notice)?;
                taken.event_id.get_or_insert(client_id);
                taken.drafts.push(draft);
            }
        }
        "client_report" => {
            let lines = sentry::client_report(&item.payload);
            if !lines.is_empty() {
                let (_, draft) = desk.taking.intake.draft(Kind::Ledger, &desk.project, &Ledger { lines });
                taken.drafts.push(draft.into());
            }
        }
        "user_report" => {
            let written = sentry::user_report(&item.payload).map_err(Rejection::from)?;
            taken.drafts.push(feedback(&desk, &written).into());
        }
        "feedback" => {
            let written = sentry::feedback(&item.payload).map_err(Rejection::from)?;
            taken.about.clone_from(&written.event_id);
            taken.drafts.push(feedback(&desk, &written).into());
        }
        ATTACHMENT if !taken.is_only_counted => {
            let ItemHead { filename, content_type, attachment_type, .. } = &item.head;
            taken.attachments.end(FileHead {
                name: filename.as_deref(),
                content_type: content_type.as_deref(),
                attachment_type: attachment_type.as_deref(),
            });
        }
        kind => {
            taken.is_only_counted |= WITH_FILES_OF_THEIR_OWN.contains(&kind);
            let kind = COUNTED.into_iter().find(|counted| *counted == kind).unwrap_or("other");
            desk.gateway.count_only(&desk.project, kind, 1);
        }
    }
    Ok(())
}

/// What somebody wrote, as a record.
pub(super) fn feedback(desk: &Desk, feedback: &Feedback) -> Draft {
    let rest: Value =
        feedback.rest_json.as_deref().and_then(|rest| serde_json::from_str(rest).ok()).unwrap_or_default();
    let json = json!({
        "event_id": feedback.event_id,
        "name": feedback.name,
        "email": feedback.email,
        "comments": feedback.comments,
        "rest": rest,
    });
    let stats = Stats { kind: "feedback".to_owned(), json: json.to_string() };
    desk.taking.intake.draft(Kind::Stats, &desk.project, &stats).1
}

/// Puts all of it on the disk, and answers.
async fn finish(gateway: &Gateway, parts: &Parts, taken: Taken) -> Result<Answer, Refusal> {
    let Taken { desk, event_id, drafts, attachments, about, refused, .. } = taken;
    let of_event = about.as_deref().or(event_id.as_deref()).filter(|_| refused.is_none());
    let mut drafts = match gateway.all_ready(parts, drafts).await {
        Ok(drafts) => drafts,
        Err(rejection) => {
            attachments.give_up();
            return Err(rejection.into());
        }
    };
    drafts.extend(attachments.finish(of_event));
    gateway.keep_all(&desk.taking.intake, drafts).await?;
    match refused {
        Some(refusal) => Err(refusal),
        None => Ok(accepted(event_id.as_deref())),
    }
}

fn broken(error: EnvelopeError) -> Refusal {
    match error {
        EnvelopeError::Parse(error) => Rejection::from(error).into(),
        EnvelopeError::Io(error) => stream::broken(&error),
    }
}
