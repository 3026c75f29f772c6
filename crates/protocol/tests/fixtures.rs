//! What we make of one request of each kind, as the JSON API shows it: look at the differences when one changes.

mod capture;

use capture::{fixtures, json_of};

/// Scenarios that show what is particular to a client.
const SHOWN: &[&str] = &[
    "browser-airbrake-2.1.9/009 request_context",
    "browser-sentry-11.12.0/013 uncaught_window_error",
    "browser-sentry-11.12.0/017 fingerprint_user_breadcrumbs",
    "node-airbrake-0.3.8/004 request_context",
    "node-airbrake-0.3.8/005 unicode_short",
    "node-airbrake-v3-2.1.9/006 request_context",
    "node-airbrake-v3-2.1.9/007 message_event",
    "node-bugsnag-9.0.0/003 nested_cause",
    "node-honeybadger-6.16.5/004 request_context",
    "node-rollbar-3.1.0/003 nested_cause",
    "node-sentry-11.12.0/004 nested_cause",
    "php-airbrake-1.1.3/001 simple",
    "php-airbrake-1.1.3/003 request_context",
    "php-airbrake-1.1.3/027 php_warning",
    "py-otel-grpc-1.45.1/007 log_exception",
    "py-pybrake-1.10.1/003 nested_cause",
    "py-pybrake-1.10.1/013 request_context",
    "py-raven-6.10.0/003 request_context",
    "py-raven-6.10.0/011 message_event",
    "py-sentry-plain-2.75.0/005 exception_group",
    "py-sentry-plain-2.75.0/006 fingerprint_user_tags",
    "ruby-airbrake-4.3.8/003 nested_cause",
    "ruby-airbrake-4.3.8/004 request_context",
    "ruby-airbrake-ruby-6.2.2/004 nested_cause",
    "ruby-airbrake-ruby-6.2.2/005 request_context",
    "ruby-hoptoad_notifier-2.4.10/001 simple",
    "ruby-hoptoad_notifier-2.4.10/006 message_only",
    "ruby-hoptoad_notifier-2.4.10/017 web_post_form",
    "rust-sentry-0.49.5/001 panic",
    "sentry-cli-3.8.0/016 send_event",
];

#[test]
fn a_request_of_each_client_becomes_this_notice() {
    let fixtures = fixtures();
    for name in SHOWN.iter().copied() {
        let fixture =
            fixtures.iter().find(|fixture| fixture.name == name).unwrap_or_else(|| panic!("{name} is no fixture"));
        let file = name.replace(['/', ' ', '.'], "_");
        insta::assert_json_snapshot!(file, json_of(&fixture.notice()));
    }
}

#[test]
fn the_group_of_each_is_made_of_these_parts() {
    let mut parts = String::new();
    for fixture in fixtures().iter().filter(|fixture| fixture.is_notice()) {
        parts.push_str(&format!("{}\n", fixture.name));
        for part in notice::fingerprint(&fixture.notice(), notice::Grouping::Default).parts {
            parts.push_str(&format!("    {}: {}\n", part.name, part.value));
        }
    }
    insta::assert_snapshot!(parts);
}
