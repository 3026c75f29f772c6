//! What a visitor can do about a group, as forms.

use std::fmt::Write as _;

use askama::Template;
use store::reader::{COMMENT_CHARS_MAX, Comment, GroupState, Member, MergedGroup, Opened};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Piece, rendered};
use crate::app::App;
use crate::view::number::counted;
use crate::view::text::shortened;
use crate::view::{markdown, times};
use crate::visitor::Visitor;

/// Characters of a message in the list of what was merged.
const MESSAGE_CHARS_MAX: usize = 120;

/// How long a group can be muted: seconds, and what it is called. None: until something else ends it.
const MUTE_TIMES: [(i64, &str); 5] =
    [(3600, "1 hour"), (4 * 3600, "4 hours"), (86_400, "1 day"), (7 * 86_400, "1 week"), (30 * 86_400, "30 days")];

/// What forms about a group are made of; the same for everybody who may see it.
pub(crate) struct GroupPiece {
    state: GroupState,
    version: i32,
    /// Who deals with it; 0: nobody.
    assignee_id: i64,
    environments: Vec<String>,
    has_release: bool,
    members: Vec<Member>,
    merged: Vec<MergedView>,
    comments: Vec<CommentView>,
}

impl GroupPiece {
    pub(super) fn of(
        group: &store::reader::Group,
        members: Vec<Member>,
        merged: Vec<MergedGroup>,
        comments: Vec<Comment>,
        now: OffsetDateTime,
    ) -> GroupPiece {
        GroupPiece {
            state: group.state,
            version: group.version,
            assignee_id: group.assignee.as_ref().map_or(0, |(id, _)| *id),
            environments: group.environments.clone(),
            has_release: group.last_release.is_some(),
            members,
            merged: merged.into_iter().map(|merged| MergedView::of(merged, group.id)).collect(),
            comments: comments.into_iter().map(|comment| CommentView::of(comment, now)).collect(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let merged: usize = self.merged.iter().map(|merged| 100 + merged.class.len() + merged.message.len()).sum();
        let comments: usize = self.comments.iter().map(|comment| 200 + comment.body.len() + comment.html.len()).sum();
        let members: usize = self.members.iter().map(|member| 40 + member.name.len()).sum();
        merged + comments + members
    }
}

struct MergedView {
    id: i64,
    class: String,
    message: String,
    notices: String,
    /// The group between, when it was merged into one that was merged itself.
    through: Option<i64>,
}

impl MergedView {
    fn of(merged: MergedGroup, shown_in: i64) -> MergedView {
        MergedView {
            id: merged.id,
            class: merged.class,
            message: shortened(&merged.message, MESSAGE_CHARS_MAX),
            notices: counted(merged.notice_count, "notice", "notices"),
            through: Some(merged.into_id).filter(|into| *into != shown_in),
        }
    }
}

struct CommentView {
    id: i64,
    author_id: i64,
    author: String,
    at: String,
    is_edited: bool,
    /// As it was written.
    body: String,
    html: String,
}

impl CommentView {
    fn of(comment: Comment, now: OffsetDateTime) -> CommentView {
        CommentView {
            id: comment.id,
            author_id: comment.author_id,
            author: comment.author.unwrap_or_else(|| "Somebody who has left".to_owned()),
            at: times::ago(comment.at, now),
            is_edited: comment.edited_at.is_some(),
            html: markdown::html(&comment.body),
            body: comment.body,
        }
    }
}

/// What a visitor can do about a group.
#[derive(Default)]
pub(super) struct Forms {
    /// Beside the group's name.
    pub(super) actions: String,
    /// At the end of the page.
    pub(super) below: String,
}

/// What all forms of a page have in common.
struct Frame<'a> {
    address: &'a str,
    form_token: &'a str,
    version: i32,
    back: &'a str,
}

impl Frame<'_> {
    /// The fields that every form has besides its own. Each form is a command of its own.
    fn fields(&self) -> String {
        let mut fields = String::with_capacity(400);
        let id = Uuid::new_v4().to_string();
        let version = self.version.to_string();
        for (name, value) in
            [("form_token", self.form_token), ("command_id", &id), ("expected_version", &version), ("back", self.back)]
        {
            let value = crate::view::text::escaped(value);
            let _ = write!(fields, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        }
        fields
    }
}

#[derive(Template)]
#[template(path = "actions.html")]
struct Actions<'a> {
    frame: &'a Frame<'a>,
    group: &'a GroupPiece,
    actions: Vec<Action>,
    mute_times: &'static [(i64, &'static str)],
    are_taken: bool,
    may_act: bool,
}

struct Action {
    name: &'static str,
    label: &'static str,
    key: &'static str,
    is_main: bool,
}

#[derive(Template)]
#[template(path = "group_below.html")]
struct Below<'a> {
    frame: &'a Frame<'a>,
    group: &'a GroupPiece,
    visitor_id: i64,
    can_act: bool,
    comment_chars_max: usize,
}

/// The forms that a group's state allows, for this visitor.
pub(super) async fn forms(
    app: &App,
    visitor: &Visitor,
    opened: &Opened,
    piece: &Piece,
    base: &str,
    back: &str,
) -> Forms {
    let Some(group) = &piece.group else { return Forms::default() };
    let action = |name, label, key, is_main| Action { name, label, key, is_main };
    let actions = match group.state {
        GroupState::Unresolved => {
            vec![action("resolve", "Resolve", "r", true), action("mute", "Mute", "m", false)]
        }
        GroupState::Resolved => vec![action("reopen", "Reopen", "o", true)],
        GroupState::Muted => {
            vec![action("reopen", "Unmute", "m", true), action("resolve", "Resolve", "r", false)]
        }
    };
    let frame = Frame { address: base, form_token: &visitor.form_token, version: group.version, back };
    let are_taken = app.commands.are_taken().await;
    let may_act = opened.may_act();
    Forms {
        actions: rendered(&Actions { frame: &frame, group, actions, mute_times: &MUTE_TIMES, are_taken, may_act }),
        below: rendered(&Below {
            frame: &frame,
            group,
            visitor_id: visitor.account.id,
            can_act: are_taken && may_act,
            comment_chars_max: COMMENT_CHARS_MAX,
        }),
    }
}
