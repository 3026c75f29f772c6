//! What people write, as HTML.
//!
//! Raw HTML is text, pictures are links to them, and links lead by http, https or mail or to our own pages: so nothing of it runs,
//! and nobody learns who looks at it. Headings are all of one rank below the page's own.

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use crate::pages::is_our_path;

/// The rank of what is a heading in a text.
const HEADING: HeadingLevel = HeadingLevel::H4;

/// Markdown as HTML that is safe to embed.
pub(crate) fn html(text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES);
    // Links and pictures that are open, innermost last, and whether they lead anywhere.
    let mut open: Vec<bool> = Vec::new();
    let events = parser.filter_map(move |event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Heading { .. }) => {
            Some(Event::Start(Tag::Heading { level: HEADING, id: None, classes: Vec::new(), attrs: Vec::new() }))
        }
        Event::End(TagEnd::Heading(_)) => Some(Event::End(TagEnd::Heading(HEADING))),
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            // A link within a link is none.
            let leads = leads_somewhere(&dest_url) && !open.contains(&true);
            open.push(leads);
            leads.then(|| link(dest_url))
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            open.pop().is_some_and(|leads| leads).then_some(Event::End(TagEnd::Link))
        }
        other => Some(other),
    });
    let mut html = String::with_capacity(text.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

fn link(to: CowStr<'_>) -> Event<'_> {
    Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url: to, title: "".into(), id: "".into() })
}

fn leads_somewhere(to: &str) -> bool {
    let scheme = to.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "mailto") => true,
        _ => is_our_path(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_shown_as_they_meant_it() {
        assert_eq!(html("a **b** `c`"), "<p>a <strong>b</strong> <code>c</code></p>\n");
        assert_eq!(html("# Cause\n- one"), "<h4>Cause</h4>\n<ul>\n<li>one</li>\n</ul>\n");
        assert_eq!(html("[fix](https://example.org/1)"), "<p><a href=\"https://example.org/1\">fix</a></p>\n");
        assert_eq!(
            html("<mailto:a@example.org>"),
            "<p><a href=\"mailto:a@example.org\">mailto:a@example.org</a></p>\n"
        );
        assert_eq!(html("[group](/projects/1/groups/7)"), "<p><a href=\"/projects/1/groups/7\">group</a></p>\n");
    }

    #[test]
    fn nothing_of_it_runs() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<svg/onload=alert(1)>\n\n<b>",
            "```\"><script>\nx\n```",
            "\"><script>",
            "| <script> |\n|---|\n| <b onclick=x> |",
        ] {
            let html = html(text);
            for tag in ["<script", "<img", "<svg", "<b"] {
                assert!(!html.contains(tag) || html.contains("<br") || html.contains("<blockquote"), "{html}");
            }
        }
        for to in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "vbscript:x",
            "&#106;avascript:x",
        ] {
            let html = html(&format!("[x](<{to}>)"));
            assert!(!html.contains("<a"), "{to}: {html}");
        }
    }

    #[test]
    fn a_picture_is_a_link_and_fetches_nothing() {
        let shown =
            html("![the graph](https://tracker.example/p.png) [![a](https://a.example/i.png)](https://b.example)");
        assert!(shown.contains("<a href=\"https://tracker.example/p.png\">the graph</a>"), "{shown}");
        assert!(!shown.contains("<img"), "{shown}");
        assert_eq!(shown.matches("<a").count(), shown.matches("</a>").count(), "{shown}");
    }
}
