//! From something that was understood to something that is on the disk.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use journal::{AppendError, Draft, Journal, Kind};
use notice::prost::Message;
use notice::{AttachmentPart, FOLD_KEY_VERSION, FoldKey, Notice, NoticeId, fold_key, lane_hash};
use queue::body::Dictionary;
use queue::{Queue, body};

use crate::admission::Hold;
use crate::measures;
use crate::projects::Project;
use crate::rejection::Rejection;

/// The journal, and the queue whose lanes its records will travel on. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) journal: Journal,
    queue: Queue,
}

/// Something for the journal.
pub(crate) enum Drafted {
    /// It can be kept.
    Ready(Draft),
    /// The patterns of its project have not been searched for yet.
    Unscrubbed(Box<Unscrubbed>),
}

/// A notice of a project with patterns.
pub(crate) struct Unscrubbed {
    intake: Intake,
    project: Arc<Project>,
    dictionary: Option<Dictionary>,
    notice: Notice,
}

impl Unscrubbed {
    /// How much memory it takes while it waits, in bytes.
    fn bytes(&self) -> usize {
        self.notice.encoded_len()
    }

    /// The record. Patterns are searched for by a thread of its own, one notice at a time for each project: however long that takes, it takes
    /// no other project's turn.
    async fn scrubbed(self: Box<Self>) -> Result<Draft, Rejection> {
        let turn = Arc::clone(&self.project.scrub_turn).lock_owned().await;
        let scrub = move || {
            let _turn = turn;
            self.intake.draft_scrubbed(&self.project, self.dictionary, self.notice)
        };
        tokio::task::spawn_blocking(scrub).await.map_err(|_| Rejection::Broken)
    }
}

impl Drafted {
    /// The record; what has to wait for it counts as in flight.
    pub(crate) async fn ready(self, hold: impl FnOnce() -> Hold) -> Result<Draft, Rejection> {
        match self {
            Drafted::Ready(draft) => Ok(draft),
            Drafted::Unscrubbed(waiting) => {
                let mut hold = hold();
                hold.grow(waiting.bytes())?;
                waiting.scrubbed().await
            }
        }
    }
}

impl From<Draft> for Drafted {
    fn from(draft: Draft) -> Drafted {
        Drafted::Ready(draft)
    }
}

/// What every record fixes once, for ever: when, where to, and under which id.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    accepted_at_us: i64,
    lane: u16,
    id: NoticeId,
}

impl Stamp {
    pub(crate) fn id(&self) -> NoticeId {
        self.id
    }
}

impl Intake {
    pub(crate) fn new(journal: Journal, queue: Queue) -> Intake {
        Intake { journal, queue }
    }

    /// How many lanes new records are spread over.
    pub(crate) fn lane_count(&self) -> usize {
        self.queue.lanes().current().len()
    }

    /// Makes a notice ready for the journal: bounds it, takes secrets out, fixes its lane, fold key and id, packs it. Where the project has
    /// patterns of its own, what they are for is still to be done.
    pub(crate) fn draft_notice(
        &self,
        project: &Arc<Project>,
        dictionary: Option<Dictionary>,
        mut notice: Notice,
    ) -> Drafted {
        notice::normalise(&mut notice);
        notice::scrub(&mut notice);
        if project.scrubbing.may_take_long() {
            let (intake, project) = (self.clone(), Arc::clone(project));
            return Drafted::Unscrubbed(Box::new(Unscrubbed { intake, project, dictionary, notice }));
        }
        Drafted::Ready(self.draft_scrubbed(project, dictionary, notice))
    }

    fn draft_scrubbed(&self, project: &Project, dictionary: Option<Dictionary>, mut notice: Notice) -> Draft {
        project.scrubbing.apply(&mut notice);
        let stamp = self.stamp(project, lane_hash(&notice));
        let FoldKey(fold_key) = fold_key(&notice);
        Draft {
            fold_key,
            fold_key_version: FOLD_KEY_VERSION,
            ..draft(Kind::Notice, project, &stamp, &notice, dictionary)
        }
    }

    /// Makes anything else ready for the journal: a deploy, statistics, a ledger.
    pub(crate) fn draft(&self, kind: Kind, project: &Project, message: &impl Message) -> (NoticeId, Draft) {
        // Rare beside notices, and in one lane a project's deploys keep their order.
        let stamp = self.stamp(project, 0);
        (stamp.id, draft(kind, project, &stamp, message, None))
    }

    /// What all records of one attachment have in common. Nothing else decides on its lane: what is sent again may come by another.
    pub(crate) fn upload(&self, project: &Project) -> Stamp {
        self.stamp(project, rand::random())
    }

    /// Makes a part of an attachment ready for the journal.
    pub(crate) fn draft_part(project: &Project, upload: &Stamp, part: &AttachmentPart) -> Draft {
        draft(Kind::AttachmentPart, project, upload, part, None)
    }

    /// Puts it on the disk. Only after this may a client be told that it was accepted.
    pub(crate) async fn keep(&self, draft: Draft) -> Result<(), AppendError> {
        self.keep_all(vec![draft]).await
    }

    /// Puts all of them on the disk, or none.
    pub(crate) async fn keep_all(&self, drafts: Vec<Draft>) -> Result<(), AppendError> {
        let began = Instant::now();
        let kept = self.journal.append(drafts).await;
        measures::appended(began.elapsed());
        kept
    }

    fn stamp(&self, project: &Project, hash: u64) -> Stamp {
        let accepted_at_us = now_us();
        let lane = self.queue.lanes().lane_for(project.id, project.lane_subset, hash);
        Stamp { accepted_at_us, lane, id: NoticeId::new(accepted_at_us, lane, rand::random()) }
    }
}

fn draft(
    kind: Kind,
    project: &Project,
    stamp: &Stamp,
    message: &impl Message,
    dictionary: Option<Dictionary>,
) -> Draft {
    let content = message.encode_to_vec();
    let (codec, body) = match dictionary {
        Some(dictionary) => (dictionary.codec(), dictionary.compress(&content)),
        None => (body::CODEC_ZSTD, body::compress(&content)),
    };
    Draft {
        kind,
        codec,
        lane: stamp.lane,
        project_id: project.id,
        fold_key_version: 0,
        fold_key: [0; 16],
        accepted_at_us: stamp.accepted_at_us,
        id: *stamp.id.as_bytes(),
        body,
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
