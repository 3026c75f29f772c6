//! Settings of a project: a list of sections, and one of them beside it.
//!
//! A section is a variant of [`Section`], a module with its handlers, and a route. Its page is a [`SectionPage`].

pub(crate) mod alerts;
pub(crate) mod general;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod scrubbing;

use askama::Template;
use axum::response::Response;
use store::reader::Opened;

use super::{Page, Piece, Tab, rendered};
use crate::app::App;
use crate::visitor::Visitor;

/// A part of a project's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Name, retention, limits.
    General,
    /// What people are told.
    Alerts,
    /// What is taken out of notices.
    Scrubbing,
    /// What clients show.
    Keys,
    /// Who sees it.
    Members,
    /// Of scripts and build tools.
    Tokens,
}

impl Section {
    /// All of them, in the order of the list.
    const ALL: [Section; 6] =
        [Section::General, Section::Keys, Section::Members, Section::Alerts, Section::Scrubbing, Section::Tokens];

    /// What the list calls it.
    fn label(self) -> &'static str {
        match self {
            Section::General => "General",
            Section::Alerts => "Alerts",
            Section::Scrubbing => "Scrubbing",
            Section::Keys => "Keys",
            Section::Members => "Members",
            Section::Tokens => "Tokens",
        }
    }

    /// Where it is.
    pub(crate) fn address(self, project_id: i64) -> String {
        match self {
            Section::General => format!("/projects/{project_id}/settings"),
            Section::Alerts => format!("/projects/{project_id}/settings/alerts"),
            Section::Scrubbing => format!("/projects/{project_id}/settings/scrubbing"),
            Section::Keys => format!("/projects/{project_id}/settings/keys"),
            Section::Members => format!("/projects/{project_id}/settings/members"),
            Section::Tokens => format!("/projects/{project_id}/settings/tokens"),
        }
    }
}

#[derive(Template)]
#[template(path = "settings/frame.html")]
struct Frame<'a> {
    project_name: &'a str,
    sections: Vec<Link>,
    body: &'a str,
}

struct Link {
    label: &'static str,
    address: String,
    is_here: bool,
}

/// One section on its way to a visitor, who may see the project.
pub(crate) struct SectionPage<'a> {
    pub(crate) visitor: &'a Visitor,
    pub(crate) project: &'a Opened,
    pub(crate) section: Section,
    /// What the section shows, as HTML.
    pub(crate) body: &'a str,
}

impl SectionPage<'_> {
    /// The whole page.
    pub(crate) fn answer(&self, app: &App) -> Response {
        let project_id = self.project.id();
        let link = |section: Section| Link {
            label: section.label(),
            address: section.address(project_id),
            is_here: section == self.section,
        };
        let body = rendered(&Frame {
            project_name: self.project.name(),
            sections: Section::ALL.into_iter().map(link).collect(),
            body: self.body,
        });
        let title = format!("{} · {}", self.section.label(), self.project.name());
        let page = Page {
            visitor: self.visitor,
            project: Some((self.project, Tab::Settings)),
            path: &self.section.address(project_id),
            piece: &Piece { title, body, ..Piece::default() },
            actions: "",
        };
        page.answer(&app.keys)
    }
}
