//! What operators ask for about dead records.

use service::proto::command as asked_for;
use store::DeadNoticeId;
use store::writer::{DropDeadNotice, RetryDeadNotice};
use tonic::Status;
use uuid::Uuid;

pub(super) fn retry(asked: asked_for::RetryDeadNotice) -> Result<RetryDeadNotice, Status> {
    Ok(RetryDeadNotice { id: id(asked.dead)? })
}

pub(super) fn drop_for_good(asked: asked_for::DropDeadNotice) -> Result<DropDeadNotice, Status> {
    Ok(DropDeadNotice { id: id(asked.dead)? })
}

fn id(asked: Option<asked_for::DeadNoticeId>) -> Result<DeadNoticeId, Status> {
    let asked = asked.ok_or_else(|| Status::invalid_argument("dead is missing"))?;
    let journal = Uuid::parse_str(&asked.journal).map_err(|_| Status::invalid_argument("journal is not a UUID"))?;
    Ok(DeadNoticeId { journal, epoch: asked.epoch, lane: asked.lane, seq: asked.seq })
}
