//! What people do about what they are told, as the store takes it.

use service::proto::command::{
    ChooseNotifications, DeleteDestination, DeleteRule, EnableDestination, SaveDestination, SaveRule, TestDestination,
    Unsubscribe,
};
use sha2::{Digest as _, Sha256};
use store::Writer;
use store::alert::DestinationKind;
use store::writer;
use tonic::Status;
use url::Url;

use crate::unsubscribe::{Ends, Link};

pub(super) fn save_destination(asked: SaveDestination) -> Result<writer::SaveDestination, Status> {
    let kind = DestinationKind::parse(&asked.kind)
        .ok_or_else(|| Status::invalid_argument("a kind of destination that this worker is too old for"))?;
    // As everybody writes it who reads it as an address; what is none is the person's to hear of.
    let url = asked.url.parse::<Url>().map_or(asked.url, String::from);
    let url_sha256 = Sha256::digest(&url).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(writer::SaveDestination {
        id: asked.id,
        kind,
        name: asked.name,
        url,
        url_sha256,
        secret: asked.secret,
        member_ids: asked.member_ids,
        expected_version: asked.expected_version,
    })
}

pub(super) fn enable_destination(asked: &EnableDestination) -> writer::EnableDestination {
    writer::EnableDestination { id: asked.id, enabled: asked.enabled }
}

pub(super) fn delete_destination(asked: &DeleteDestination) -> writer::DeleteDestination {
    writer::DeleteDestination { id: asked.id }
}

pub(super) fn test_destination(asked: &TestDestination) -> writer::TestDestination {
    writer::TestDestination { id: asked.id }
}

pub(super) fn save_rule(asked: SaveRule) -> writer::SaveRule {
    writer::SaveRule {
        id: asked.id,
        name: asked.name,
        trigger: asked.trigger,
        threshold: asked.threshold,
        window_minutes: asked.window_minutes,
        search: asked.search,
        environments: asked.environments,
        severity_min: asked.severity_min,
        destination_ids: asked.destination_ids,
        quiet_from: asked.quiet_from,
        quiet_until: asked.quiet_until,
        time_zone: asked.time_zone,
        digest_minutes: asked.digest_minutes,
        enabled: asked.enabled,
        expected_version: asked.expected_version,
    }
}

pub(super) fn delete_rule(asked: &DeleteRule) -> writer::DeleteRule {
    writer::DeleteRule { id: asked.id }
}

pub(super) fn choose_notifications(asked: &ChooseNotifications) -> writer::ChooseNotifications {
    writer::ChooseNotifications { alerts: asked.alerts, weekly: asked.weekly }
}

/// The link is proof enough: whoever has it may end what it is about, and nothing else. `None` when it is none of ours.
pub(super) async fn unsubscribe(store: &Writer, asked: &Unsubscribe) -> Result<Option<writer::Unsubscribe>, Status> {
    let key = store.unsubscribe_key().await.map_err(|_| Status::unavailable("the link cannot be checked now"))?;
    Ok(Link::read(&key, &asked.link).map(|link| writer::Unsubscribe {
        user_id: link.user_id,
        project_id: link.project_id,
        weekly: link.ends == Ends::Weekly,
    }))
}
