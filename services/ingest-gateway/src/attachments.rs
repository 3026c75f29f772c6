//! Files that come with an event: cut into parts, and put into the journal while they arrive.
//!
//! Each part is a record. The last record of a file says what it is and how many parts there are; it waits for the end of the request and
//! goes to the disk together with the event, all or nothing. Until then nobody is shown what has come, and what is broken off has no such
//! record. A file that cannot be kept is told in the project's ledger and never costs the event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use journal::Draft;
use notice::{AttachmentEnd, AttachmentPart};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::Config;
use crate::admission::Hold;
use crate::gateway::Gateway;
use crate::intake::{Intake, Stamp};
use crate::projects::Project;

/// Bytes of a part. A record of this size fits into every limit on its way, and requests that fill one each fit into memory.
const PART_BYTES: usize = 512 * 1024;

/// Bytes of the ends of files that wait for the end of the request, to be one record with what tells of the file. What does not fit becomes
/// a part of its own.
const TAILS_BYTES_MAX: usize = 256 * 1024;

/// Packed bytes of whole parts that wait for the end of a request that must not wait for the disk. Such a request is small, and so is what
/// its parts are packed to.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Files of one event.
const FILES_MAX: usize = 20;

/// Characters of a file's name, of its type, and of what it is.
const NAME_CHARS_MAX: usize = 255;
const CONTENT_TYPE_CHARS_MAX: usize = 127;
const ATTACHMENT_TYPE_CHARS_MAX: usize = 64;

/// What a file is called that has no name.
const NAMELESS: &str = "attachment";

/// The type of bytes of which nothing is said.
const BYTES: &str = "application/octet-stream";

/// What a client attaches when it does not say what it is.
const ORDINARY: &str = "event.attachment";

const DAY_S: u64 = 24 * 60 * 60;

/// How much is taken, with what was taken today.
pub(crate) struct AttachmentLimits {
    bytes_max: u64,
    of_event_bytes_max: u64,
    of_day_bytes_max: u64,
    today: Mutex<Today>,
}

/// Bytes by project.
#[derive(Default)]
struct Today {
    day: u64,
    taken: HashMap<u64, u64>,
}

/// Why a file is not kept, as the ledger says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// Longer than a file may be, or than all files of an event.
    TooLarge,
    TooMany,
    /// The project has had its share of today.
    OfDay,
    /// Neither memory nor the journal has room now.
    Overloaded,
    /// Nobody says which event it belongs to, or the event was refused.
    WithoutEvent,
}

/// What a file is, as its sender says.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FileHead<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) attachment_type: Option<&'a str>,
}

/// The files of one request while they arrive.
pub(crate) struct Attachments {
    gateway: Arc<Gateway>,
    project: Arc<Project>,
    intake: Intake,
    /// With it parts go to the disk while the request goes on; without it nobody may wait here.
    waiting: Option<Handle>,
    /// The file that is arriving.
    open: Option<Open>,
    whole: Vec<Whole>,
    /// Parts that go to the disk with the event.
    parts: Vec<(Stamp, Draft)>,
    /// Bytes of files so far, those that are not kept too.
    bytes: u64,
    held_bytes: usize,
    refused: Option<NotKept>,
}

/// A file that is arriving.
struct Open {
    upload: Stamp,
    buffer: Vec<u8>,
    part_count: u32,
    byte_length: u64,
    content: Sha256,
    /// Whether a part of it is on the disk.
    is_on_disk: bool,
    not_kept: Option<NotKept>,
}

/// A file that has arrived.
struct Whole {
    upload: Stamp,
    /// The last part, if it is not a record of its own.
    tail: Vec<u8>,
    is_on_disk: bool,
    /// All but the id, which is made when the event's is known.
    end: AttachmentEnd,
}

impl AttachmentLimits {
    pub(crate) fn new(config: &Config) -> AttachmentLimits {
        AttachmentLimits {
            bytes_max: config.attachment_bytes_max,
            of_event_bytes_max: config.attachments_of_event_bytes_max,
            of_day_bytes_max: config.attachments_of_day_bytes_max,
            today: Mutex::default(),
        }
    }

    /// Takes so many bytes from what the project may still send today.
    fn take_today(&self, project_id: u64, bytes: usize, day: u64) -> Result<(), NotKept> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.day != day {
            *today = Today { day, taken: HashMap::new() };
        }
        let taken = today.taken.entry(project_id).or_default();
        let after = *taken + bytes as u64;
        if self.of_day_bytes_max == 0 || after > self.of_day_bytes_max {
            return Err(NotKept::OfDay);
        }
        *taken = after;
        Ok(())
    }
}

impl NotKept {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            NotKept::TooLarge => "attachment_too_large",
            NotKept::TooMany => "attachments_too_many",
            NotKept::OfDay => "attachments_of_day",
            NotKept::Overloaded => "attachment_overloaded",
            NotKept::WithoutEvent => "attachment_without_event",
        }
    }
}

impl Attachments {
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        project: &Arc<Project>,
        intake: &Intake,
        waiting: Option<&Handle>,
    ) -> Attachments {
        Attachments {
            gateway: Arc::clone(gateway),
            project: Arc::clone(project),
            intake: intake.clone(),
            waiting: waiting.cloned(),
            open: None,
            whole: Vec::new(),
            parts: Vec::new(),
            bytes: 0,
            held_bytes: 0,
            refused: None,
        }
    }

    /// The next bytes of the file that is arriving.
    pub(crate) fn write(&mut self, bytes: &[u8], hold: &mut Hold) {
        let mut open = self.open.take().unwrap_or_else(|| self.begin());
        if open.not_kept.is_none()
            && let Err(why) = self.take(&mut open, bytes, hold)
        {
            self.let_go(&mut open, why);
        }
        self.open = Some(open);
    }

    /// The file has arrived, and is this.
    pub(crate) fn end(&mut self, head: FileHead<'_>) {
        let mut open = self.open.take().unwrap_or_else(|| self.begin());
        if open.not_kept.is_none()
            && let Err(why) = self.close(&mut open, head)
        {
            self.let_go(&mut open, why);
        }
        if let Some(why) = open.not_kept {
            self.refused.get_or_insert(why);
            self.gateway.count_only(&self.project, why.reason(), 1);
        }
    }

    /// The whole request comes no further. Only for whoever may wait.
    pub(crate) fn give_up(mut self) {
        for draft in self.given_up() {
            // If there is no room for this either, the parts go with their day.
            let _ = self.put(draft);
        }
    }

    /// How many files are to be kept.
    pub(crate) fn count(&self) -> usize {
        self.whole.len()
    }

    /// Why the first one that is not kept is not.
    pub(crate) fn refused(&self) -> Option<NotKept> {
        self.refused
    }

    /// What goes to the disk together with the event that has this id. Without one nothing of the files is kept, and nothing ever of
    /// one that has not arrived.
    pub(crate) fn finish(mut self, client_id: Option<&str>) -> Vec<Draft> {
        let Some(client_id) = client_id else {
            let count = self.whole.len() as u64;
            if count > 0 {
                self.gateway.count_only(&self.project, NotKept::WithoutEvent.reason(), count);
            }
            return self.given_up();
        };
        let mut drafts: Vec<Draft> = self.broken_off().into_iter().collect();
        drafts.extend(self.parts.drain(..).map(|(_, draft)| draft));
        drafts.extend(self.whole.drain(..).map(|Whole { upload, tail, mut end, .. }| {
            client_id.clone_into(&mut end.client_id);
            end.id = id_of(&self.project, &end);
            let part = if tail.is_empty() { end.part_count } else { end.part_count - 1 };
            let part = AttachmentPart { part, content: tail, end: Some(end), given_up: false };
            Intake::draft_part(&self.project, &upload, &part)
        }));
        drafts
    }

    fn begin(&self) -> Open {
        Open {
            upload: self.intake.upload(&self.project),
            buffer: Vec::new(),
            part_count: 0,
            byte_length: 0,
            content: Sha256::new(),
            is_on_disk: false,
            not_kept: None,
        }
    }

    fn take(&mut self, open: &mut Open, mut bytes: &[u8], hold: &mut Hold) -> Result<(), NotKept> {
        let limits = &self.gateway.attachments;
        open.byte_length += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        if self.whole.len() >= FILES_MAX {
            return Err(NotKept::TooMany);
        }
        if open.byte_length > limits.bytes_max || self.bytes > limits.of_event_bytes_max {
            return Err(NotKept::TooLarge);
        }
        open.content.update(bytes);
        while !bytes.is_empty() {
            if open.buffer.len() == PART_BYTES {
                self.put_part(open)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - open.buffer.len()));
            // Once as it is, and once packed.
            let needed_bytes = 2 * (open.buffer.len() + now.len());
            if needed_bytes > self.held_bytes {
                hold.grow(needed_bytes - self.held_bytes).map_err(|_| NotKept::Overloaded)?;
                self.held_bytes = needed_bytes;
            }
            open.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn close(&mut self, open: &mut Open, head: FileHead<'_>) -> Result<(), NotKept> {
        if self.whole.len() >= FILES_MAX {
            return Err(NotKept::TooMany);
        }
        let tails_bytes: usize = self.whole.iter().map(|whole| whole.tail.len()).sum();
        if tails_bytes + open.buffer.len() > TAILS_BYTES_MAX {
            self.put_part(open)?;
        }
        let tail = std::mem::take(&mut open.buffer);
        self.take_today(tail.len())?;
        open.part_count += u32::from(!tail.is_empty());
        let end = AttachmentEnd {
            id: Vec::new(),
            client_id: String::new(),
            name: text(head.name, NAME_CHARS_MAX, NAMELESS),
            content_type: media_type(head.content_type),
            attachment_type: text(head.attachment_type, ATTACHMENT_TYPE_CHARS_MAX, ORDINARY),
            byte_length: open.byte_length,
            part_count: open.part_count,
            sha256: open.content.finalize_reset().to_vec(),
        };
        self.whole.push(Whole { upload: open.upload, tail, is_on_disk: open.is_on_disk, end });
        Ok(())
    }

    /// What has been gathered becomes a record.
    fn put_part(&mut self, open: &mut Open) -> Result<(), NotKept> {
        self.take_today(open.buffer.len())?;
        let part =
            AttachmentPart { part: open.part_count, content: std::mem::take(&mut open.buffer), ..Default::default() };
        let draft = Intake::draft_part(&self.project, &open.upload, &part);
        // The same memory again.
        open.buffer = part.content;
        open.buffer.clear();
        open.part_count += 1;
        if self.waiting.is_some() {
            self.put(draft)?;
            open.is_on_disk = true;
            return Ok(());
        }
        let waiting_bytes: usize = self.parts.iter().map(|(_, draft)| draft.body.len()).sum();
        if waiting_bytes + draft.body.len() > WAITING_BYTES_MAX {
            return Err(NotKept::Overloaded);
        }
        self.parts.push((open.upload, draft));
        Ok(())
    }

    /// Puts a record on the disk, where this may wait for it.
    fn put(&self, draft: Draft) -> Result<(), NotKept> {
        let Some(waiting) = &self.waiting else { return Ok(()) };
        waiting.block_on(self.intake.keep(draft)).map_err(|_| NotKept::Overloaded)?;
        journal::failpoint::hit("gateway.after_part");
        Ok(())
    }

    fn take_today(&self, bytes: usize) -> Result<(), NotKept> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.gateway.attachments.take_today(self.project.id, bytes, now.as_secs() / DAY_S)
    }

    /// Nothing of this file is kept.
    fn let_go(&mut self, open: &mut Open, why: NotKept) {
        open.not_kept = Some(why);
        open.buffer = Vec::new();
        self.parts.retain(|(upload, _)| upload.id() != open.upload.id());
        if open.is_on_disk {
            // If there is no room for this either, the parts go with their day.
            let _ = self.put(given_up(&self.project, &open.upload));
            open.is_on_disk = false;
        }
    }

    /// What says of the file that is arriving that nothing of it is kept, where that needs to be said.
    fn broken_off(&mut self) -> Option<Draft> {
        let open = self.open.take()?;
        self.parts.retain(|(upload, _)| upload.id() != open.upload.id());
        open.is_on_disk.then(|| given_up(&self.project, &open.upload))
    }

    /// The same of all files.
    fn given_up(&mut self) -> Vec<Draft> {
        let mut drafts: Vec<Draft> = self.broken_off().into_iter().collect();
        self.parts.clear();
        let whole = self.whole.drain(..).filter(|whole| whole.is_on_disk);
        drafts.extend(whole.map(|whole| given_up(&self.project, &whole.upload)));
        drafts
    }
}

fn given_up(project: &Project, upload: &Stamp) -> Draft {
    Intake::draft_part(project, upload, &AttachmentPart { given_up: true, ..Default::default() })
}

/// The same for the same file of the same event, however often it is sent.
fn id_of(project: &Project, end: &AttachmentEnd) -> Vec<u8> {
    let mut all = Sha256::new();
    all.update(project.id.to_be_bytes());
    let texts = [&end.client_id, &end.name, &end.content_type, &end.attachment_type];
    for part in texts.into_iter().map(String::as_bytes).chain([end.sha256.as_slice()]) {
        all.update((part.len() as u64).to_be_bytes());
        all.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&all.finalize()[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid().as_bytes().to_vec()
}

/// At most so many characters, none of which can do anything but be shown.
fn text(said: Option<&str>, chars_max: usize, unsaid: &str) -> String {
    let said = said.unwrap_or_default().trim();
    let clean = |c: char| if c.is_control() || is_direction(c) { '_' } else { c };
    let text: String = said.chars().take(chars_max).map(clean).collect();
    if text.is_empty() { unsaid.to_owned() } else { text }
}

/// Characters that turn the direction of writing, by which `gpj.exe` is shown as `exe.jpg`.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A media type, as far as it is one.
fn media_type(said: Option<&str>) -> String {
    let said = said.unwrap_or_default().trim();
    let is_one = said.len() <= CONTENT_TYPE_CHARS_MAX
        && said.contains('/')
        && said.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_one { said.to_owned() } else { BYTES.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_its_share_of_each_day() {
        let limits =
            AttachmentLimits { bytes_max: 10, of_event_bytes_max: 10, of_day_bytes_max: 100, today: Mutex::default() };
        assert_eq!(limits.take_today(1, 100, 7), Ok(()));
        assert_eq!(limits.take_today(1, 1, 7), Err(NotKept::OfDay));
        assert_eq!(limits.take_today(2, 60, 7), Ok(()));
        assert_eq!(limits.take_today(1, 60, 8), Ok(()));
        let none = AttachmentLimits { of_day_bytes_max: 0, ..limits };
        assert_eq!(none.take_today(3, 0, 8), Err(NotKept::OfDay));
    }

    #[test]
    fn what_is_said_of_a_file_is_bounded_and_harmless() {
        assert_eq!(text(Some(" a\u{202e}gpj.exe\r\n"), 255, "x"), "a_gpj.exe");
        assert_eq!(text(Some("a\u{0}b\nc"), 255, "x"), "a_b_c");
        assert_eq!(text(Some(&"ä".repeat(300)), 255, "x").chars().count(), 255);
        assert_eq!(text(Some("  "), 255, "x"), "x");
        assert_eq!(media_type(Some("image/png")), "image/png");
        for wrong in [None, Some("png"), Some("text/plain\r\nX: y"), Some("text/ü")] {
            assert_eq!(media_type(wrong), BYTES);
        }
    }

    #[test]
    fn an_id_tells_what_was_sent_again_from_what_is_new() {
        let project =
            |id| Project { id, lane_subset: 1, rate_per_minute_max: None, is_disabled: false, ..Project::default() };
        let end = AttachmentEnd { client_id: "e".into(), name: "a".into(), sha256: vec![1; 32], ..Default::default() };
        let id = id_of(&project(1), &end);
        assert_eq!((id.len(), id_of(&project(1), &end)), (16, id.clone()));
        let others = [
            id_of(&project(2), &end),
            id_of(&project(1), &AttachmentEnd { client_id: "f".into(), ..end.clone() }),
            id_of(&project(1), &AttachmentEnd { name: String::new(), content_type: "a".into(), ..end.clone() }),
            id_of(&project(1), &AttachmentEnd { sha256: vec![2; 32], ..end }),
        ];
        assert!(!others.contains(&id));
    }
}
