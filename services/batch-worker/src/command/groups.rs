//! What people do to groups, as the store takes it.

use notice::IpRule;
use service::proto::command::{self as asked_for, group_change::Change};
use store::writer::{
    AssignGroup, ChangeFound, ChangeTicked, Comeback, DeleteComment, DeleteGroup, EditComment, GroupAct, GroupChange,
    MergeGroups, MuteUntil, SeenGroup, SetScrubbing, UndoBulk, UnmergeGroup, WriteComment,
};
use tonic::Status;
use uuid::Uuid;

pub(super) fn resolve(asked: &asked_for::ResolveGroup) -> GroupAct {
    let unless = comeback(asked.unless());
    act(asked.group_id, asked.expected_version, GroupChange::Resolve { unless })
}

pub(super) fn reopen(asked: &asked_for::ReopenGroup) -> GroupAct {
    act(asked.group_id, asked.expected_version, GroupChange::Reopen)
}

pub(super) fn mute(asked: &asked_for::MuteGroup) -> GroupAct {
    let until = mute_until(asked.until.as_ref());
    act(asked.group_id, asked.expected_version, GroupChange::Mute { until })
}

pub(super) fn assign(asked: &asked_for::AssignGroup, public_url: Option<String>) -> AssignGroup {
    let change = GroupChange::Assign { assignee_id: asked.assignee_id };
    AssignGroup { act: act(asked.group_id, asked.expected_version, change), public_url }
}

fn act(group_id: i64, expected_version: i32, change: GroupChange) -> GroupAct {
    GroupAct { group_id, change, expected_version }
}

fn comeback(unless: asked_for::Comeback) -> Comeback {
    match unless {
        asked_for::Comeback::Any => Comeback::Any,
        asked_for::Comeback::ThisRelease => Comeback::ThisRelease,
        asked_for::Comeback::NextRelease => Comeback::NextRelease,
    }
}

fn mute_until(until: Option<&asked_for::MuteUntil>) -> MuteUntil {
    until.map_or_else(MuteUntil::default, |until| MuteUntil {
        at_s: until.at_s.filter(|_| until.seconds.is_none()),
        seconds: until.seconds,
        notices: until.notices,
        users: until.users,
        elsewhere_than: until.elsewhere_than.clone(),
    })
}

pub(super) fn merge(asked: &asked_for::MergeGroups) -> MergeGroups {
    MergeGroups { groups: seen(&asked.groups), into: asked.into }
}

pub(super) fn unmerge(asked: &asked_for::UnmergeGroup) -> UnmergeGroup {
    UnmergeGroup { group_id: asked.group_id, expected_version: asked.expected_version }
}

fn seen(groups: &[asked_for::SeenGroup]) -> Vec<SeenGroup> {
    groups
        .iter()
        .map(|group| SeenGroup { group_id: group.group_id, expected_version: group.expected_version })
        .collect()
}

pub(super) fn write_comment(asked: &asked_for::WriteComment) -> WriteComment {
    WriteComment { group_id: asked.group_id, body: kept(&asked.body) }
}

pub(super) fn edit_comment(asked: &asked_for::EditComment) -> EditComment {
    EditComment { comment_id: asked.comment_id, body: kept(&asked.body) }
}

/// What is pasted has characters that nobody sees, and that the database does not take.
fn kept(body: &str) -> String {
    body.replace('\0', "")
}

pub(super) fn delete_comment(asked: &asked_for::DeleteComment) -> DeleteComment {
    DeleteComment { comment_id: asked.comment_id }
}

pub(super) fn change_ticked(asked: &asked_for::ChangeTicked) -> Result<ChangeTicked, Status> {
    Ok(ChangeTicked { groups: seen(&asked.groups), change: change(asked.change.as_ref())? })
}

pub(super) fn change_found(asked: &asked_for::ChangeFound) -> Result<ChangeFound, Status> {
    Ok(ChangeFound { search: asked.search.clone(), state: asked.state.clone(), change: change(asked.change.as_ref())? })
}

fn change(asked: Option<&asked_for::GroupChange>) -> Result<GroupChange, Status> {
    Ok(match asked.and_then(|asked| asked.change.as_ref()) {
        Some(Change::Resolve(unless)) => GroupChange::Resolve {
            unless: comeback(
                asked_for::Comeback::try_from(*unless).map_err(|_| Status::invalid_argument("no such comeback"))?,
            ),
        },
        Some(Change::Reopen(_)) => GroupChange::Reopen,
        Some(Change::Mute(until)) => GroupChange::Mute { until: mute_until(Some(until)) },
        Some(Change::Assign(id)) => GroupChange::Assign { assignee_id: Some(*id).filter(|id| *id != 0) },
        None => return Err(Status::invalid_argument("no change, or one that this worker is too old for")),
    })
}

pub(super) fn undo_bulk(asked: &asked_for::UndoBulk) -> Result<UndoBulk, Status> {
    let bulk_id = Uuid::parse_str(&asked.bulk_id).map_err(|_| Status::invalid_argument("bulk_id is not a UUID"))?;
    Ok(UndoBulk { bulk_id })
}

pub(super) fn delete(asked: &asked_for::DeleteGroup) -> DeleteGroup {
    DeleteGroup { group_id: asked.group_id, expected_version: asked.expected_version }
}

pub(super) fn set_scrubbing(asked: asked_for::SetScrubbing) -> Result<SetScrubbing, Status> {
    let ip = IpRule::parse(&asked.ip).ok_or_else(|| Status::invalid_argument("no such rule for addresses"))?;
    let expected_version = asked.expected_version;
    Ok(SetScrubbing { fields: asked.fields, patterns: asked.patterns, ip, expected_version })
}
