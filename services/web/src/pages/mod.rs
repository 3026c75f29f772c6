//! Pages for people.
//!
//! A page is a shell, which is the visitor's own, around pieces, which look the same to everybody who may see them and
//! are kept for a moment.

pub(crate) mod account;
pub(crate) mod act;
pub(crate) mod bulk;
pub(crate) mod complete;
pub(crate) mod deploys;
pub(crate) mod export;
pub(crate) mod feed;
mod forms;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod ingest;
pub(crate) mod invitation;
pub(crate) mod link;
pub(crate) mod live;
pub(crate) mod locate;
pub(crate) mod new_project;
mod notice;
pub(crate) mod operator;
pub(crate) mod order;
pub(crate) mod organization;
pub(crate) mod projects;
pub(crate) mod saved;
pub(crate) mod sent;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod sign_up;
mod snippets;
pub(crate) mod theme;
pub(crate) mod unsubscribe;
mod visit;

use askama::Template;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum_extra::extract::cookie::Cookie;
use store::reader::Opened;

pub(crate) use forms::GroupPiece;

use crate::assets::{MARK, SCRIPT, STYLE};
use crate::cookies::{Keys, TOLD};
use crate::rejection::Rejection;
use crate::view::text::in_address;
use crate::visitor::{Theme, Told, Visitor};

/// A part of a page that does not depend on who is looking.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) title: String,
    /// The top of the page, above what the visitor can do.
    pub(crate) head: String,
    /// The rest of the page.
    pub(crate) body: String,
    /// The group that the page is about, which decides what can be done.
    pub(crate) group: Option<GroupPiece>,
    /// Whether it is a list whose rows can be ticked.
    pub(crate) is_list: bool,
    /// After how many seconds the page asks again by itself.
    pub(crate) refresh_seconds: Option<u32>,
    /// Whether the script of the page hears of news, so that it need not ask again where scripts run.
    pub(crate) hears_news: bool,
}

impl Piece {
    pub(crate) fn bytes(&self) -> usize {
        self.title.len() + self.head.len() + self.body.len() + self.group.as_ref().map_or(0, GroupPiece::bytes)
    }
}

/// Where in a project a page is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Groups,
    Deploys,
    Ingest,
    Settings,
}

struct Nav<'a> {
    project_id: i64,
    name: &'a str,
    tab: Tab,
}

#[derive(Template)]
#[template(path = "shell.html")]
struct Shell<'a> {
    title: &'a str,
    style: &'a str,
    script: &'a str,
    mark: &'a str,
    theme: Theme,
    visitor: Option<&'a Visitor>,
    /// Where the theme's form leads back to.
    path: &'a str,
    nav: Option<Nav<'a>>,
    told: Option<&'a Told>,
    are_changes_paused: bool,
    refresh_seconds: Option<u32>,
    hears_news: bool,
    parts: &'a [&'a str],
}

/// A whole page for somebody who is signed in.
pub(crate) struct Page<'a> {
    pub(crate) visitor: &'a Visitor,
    pub(crate) project: Option<(&'a Opened, Tab)>,
    pub(crate) path: &'a str,
    pub(crate) piece: &'a Piece,
    /// What the visitor can do, between the piece's head and its body, or above that.
    pub(crate) actions: &'a str,
}

impl Page<'_> {
    pub(crate) fn answer(&self, keys: &Keys) -> Response {
        self.answer_with(keys, "")
    }

    /// The same, with what the visitor can do below the piece's body.
    pub(crate) fn answer_with(&self, keys: &Keys, below: &str) -> Response {
        let shell = Shell {
            title: &self.piece.title,
            style: &STYLE.address,
            script: &SCRIPT.address,
            mark: &MARK.address,
            theme: self.visitor.theme,
            visitor: Some(self.visitor),
            path: self.path,
            nav: self.project.map(|(project, tab)| Nav { project_id: project.id(), name: project.name(), tab }),
            told: self.visitor.told.as_ref(),
            are_changes_paused: !self.visitor.may_change,
            refresh_seconds: self.piece.refresh_seconds,
            hears_news: self.piece.hears_news,
            parts: if self.piece.head.is_empty() {
                &[self.actions, &self.piece.body, below]
            } else {
                &["<div class=\"headline\">", &self.piece.head, self.actions, "</div>", &self.piece.body, below]
            },
        };
        let mut response = html(&shell);
        if self.visitor.told.is_some() {
            // It is told once.
            let gone = keys.told(String::new());
            let gone = Cookie::build((TOLD, ""))
                .path("/")
                .http_only(true)
                .max_age(time::Duration::ZERO)
                .secure(gone.secure().unwrap_or(false));
            if let Ok(value) = gone.build().to_string().parse() {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        response
    }
}

/// A page for anybody: signing in, errors.
pub(crate) fn plain_page(title: &str, theme: Theme, path: &str, body: &str) -> Response {
    html(&Shell {
        title,
        style: &STYLE.address,
        script: &SCRIPT.address,
        mark: &MARK.address,
        theme,
        visitor: None,
        path,
        nav: None,
        told: None,
        are_changes_paused: false,
        refresh_seconds: None,
        hears_news: false,
        parts: &[body],
    })
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorBody<'a> {
    title: &'a str,
    told: &'a str,
}

/// The page that says what went wrong.
pub(crate) fn error_page(rejection: &Rejection) -> Response {
    let told = rejection.told();
    let body = rendered(&ErrorBody { title: rejection.title(), told: &told });
    plain_page(rejection.title(), Theme::System, "/", &body)
}

fn html(template: &impl Template) -> Response {
    Html(rendered(template)).into_response()
}

/// A template as text. Ours have nothing in them that can fail.
pub(crate) fn rendered(template: &impl Template) -> String {
    template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a template cannot be rendered");
        String::new()
    })
}

/// The sign-in form that leads on to an address of ours.
pub(crate) fn sign_in_address(wanted: Option<&str>) -> String {
    match wanted.filter(|wanted| *wanted != "/" && is_our_path(wanted)) {
        None => "/sign-in".to_owned(),
        Some(wanted) => format!("/sign-in?next={}", in_address(wanted)),
    }
}

/// Whether a text is a path on this server, and not the address of another one.
pub(crate) fn is_our_path(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && !path.chars().any(|letter| letter.is_control() || letter == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_gone_on_to() {
        for path in ["/", "/projects/1/groups?query=a%20b"] {
            assert!(is_our_path(path), "{path}");
        }
        for path in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/a\\b"] {
            assert!(!is_our_path(path), "{path}");
        }
        assert_eq!(sign_in_address(Some("//evil.example")), "/sign-in");
        assert_eq!(sign_in_address(Some("/a?b=c&d")), "/sign-in?next=%2Fa%3Fb%3Dc%26d");
    }
}
