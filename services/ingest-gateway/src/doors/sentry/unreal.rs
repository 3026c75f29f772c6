//! What the crash reporter of the Unreal engine sends.

use std::io::{BufRead, ErrorKind};
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use protocol::sentry;
use serde_json::{Map, Value, json};
use service::http::Body;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::envelope::ENVELOPE_BYTES_MAX;
use super::reports::open;
use crate::admission::Hold;
use crate::attachments::FileHead;
use crate::doors::{Answered, with_body};
use crate::gateway::Gateway;
use crate::rejection::{Refusal, Rejection};
use crate::stream;

/// The archive as an attachment: a dump, a log and a description of the crash.
const ARCHIVE_NAME: &str = "unreal.crash";
const ARCHIVE_TYPE: &str = "application/octet-stream";

/// Most fields of an address that are kept.
const FIELDS_MAX: usize = 50;

/// `POST /api/{project}/unreal/{key}/?AppVersion=…&UserID=…`: an archive, kept whole beside an event of the crash.
pub(in crate::doors) async fn unreal(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    named: &str,
    key: &str,
) -> Answered {
    let desk = open(gateway, parts, named, Some(key))?;
    let (project_id, intake) = (desk.project.id, desk.taking.intake.clone());
    let event = event_of(parts.uri.query().unwrap_or_default());
    let taken = async {
        let read = move |reader: &mut dyn BufRead, hold: &mut Hold, waiting: Option<&Handle>| {
            let crash = sentry::parse_event(event.as_bytes(), &desk.context()).map_err(Rejection::from)?;
            let (client_id, draft) = desk.notice(crash.notice)?;
            let mut archive = desk.attachments(waiting);
            loop {
                let there = match reader.fill_buf() {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => {
                        archive.give_up();
                        return Err(stream::broken(&error));
                    }
                    Ok([]) => break,
                    Ok(there) => there,
                };
                let count = there.len();
                archive.write(there, hold);
                reader.consume(count);
            }
            archive.end(FileHead { name: Some(ARCHIVE_NAME), content_type: Some(ARCHIVE_TYPE), attachment_type: None });
            Ok((draft, archive.finish(Some(&client_id)), client_id))
        };
        let (draft, files, client_id) = gateway.read_through(parts, body, ENVELOPE_BYTES_MAX, read).await?;
        let mut drafts = vec![gateway.ready(parts, draft).await?];
        drafts.extend(files);
        gateway.keep_all(&intake, drafts).await?;
        Ok(client_id)
    };
    let client_id = taken.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))?;
    let told = Uuid::try_parse(&client_id).map_or(client_id, |id| id.hyphenated().to_string());
    Ok(with_body(StatusCode::OK, "text/plain", told))
}

/// The crash as an event, as far as the address tells: the version of the application, and who used it (`login|account|system`).
fn event_of(query: &str) -> String {
    let mut event = json!({
        "platform": "native",
        "level": "fatal",
        "exception": {"values": [{
            "type": "UnrealCrash",
            "mechanism": {"type": "unreal", "handled": false, "synthetic": true},
        }]},
    });
    let mut extra = Map::new();
    for (name, value) in
        form_urlencoded::parse(query.as_bytes()).take(FIELDS_MAX).filter(|(_, value)| !value.is_empty())
    {
        match &*name {
            "AppVersion" => event["release"] = value.into(),
            "AppEnvironment" => event["environment"] = value.into(),
            "UserID" => event["user"] = json!({"id": value}),
            _ => {
                extra.insert(name.into_owned(), Value::from(value.into_owned()));
            }
        }
    }
    event["extra"] = extra.into();
    event.to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_address_tells_of_the_crash() {
        let query = "AppID=CrashReporter&AppVersion=1.4.2&AppEnvironment=Release&UploadType=crashreports&UserID=ada%7C7%7CLinux";
        let event: Value = serde_json::from_str(&event_of(query)).unwrap();
        assert_eq!((&event["release"], &event["environment"]), (&json!("1.4.2"), &json!("Release")));
        assert_eq!(event["user"], json!({"id": "ada|7|Linux"}));
        assert_eq!(event["extra"], json!({"AppID": "CrashReporter", "UploadType": "crashreports"}));
        assert_eq!(event["exception"]["values"][0]["type"], "UnrealCrash");
    }
}
