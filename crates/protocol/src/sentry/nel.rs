//! Network errors that browsers report.

use notice::json_tree::Tree;

use super::hosts::host_of;
use super::report::{self, Entries, Report, ReportContext};
use crate::json::set;
use crate::{ParseError, Parsed};

/// Reads a list of reports: one notice for each.
pub fn nel_report(body: &[u8], context: &ReportContext<'_>) -> Result<Vec<Parsed>, ParseError> {
    report::each(body, |entries| {
        let is_report = entries.iter().any(|(key, value)| key == "body" && matches!(value, Tree::Map(_)));
        is_report.then(|| read(entries, context))
    })
}

/// What broke, in which phase, on the way to which host. Each kind of error of each host is a group.
pub(super) fn read(entries: Entries<'_>, context: &ReportContext<'_>) -> Parsed {
    let mut report = Report::new("sentry-nel", "Network error", "body");
    let (mut kind, mut phase, mut status) = (None, None, None);
    for (key, value) in report.unwrap(entries) {
        let is_taken = match &*key {
            "referrer" => set(&mut report.referrer, &value),
            "method" => set(&mut report.request.method, &value),
            // They stay where they came as well: the message is only made of them.
            "type" => set(&mut kind, &value) && value.is_empty(),
            "phase" => set(&mut phase, &value) && value.is_empty(),
            "status_code" => set(&mut status, &value) && value.is_empty(),
            _ => false,
        };
        if !is_taken {
            report.keep(key, value);
        }
    }
    let kind = kind.unwrap_or_else(|| "unknown".to_owned());
    // Browsers report a sample of what went well, too.
    if kind == "ok" {
        report.notice.severity = Some("info".to_owned());
    }
    let url = report.request.url.clone().unwrap_or_default();
    let host = host_of(&url).unwrap_or(&url);
    let status = status.filter(|status| kind == "http.error" && status != "0").unwrap_or_default();
    let what = [&kind, &status].map(String::as_str).join(" ");
    let place = phase.map(|phase| format!(" in phase '{phase}'")).unwrap_or_default();
    report.error.message = Some(format!("{}{place} of a request to '{host}'", what.trim()));
    report.finish(&["nel", what.trim(), host], context)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_report_of_a_list_is_a_notice() {
        let body = r#"[{"age":3,"type":"network-error","url":"https://api.example/a?x=1","user_agent":"Firefox","body":{"sampling_fraction":0.5,
            "referrer":"https://shop.example/","server_ip":"203.0.113.9","protocol":"h2","method":"GET","status_code":503,"elapsed_time":12,
            "phase":"application","type":"http.error"}},{"url":"https://api.example/","body":{"type":"ok"}}, {"body":[]}, 5]"#;
        let parsed = nel_report(body.as_bytes(), &ReportContext::default()).expect("is read");
        let [error, ok] = parsed.as_slice() else { panic!("{parsed:?}") };
        let notice = &error.notice;
        assert_eq!((notice.protocol.as_str(), notice.environment.as_deref()), ("sentry-nel", Some("production")));
        assert_eq!(
            notice.errors[0].message.as_deref(),
            Some("http.error 503 in phase 'application' of a request to 'api.example'")
        );
        assert_eq!(notice.client_fingerprint, ["nel", "http.error 503", "api.example"]);
        let request = notice.request.as_ref().expect("is there");
        assert_eq!(
            (request.url.as_deref(), request.method.as_deref()),
            (Some("https://api.example/a?x=1"), Some("GET"))
        );
        let json = |text: Option<&String>| -> Value { serde_json::from_str(text.expect("is there")).expect("is JSON") };
        assert_eq!(
            json(request.headers_json.as_ref()),
            json!({"User-Agent": "Firefox", "Referer": "https://shop.example/"})
        );
        assert_eq!(
            json(notice.unmapped_json.as_ref()),
            json!({"age": 3, "type": "network-error", "body.sampling_fraction": 0.5, "body.server_ip": "203.0.113.9", "body.protocol": "h2",
                "body.status_code": 503, "body.elapsed_time": 12, "body.phase": "application", "body.type": "http.error"})
        );
        assert_eq!(notice.notes, ["2 entries of the same body were no reports that are known here"]);
        assert_eq!(ok.notice.severity.as_deref(), Some("info"));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for body in ["", "x", "5", "{}", r#"{"body":5}"#] {
            assert!(nel_report(body.as_bytes(), &ReportContext::default()).is_err(), "{body}");
        }
    }
}
