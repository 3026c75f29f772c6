//! Reports that browsers send of their own accord, and what all of them have in common.

use std::borrow::Cow;

use notice::json_tree::{self, Tree};
use notice::{Error, Notice, Request};

use super::event::ENVIRONMENT;
use super::level;
use crate::json::{part, set, text_of};
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// Most reports of one body; of further ones only the number is kept.
const REPORTS_MAX: usize = 100;

/// What is known of a report besides its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportContext<'a> {
    /// `sentry_environment` of the query.
    pub environment: Option<&'a str>,
    /// `sentry_release` of the query.
    pub release: Option<&'a str>,
    /// The `User-Agent` of the request, for reports that do not have it in them.
    pub user_agent: Option<&'a str>,
}

/// A report that is being read.
pub(super) struct Report<'a> {
    pub(super) notice: Notice,
    pub(super) error: Error,
    pub(super) request: Request,
    pub(super) user_agent: Option<String>,
    pub(super) referrer: Option<String>,
    /// Where in the body its parts lie; empty, if it is the body.
    path: &'static str,
    unmapped: Unmapped<'a>,
}

/// The parts of an object.
pub(super) type Entries<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

impl<'a> Report<'a> {
    pub(super) fn new(protocol: &str, class: &str, path: &'static str) -> Report<'a> {
        Report {
            notice: Notice { protocol: protocol.to_owned(), ..Notice::default() },
            error: Error { class: Some(class.to_owned()), ..Error::default() },
            request: Request::default(),
            user_agent: None,
            referrer: None,
            path,
            unmapped: Unmapped::default(),
        }
    }

    /// Reads what the Reporting API has around each report, and gives the report itself.
    pub(super) fn unwrap(&mut self, entries: Entries<'a>) -> Entries<'a> {
        let mut body = Vec::new();
        for (key, value) in entries {
            let is_taken = match &*key {
                "body" if matches!(value, Tree::Map(_)) => {
                    if let Tree::Map(entries) = value {
                        body = entries;
                    }
                    continue;
                }
                "url" => set(&mut self.request.url, &value),
                "user_agent" => set(&mut self.user_agent, &value),
                _ => false,
            };
            if !is_taken {
                self.unmapped.add(key, value);
            }
        }
        body
    }

    /// Keeps a part of the report that no field takes.
    pub(super) fn keep(&mut self, key: Cow<'a, str>, value: Tree<'a>) {
        match self.path {
            "" => self.unmapped.add(key, value),
            path => self.unmapped.add(format!("{path}.{key}"), value),
        }
    }

    /// Keeps what stands around the report.
    pub(super) fn keep_around(&mut self, entries: Entries<'a>) {
        entries.into_iter().for_each(|(key, value)| self.unmapped.add(key, value));
    }

    /// The notice, of which `parts` say what it is grouped by.
    pub(super) fn finish(mut self, parts: &[&str], context: &ReportContext<'_>) -> Parsed {
        let notice = &mut self.notice;
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        notice.client_fingerprint = parts.iter().map(|part| (*part).to_owned()).collect();
        notice.release = owned(context.release);
        notice.environment = owned(context.environment).or_else(|| Some(ENVIRONMENT.to_owned()));
        notice.severity.get_or_insert_with(|| level::DEFAULT.to_owned());
        let user_agent = self.user_agent.or_else(|| owned(context.user_agent));
        let headers = [("User-Agent", user_agent), ("Referer", self.referrer)];
        let headers = headers.into_iter().filter_map(|(name, text)| Some((name.into(), Tree::Text(text?.into()))));
        self.request.headers_json = part(Some(Tree::Map(headers.collect())));
        notice.request = (self.request != Request::default()).then_some(self.request);
        notice.errors = vec![self.error];
        let mut notes = Vec::new();
        notice.unmapped_json = self.unmapped.finish(&mut notes);
        notice.notes = notes;
        Parsed { notice: self.notice, ..Parsed::default() }
    }
}

/// One notice for each report of a body, which is a list of them or a single one. `read_one` says which are none.
pub(super) fn each(body: &[u8], read_one: impl Fn(Entries<'_>) -> Option<Parsed>) -> Result<Vec<Parsed>, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(body, &mut notes);
    if text.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let read = json_tree::read(&text)
        .map_err(|malformed| ParseError::Malformed(format!("the body is not JSON: {malformed}")))?;
    notes.extend(read.notes.into_iter().map(str::to_owned));
    let reports = match read.tree {
        Tree::List(reports) => reports,
        report => vec![report],
    };
    let count = reports.len();
    let mut parsed = Vec::new();
    for report in reports.into_iter().take(REPORTS_MAX) {
        if let Tree::Map(entries) = report {
            parsed.extend(read_one(entries));
        }
    }
    if parsed.is_empty() && count > 0 {
        return Err(ParseError::Malformed("there is no report in the body that is known here".to_owned()));
    }
    if count > REPORTS_MAX {
        let further = count - REPORTS_MAX;
        notes.push(format!("{further} reports of the same body beyond the first {REPORTS_MAX} were dropped"));
    }
    let unknown = count.min(REPORTS_MAX) - parsed.len();
    if unknown > 0 {
        notes.push(format!("{unknown} entries of the same body were no reports that are known here"));
    }
    parsed.iter_mut().for_each(|parsed| parsed.notice.notes.extend(notes.iter().cloned()));
    Ok(parsed)
}
