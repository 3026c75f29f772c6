//! What people do to groups, as the store takes it.

use service::proto::command::{MuteGroup, ReopenGroup, ResolveGroup};
use store::writer::{GroupAct, GroupChange};

pub(super) fn resolve(asked: &ResolveGroup) -> GroupAct {
    GroupAct { group_id: asked.group_id, change: GroupChange::Resolve, expected_version: asked.expected_version }
}

pub(super) fn reopen(asked: &ReopenGroup) -> GroupAct {
    GroupAct { group_id: asked.group_id, change: GroupChange::Reopen, expected_version: asked.expected_version }
}

pub(super) fn mute(asked: &MuteGroup) -> GroupAct {
    GroupAct { group_id: asked.group_id, change: GroupChange::Mute, expected_version: asked.expected_version }
}
