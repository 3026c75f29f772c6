//! Files that are sent by themselves: attachments of an event, and what a crashed process left of itself.

use std::io::BufRead;
use std::sync::Arc;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use journal::Draft;
use protocol::ParseError;
use protocol::sentry;
use service::http::Body;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::envelope::ENVELOPE_BYTES_MAX;
use super::reports::open;
use super::{Desk, EVENT_BYTES_MAX};
use crate::admission::Hold;
use crate::attachments::{Attachments, FileHead, NotKept};
use crate::doors::{Answered, with_body};
use crate::form::{self, FieldHead, Piece};
use crate::gateway::Gateway;
use crate::intake::Drafted;
use crate::rejection::{Refusal, Rejection};
use crate::stream;

/// The field of a form that has the dump.
const DUMP_FIELD: &str = "upload_file_minidump";

/// How a dump begins, in either order of bytes.
const DUMP_BEGINNINGS: [&[u8]; 2] = [b"MDMP", b"PMDM"];
const BEGINNING_BYTES: usize = 4;

/// What a dump may be in: packed, or in a form of its own. It is kept as it came.
const WRAPPED_BEGINNINGS: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "packed by gzip"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd"),
    (b"\xfd7zX", "packed by xz"),
    (b"BZh", "packed by bzip2"),
    (b"--", "in another form"),
];

/// What a dump is as an attachment.
const DUMP: &str = "event.minidump";
const DUMP_NAME: &str = "minidump.dmp";
const DUMP_TYPE: &str = "application/x-dmp";

/// `POST /api/{project}/events/{event}/attachments/`: files of an event that was sent before, or will be.
pub(in crate::doors) async fn attachments(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
    event_id: &str,
) -> Answered {
    let desk = open(gateway, parts, named, None)?;
    let (project_id, intake) = (desk.project.id, desk.taking.intake.clone());
    let taken = async {
        let event_id = sentry::event_id(event_id).ok_or_else(|| {
            Rejection::from(ParseError::Malformed("the event's id is not 32 hexadecimal digits".to_owned()))
        })?;
        let boundary = form::boundary(&parts.headers).ok_or(Rejection::UnknownType)?;
        let read = move |reader: &mut dyn BufRead, hold: &mut Hold, waiting: Option<&Handle>| {
            let mut files = desk.attachments(waiting);
            let read = form::read(reader, boundary, |piece| {
                take_file(&mut files, &piece, hold);
                Ok(())
            });
            keep(read.map(|_| ()), files, Some(&event_id))
        };
        let drafts = gateway.read_through(parts, body, ENVELOPE_BYTES_MAX, read).await?;
        gateway.keep_all(&intake, drafts).await
    };
    taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))?;
    Ok(with_body(StatusCode::CREATED, "application/json", "{}"))
}

/// All of the files, or why there are none.
fn keep(read: Result<(), Refusal>, files: Attachments, event_id: Option<&str>) -> Result<Vec<Draft>, Refusal> {
    let refused = match (read, files.refused()) {
        (Err(refusal), _) => refusal,
        // Where some are kept the ledger tells of the others.
        (Ok(()), Some(why)) if files.count() == 0 => none_kept(why).into(),
        (Ok(()), _) => return Ok(files.finish(event_id)),
    };
    files.give_up();
    Err(refused)
}

/// What somebody is told whose files were all that he sent.
fn none_kept(why: NotKept) -> Rejection {
    match why {
        NotKept::Overloaded => Rejection::Overloaded,
        why => Rejection::NoFile(why),
    }
}

fn take_file(files: &mut Attachments, piece: &Piece<'_>, hold: &mut Hold) {
    match piece {
        Piece::Content(FieldHead { file_name: Some(_), .. }, bytes) => files.write(bytes, hold),
        Piece::End(FieldHead { file_name: Some(name), content_type, .. }) => {
            files.end(FileHead { name: Some(name), content_type: content_type.as_deref(), attachment_type: None });
        }
        Piece::Content(..) | Piece::End(_) => {}
    }
}

/// `POST /api/{project}/minidump/`: the dump alone, or a form that has it among other fields and files.
pub(in crate::doors) async fn minidump(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
) -> Answered {
    let desk = open(gateway, parts, named, None)?;
    let (project_id, intake) = (desk.project.id, desk.taking.intake.clone());
    let taken = async {
        let boundary = form::boundary(&parts.headers);
        let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
        if is_form && boundary.is_none() {
            return Err(Rejection::from(ParseError::Malformed("the form's boundary is missing".to_owned())).into());
        }
        let read = move |reader: &mut dyn BufRead, hold: &mut Hold, waiting: Option<&Handle>| {
            let mut crash = Crash::new(desk.attachments(waiting));
            let read = match boundary {
                Some(boundary) => form::read(reader, boundary, |piece| crash.take(piece, hold)),
                None => crash.take_dump(reader, hold).map(|()| 0),
            };
            crash.into_event(read, &desk)
        };
        let (client_id, drafts) = gateway.read_through(parts, body, ENVELOPE_BYTES_MAX, read).await?;
        gateway.keep_all(&intake, gateway.all_ready(parts, drafts).await?).await?;
        Ok(client_id)
    };
    let client_id = taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))?;
    let told = Uuid::try_parse(&client_id).map_or(client_id, |id| id.hyphenated().to_string());
    Ok(with_body(StatusCode::OK, "text/plain", told))
}

/// What came of a crashed process.
struct Crash {
    files: Attachments,
    /// Fields that are no files, and files that have a part of the event.
    fields: Vec<(String, Vec<u8>)>,
    files_of_event: Vec<(String, Vec<u8>)>,
    /// Whether the last of them goes on.
    is_field_open: bool,
    /// How the dump begins.
    beginning: Vec<u8>,
    notes: Vec<String>,
}

impl Crash {
    fn new(files: Attachments) -> Crash {
        Crash {
            files,
            fields: Vec::new(),
            files_of_event: Vec::new(),
            is_field_open: false,
            beginning: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn take(&mut self, piece: Piece<'_>, hold: &mut Hold) -> Result<(), Refusal> {
        if let Piece::Content(FieldHead { name, file_name: Some(_), .. }, bytes) = &piece
            && sentry::is_part_of_event(name)
        {
            self.take_part_of_event(name, bytes, hold);
        }
        match piece {
            Piece::Content(FieldHead { name, .. }, bytes) if name == DUMP_FIELD => self.write(bytes, hold),
            Piece::End(FieldHead { name, file_name, .. }) if name == DUMP_FIELD => {
                self.end(file_name.as_deref().unwrap_or(DUMP_NAME));
            }
            Piece::Content(FieldHead { name, file_name: None, .. }, bytes) => {
                self.take_field(name, bytes, hold)?;
            }
            Piece::End(FieldHead { file_name: None, .. }) => self.is_field_open = false,
            piece => take_file(&mut self.files, &piece, hold),
        }
        Ok(())
    }

    fn take_field(&mut self, name: &str, bytes: &[u8], hold: &mut Hold) -> Result<(), Refusal> {
        let field_bytes: usize = self.fields.iter().map(|(name, text)| name.len() + text.len()).sum();
        if field_bytes + bytes.len() > EVENT_BYTES_MAX {
            return Err(Rejection::TooLarge { bytes_max: EVENT_BYTES_MAX }.into());
        }
        hold.grow(bytes.len())?;
        match self.fields.last_mut() {
            Some((_, said)) if self.is_field_open => said.extend_from_slice(bytes),
            _ => self.fields.push((name.to_owned(), bytes.to_vec())),
        }
        self.is_field_open = true;
        Ok(())
    }

    /// A part of the event is a file, too: what cannot be read of it is there to be looked at.
    fn take_part_of_event(&mut self, name: &str, bytes: &[u8], hold: &mut Hold) {
        let at = self.files_of_event.iter().position(|(there, _)| there == name).unwrap_or_else(|| {
            self.files_of_event.push((name.to_owned(), Vec::new()));
            self.files_of_event.len() - 1
        });
        let (_, part) = &mut self.files_of_event[at];
        if part.len() + bytes.len() <= EVENT_BYTES_MAX && hold.grow(bytes.len()).is_ok() {
            part.extend_from_slice(bytes);
        }
    }

    /// The whole body is the dump.
    fn take_dump(&mut self, reader: &mut dyn BufRead, hold: &mut Hold) -> Result<(), Refusal> {
        loop {
            let there = match reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(stream::broken(&error)),
                Ok([]) => break,
                Ok(there) => there,
            };
            let count = there.len();
            self.write(there, hold);
            reader.consume(count);
        }
        self.end(DUMP_NAME);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], hold: &mut Hold) {
        let missing = BEGINNING_BYTES.saturating_sub(self.beginning.len()).min(bytes.len());
        self.beginning.extend_from_slice(&bytes[..missing]);
        self.files.write(bytes, hold);
    }

    fn end(&mut self, name: &str) {
        self.files.end(FileHead { name: Some(name), content_type: Some(DUMP_TYPE), attachment_type: Some(DUMP) });
    }

    /// The event of the crash and its files; says by which id the event is known.
    fn into_event(mut self, read: Result<usize, Refusal>, desk: &Desk) -> Result<(String, Vec<Drafted>), Refusal> {
        let noticed = read.and_then(|left_out| {
            if left_out > 0 {
                self.notes.push(format!("the form has too many fields: {left_out} were left out"));
            }
            self.notice(desk)
        });
        match noticed {
            Ok((client_id, draft)) => {
                let mut drafts = vec![draft];
                drafts.extend(self.files.finish(Some(&client_id)).into_iter().map(Drafted::from));
                Ok((client_id, drafts))
            }
            Err(refusal) => {
                self.files.give_up();
                Err(refusal)
            }
        }
    }

    fn notice(&mut self, desk: &Desk) -> Result<(String, Drafted), Refusal> {
        if !DUMP_BEGINNINGS.contains(&self.beginning.as_slice()) {
            let wrapped = WRAPPED_BEGINNINGS.iter().find(|(beginning, _)| self.beginning.starts_with(beginning));
            let Some((_, wrapped)) = wrapped else {
                let what = "there is no minidump: it begins with MDMP or PMDM".to_owned();
                return Err(Rejection::from(ParseError::Malformed(what)).into());
            };
            self.notes.push(format!("the minidump came {wrapped}"));
        }
        let text = |(name, said): &(String, Vec<u8>)| (name.clone(), String::from_utf8_lossy(said).into_owned());
        let event = sentry::minidump_event(&self.fields.iter().map(text).collect::<Vec<_>>(), &self.files_of_event);
        let mut notice = sentry::parse_event(event.as_bytes(), &desk.context()).map_err(Rejection::from)?.notice;
        notice.notes.append(&mut self.notes);
        desk.notice(notice)
    }
}
