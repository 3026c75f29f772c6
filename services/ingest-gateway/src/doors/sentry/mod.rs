//! Sentry's doors: envelopes, the older store, reports of browsers, check-ins, what people wrote, and the
//! web API of build tools.

mod api;
mod envelope;
mod files;
mod key;
mod reports;
mod store;
mod unreal;

pub(super) use api::api;
pub(super) use envelope::envelope;
pub(super) use files::{attachments, minidump};
pub(super) use key::in_head as key_in_head;
pub(super) use reports::{check_in, feedback_dialog, feedback_form, nel, security, user_feedback};
pub(super) use store::{store, store_of_key};
pub(super) use unreal::unreal;

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use notice::Notice;
use protocol::ParseError;
use protocol::sentry::{self, EventContext};
use service::http::ClientAddress;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{Answer, with_body};
use crate::attachments::Attachments;
use crate::gateway::{Gateway, Taking};
use crate::intake::Drafted;
use crate::projects::Project;
use crate::rejection::{Refusal, Rejection};

/// Most bytes of one event, decompressed.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// What a door needs to make records of what it reads. Cheap to clone.
#[derive(Clone)]
struct Desk {
    gateway: Arc<Gateway>,
    taking: Taking,
    project: Arc<Project>,
    peer_ip: String,
    /// The client, as the request's head has it; empty if it has not.
    client: String,
}

impl Desk {
    fn new(gateway: &Arc<Gateway>, taking: Taking, project: Arc<Project>, parts: &Parts) -> Desk {
        let peer = parts.extensions.get::<ClientAddress>();
        let peer_ip = peer.map(|address| address.0.to_string()).unwrap_or_default();
        Desk { gateway: Arc::clone(gateway), taking, project, peer_ip, client: key::client(parts) }
    }

    /// Makes an event ready for the journal, as [`Desk::notice`] does; a transaction is only counted.
    fn event(&self, payload: &[u8], head_id: Option<&str>) -> Result<Option<(String, Drafted)>, Refusal> {
        let context = EventContext { event_id: head_id, ..self.context() };
        match sentry::parse_event(payload, &context) {
            Err(ParseError::Transaction) => {
                self.gateway.count_only(&self.project, "transaction", 1);
                Ok(None)
            }
            parsed => self.notice(parsed.map_err(Rejection::from)?.notice).map(Some),
        }
    }

    /// What is known of an event besides its payload.
    fn context(&self) -> EventContext<'_> {
        EventContext { event_id: None, peer_ip: Some(&self.peer_ip), client: Some(&self.client) }
    }

    /// What takes files in. With `waiting` it may wait for the disk.
    fn attachments(&self, waiting: Option<&Handle>) -> Attachments {
        Attachments::new(&self.gateway, &self.project, &self.taking.intake, waiting)
    }

    /// Makes a notice ready for the journal; says by which id its client knows it. One that came without gets one.
    fn notice(&self, mut notice: Notice) -> Result<(String, Drafted), Refusal> {
        self.gateway.pace(&self.project, 1)?;
        let client_id = notice.client_id.get_or_insert_with(|| Uuid::new_v4().simple().to_string()).clone();
        Ok((client_id, self.taking.intake.draft_notice(&self.project, self.taking.projects.dictionary, notice)))
    }
}

fn accepted(event_id: Option<&str>) -> Answer {
    with_body(StatusCode::OK, "application/json", sentry::accepted(event_id))
}
