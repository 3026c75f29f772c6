//! Groups for a newsreader, which has no session: the token in the address says whose eyes it has.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use store::reader::search::Search;
use store::reader::{Group, GroupFilter, GroupSort, GroupState, Opened, Viewer};
use store::token;

use super::groups::state_named;
use crate::api::rfc_3339;
use crate::app::App;
use crate::rejection::Rejection;
use crate::view::number::counted;
use crate::view::text::{escaped, shortened};

/// Groups that a feed has.
const ENTRIES_MAX: usize = 50;
/// A search that goes on for longer ends there: newsreaders do not wait for ever.
const SEARCHED_FOR_MAX: Duration = Duration::from_secs(5);
/// Characters of a message in a title.
const TITLE_CHARS_MAX: usize = 200;

pub(crate) async fn feed(
    State(app): State<App>,
    Path(clear): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    // What is revoked is gone at once: only what a feed says is kept for a moment, not whether it is there.
    let feed = app.reader.feed(&token::sha256(&clear)).await?.ok_or(Rejection::NotFound)?;
    let opened = app.open(Viewer::User(feed.user_id), feed.project_id).await?;
    let (query, state, name) = match &feed.search {
        Some(search) => (search.query.clone(), state_named(&search.state), Some(search.name.clone())),
        None => (String::new(), Some(GroupState::Unresolved), None),
    };
    let filter = GroupFilter {
        search: Search::parse(&query).map_err(|error| Rejection::BadRequest(error.to_string()))?,
        state,
        // What is new comes first, and each group comes once.
        sort: GroupSort::FirstSeen,
        me: Some(feed.user_id),
        among: None,
    };
    let base = app.base_url(&headers);
    let key = format!("feed {} {} {base} {state:?} {name:?} {query}", feed.project_id, feed.user_id);
    let reader = app.reader.clone();
    let answer = app.answers.get(key, None, || async move {
        let mut groups = Vec::new();
        let mut cursor = None;
        let since = Instant::now();
        // A search whose groups lie far apart comes in pages that are not full.
        while groups.len() < ENTRIES_MAX && since.elapsed() < SEARCHED_FOR_MAX {
            let rest = ENTRIES_MAX - groups.len();
            let Ok(page) = reader.groups(&opened, &filter, cursor.as_deref(), rest).await? else { break };
            groups.extend(page.groups);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok::<_, Rejection>(Some(atom(&opened, name.as_deref(), &base, &groups).into()))
    });
    let body = answer.await?.ok_or(Rejection::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")], body.as_ref().clone()).into_response())
}

/// The document (RFC 4287). An entry changes when its group does; its id never does.
fn atom(opened: &Arc<Opened>, name: Option<&str>, base: &str, groups: &[Group]) -> String {
    let project = format!("{base}/projects/{}/groups", opened.id());
    let newest = groups.iter().map(|group| group.first_seen_at).max();
    let updated = rfc_3339(newest.unwrap_or(time::OffsetDateTime::UNIX_EPOCH));
    let title = match name {
        Some(name) => format!("{} · {name}", opened.name()),
        None => opened.name().to_owned(),
    };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n<title>{}</title>\n<id>{}</id>\n<updated>{updated}</updated>\n<link rel=\"alternate\" href=\"{}\"/>\n<author><name>Croak</name></author>\n",
        plain(&title),
        plain(&match name {
            Some(name) => format!("urn:croak:project:{}:{}", opened.id(), crate::view::text::in_address(name)),
            None => format!("urn:croak:project:{}", opened.id()),
        }),
        plain(&project)
    );
    for group in groups {
        let what =
            if group.class.is_empty() { group.message.clone() } else { format!("{}: {}", group.class, group.message) };
        let at = rfc_3339(group.first_seen_at);
        let notices = counted(group.notice_count, "notice", "notices");
        let users = counted(group.user_count.into(), "user", "users");
        let _ = write!(
            xml,
            "<entry>\n<title>{}</title>\n<id>urn:croak:group:{}:{}</id>\n<published>{at}</published>\n<updated>{at}</updated>\n<link rel=\"alternate\" href=\"{}\"/>\n<summary>{}</summary>\n</entry>\n",
            plain(&shortened(&what, TITLE_CHARS_MAX)),
            group.project_id,
            group.id,
            plain(&format!("{project}/{}", group.id)),
            plain(&format!("{} – {notices}, {users}, {}", group.culprit, group.environments.join(", "))),
        );
    }
    xml.push_str("</feed>\n");
    xml
}

/// Text as XML: what XML 1.0 has no way to say is left out.
fn plain(text: &str) -> String {
    let sayable = |letter: &char| !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}');
    escaped(
        &text
            .chars()
            .map(|letter| if letter == '\n' || letter == '\t' { ' ' } else { letter })
            .filter(sayable)
            .collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_the_document() {
        assert_eq!(plain("a\u{0}b\n<c>&\u{1b}\u{ffff}\"ü"), "ab &lt;c&gt;&amp;&quot;ü");
    }
}
