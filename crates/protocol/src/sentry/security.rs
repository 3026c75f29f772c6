//! What browsers report of policies that a page, or a connection to it, has broken.

use notice::json_tree::Tree;

use super::report::{self, Entries, ReportContext};
use super::{browser_report, certificate, csp, nel};
use crate::{ParseError, Parsed};

/// Reads a report of a browser: one notice for each violation in it.
///
/// Content security policies in both forms (`{"csp-report": …}`, and lists by the Reporting API), Expect-CT, Expect-Staple
/// and pinned keys. The content type tells what a report is that does not say it itself.
pub fn security_report(
    body: &[u8],
    content_type: &str,
    context: &ReportContext<'_>,
) -> Result<Vec<Parsed>, ParseError> {
    report::each(body, |entries| read(entries, content_type, context))
}

/// What a report can be wrapped in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csp,
    ExpectCt,
    ExpectStaple,
    /// Pinned keys have no wrapper.
    Hpkp,
}

/// The wrapper, and a part of the media type.
const KINDS: [(Kind, &str, &str); 3] = [
    (Kind::Csp, "csp-report", "csp"),
    (Kind::ExpectCt, "expect-ct-report", "expect-ct"),
    (Kind::ExpectStaple, "expect-staple-report", "expect-staple"),
];

fn read(mut entries: Entries<'_>, content_type: &str, context: &ReportContext<'_>) -> Option<Parsed> {
    if has(&entries, "type") && has(&entries, "body") {
        return Some(read_by_type(entries, context));
    }
    for (kind, wrapper, _) in KINDS {
        if let Some(at) = entries.iter().position(|(key, value)| key == wrapper && matches!(value, Tree::Map(_)))
            && let (_, Tree::Map(report)) = entries.swap_remove(at)
        {
            return Some(read_kind(kind, wrapper, report, entries, context));
        }
    }
    let media = content_type.to_ascii_lowercase();
    let kind = match KINDS.iter().find(|(_, _, part)| media.contains(part)) {
        _ if has(&entries, "known-pins") => Kind::Hpkp,
        Some((kind, ..)) if has(&entries, "hostname") || has(&entries, "document-uri") => *kind,
        _ => return None,
    };
    Some(read_kind(kind, "", entries, Vec::new(), context))
}

fn has(entries: &Entries<'_>, name: &str) -> bool {
    entries.iter().any(|(key, _)| key == name)
}

/// A report at this path of the body, and what stands around it.
fn read_kind<'a>(
    kind: Kind,
    path: &'static str,
    report: Entries<'a>,
    around: Entries<'a>,
    context: &ReportContext<'_>,
) -> Parsed {
    match kind {
        Kind::Csp => csp::read(report, path, around, context),
        Kind::ExpectCt => certificate::read(&certificate::EXPECT_CT, report, path, around, context),
        Kind::ExpectStaple => certificate::read(&certificate::EXPECT_STAPLE, report, path, around, context),
        Kind::Hpkp => certificate::read(&certificate::HPKP, report, path, around, context),
    }
}

/// A report by the Reporting API.
fn read_by_type(entries: Entries<'_>, context: &ReportContext<'_>) -> Parsed {
    let kind = entries.iter().find(|(key, _)| key == "type").and_then(|(_, value)| value.scalar()).unwrap_or_default();
    match kind {
        "csp-violation" => csp::read_by_type(entries, context),
        "network-error" => nel::read(entries, context),
        _ => browser_report::read(entries, context),
    }
}

#[cfg(test)]
mod tests {
    use notice::Notice;
    use serde_json::{Value, json};

    use super::*;

    const CONTEXT: ReportContext<'_> =
        ReportContext { environment: Some("staging"), release: Some("shop@1"), user_agent: Some("Mozilla") };

    fn all(body: &str, content_type: &str) -> Vec<Notice> {
        let parsed = security_report(body.as_bytes(), content_type, &CONTEXT).expect("is read");
        parsed.into_iter().map(|parsed| parsed.notice).collect()
    }

    fn one(body: &str, content_type: &str) -> Notice {
        let mut notices = all(body, content_type);
        assert_eq!(notices.len(), 1);
        notices.remove(0)
    }

    fn message(notice: &Notice) -> &str {
        notice.errors[0].message.as_deref().unwrap_or_default()
    }

    fn json_of(text: Option<&String>) -> Value {
        text.map_or(Value::Null, |text| serde_json::from_str(text).expect("is JSON"))
    }

    #[test]
    fn a_violation_says_what_was_blocked_where() {
        let notice = one(
            r#"{"csp-report":{"document-uri":"https://shop.example/cart","referrer":"https://shop.example/","violated-directive":"script-src-elem 'self'",
            "effective-directive":"script-src-elem","original-policy":"default-src 'self'","disposition":"enforce","blocked-uri":"https://cdn.example/x.js",
            "line-number":3,"column-number":"9","source-file":"https://shop.example/app.js","status-code":200,"script-sample":""},"other":1}"#,
            "application/csp-report",
        );
        assert_eq!(notice.protocol, "sentry-csp");
        assert_eq!(notice.errors[0].class.as_deref(), Some("CSP violation"));
        assert_eq!(message(&notice), "Blocked 'script' from 'cdn.example'");
        assert_eq!(notice.client_fingerprint, ["csp", "script-src-elem", "cdn.example"]);
        assert_eq!((notice.environment.as_deref(), notice.release.as_deref()), (Some("staging"), Some("shop@1")));
        assert_eq!((notice.severity.as_deref(), notice.logger.as_deref()), (Some("error"), Some("csp")));
        let frame = &notice.errors[0].frames[0];
        assert_eq!(
            (frame.file.as_deref(), frame.line, frame.column),
            (Some("https://shop.example/app.js"), Some(3), Some(9))
        );
        let request = notice.request.as_ref().expect("is there");
        assert_eq!(request.url.as_deref(), Some("https://shop.example/cart"));
        assert_eq!(
            json_of(request.headers_json.as_ref()),
            json!({"User-Agent": "Mozilla", "Referer": "https://shop.example/"})
        );
        assert_eq!(
            json_of(notice.unmapped_json.as_ref()),
            json!({"csp-report.violated-directive": "script-src-elem 'self'", "csp-report.effective-directive": "script-src-elem",
                "csp-report.original-policy": "default-src 'self'", "csp-report.disposition": "enforce",
                "csp-report.blocked-uri": "https://cdn.example/x.js", "csp-report.status-code": 200, "other": 1})
        );
    }

    #[test]
    fn what_was_blocked_has_many_forms() {
        for (blocked, directive, expected) in [
            ("inline", "script-src", "Blocked inline 'script'"),
            ("", "style-src-attr", "Blocked inline 'style'"),
            ("eval", "script-src", "Blocked eval 'script'"),
            ("self", "img-src", "Blocked 'img' from 'self'"),
            ("https://shop.example/x", "img-src", "Blocked 'img' from 'self'"),
            ("https://a.example:8443/x", "connect-src https://b.example", "Blocked 'connect' from 'a.example:8443'"),
            ("data", "font-src", "Blocked 'font' from 'data'"),
            ("data:font/woff;base64,AAAA", "font-src", "Blocked 'font' from 'data'"),
            ("blob", "", "Blocked 'default' from 'blob'"),
        ] {
            let body = json!({"csp-report": {"document-uri": "https://shop.example/", "blocked-uri": blocked, "violated-directive": directive}});
            assert_eq!(message(&one(&body.to_string(), "")), expected, "{blocked} {directive}");
        }
    }

    #[test]
    fn lists_by_the_reporting_api_have_one_notice_each() {
        let notices = all(
            r#"[{"type":"csp-violation","age":10,"url":"https://shop.example/","user_agent":"Firefox","body":{"documentURL":"https://shop.example/",
            "effectiveDirective":"img-src","blockedURL":"https://cdn.example/x.png","disposition":"report","lineNumber":7,"sample":"x"}},
            {"type":"network-error","age":1,"url":"https://api.example/a","body":{"type":"tcp.reset","phase":"connection"}},
            {"type":"deprecation","url":"https://shop.example/","body":{"id":"Unload","message":"Unload is going","sourceFile":"https://shop.example/app.js","lineNumber":3}},
            {"type":5,"body":{}}, null, {"type":"csp-violation"}]"#,
            "application/reports+json",
        );
        let messages: Vec<&str> = notices.iter().map(message).collect();
        assert_eq!(
            messages,
            [
                "Blocked 'img' from 'cdn.example'",
                "tcp.reset in phase 'connection' of a request to 'api.example'",
                "Unload is going",
                ""
            ]
        );
        assert_eq!(notices[0].severity.as_deref(), Some("warning"));
        assert_eq!(
            json_of(notices[0].request.as_ref().and_then(|request| request.headers_json.as_ref())),
            json!({"User-Agent": "Firefox"})
        );
        assert_eq!(
            json_of(notices[0].unmapped_json.as_ref()),
            json!({"type": "csp-violation", "age": 10, "body.effectiveDirective": "img-src", "body.blockedURL": "https://cdn.example/x.png",
                "body.disposition": "report", "body.sample": "x"})
        );
        assert_eq!(notices[0].notes, ["2 entries of the same body were no reports that are known here"]);
        assert_eq!(notices[1].protocol, "sentry-nel");
        assert_eq!(notices[2].client_fingerprint, ["report", "deprecation", "Unload"]);
        assert_eq!(notices[2].errors[0].class.as_deref(), Some("deprecation"));
    }

    #[test]
    fn certificates_group_by_host() {
        let body = r#"{"expect-ct-report":{"date-time":"2026-11-22T02:59:48Z","hostname":"shop.example","port":443,"failure-mode":"enforce","scts":[{"version":1}]}}"#;
        let notice = one(body, "application/expect-ct-report+json");
        assert_eq!(notice.protocol, "sentry-expect-ct");
        assert_eq!(message(&notice), "Certificate transparency failed for 'shop.example'");
        assert_eq!(notice.client_fingerprint, ["expect-ct", "shop.example"]);
        assert_eq!(notice.occurred_at_us, Some(1_795_316_388_000_000));
        assert_eq!(
            json_of(notice.unmapped_json.as_ref()),
            json!({"expect-ct-report.hostname": "shop.example", "expect-ct-report.port": 443,
                "expect-ct-report.failure-mode": "enforce", "expect-ct-report.scts": [{"version": 1}]})
        );
        let bare = r#"{"hostname":"shop.example","cert-status":"REVOKED"}"#;
        assert_eq!(one(bare, "application/expect-staple-report").protocol, "sentry-expect-staple");
        let pinned = r#"{"hostname":"shop.example","noted-hostname":"shop.example","known-pins":["pin-sha256=\"a\""]}"#;
        assert_eq!(one(pinned, "application/json").protocol, "sentry-hpkp");
        assert_eq!(json_of(one(pinned, "").unmapped_json.as_ref())["known-pins"], json!(["pin-sha256=\"a\""]));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for body in ["", "x", "5", "{}", "[5]", r#"{"csp-report":"x"}"#, r#"{"hostname":"a"}"#] {
            assert!(security_report(body.as_bytes(), "application/json", &CONTEXT).is_err(), "{body}");
        }
        assert_eq!(security_report(b"[]", "application/reports+json", &CONTEXT), Ok(Vec::new()));
    }

    #[test]
    fn a_body_of_many_reports_is_bounded_and_says_so() {
        let body = format!("[{}{{}}]", r#"{"type":"x","body":{}},"#.repeat(5_000));
        let notices = all(&body, "");
        assert_eq!(notices.len(), 100);
        assert!(notices[0].notes[0].starts_with("4901 reports"), "{:?}", notices[0].notes);
    }
}
