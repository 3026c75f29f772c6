//! Connections whose certificate was not as a header of the site had announced.

use super::report::{Entries, Report, ReportContext};
use crate::json::set;
use crate::{Parsed, timestamp};

/// What a site can announce of its certificates.
pub(super) struct Announced {
    protocol: &'static str,
    class: &'static str,
    what: &'static str,
}

/// That they are logged in public.
pub(super) const EXPECT_CT: Announced =
    Announced { protocol: "sentry-expect-ct", class: "Expect-CT failure", what: "Certificate transparency" };

/// That a proof comes with them that they are not revoked.
pub(super) const EXPECT_STAPLE: Announced =
    Announced { protocol: "sentry-expect-staple", class: "Expect-Staple failure", what: "OCSP stapling" };

/// That they have one of certain keys.
pub(super) const HPKP: Announced =
    Announced { protocol: "sentry-hpkp", class: "HPKP failure", what: "Public key pinning" };

/// Reads a report at this path of the body. Each host is a group.
pub(super) fn read<'a>(
    announced: &Announced,
    entries: Entries<'a>,
    path: &'static str,
    around: Entries<'a>,
    context: &ReportContext<'_>,
) -> Parsed {
    let mut report = Report::new(announced.protocol, announced.class, path);
    report.keep_around(around);
    let mut hostname = None;
    for (key, value) in entries {
        match &*key {
            "hostname" => {
                set(&mut hostname, &value);
            }
            "date-time" => {
                report.notice.occurred_at_us = timestamp::micros_of(&value);
                if report.notice.occurred_at_us.is_some() {
                    continue;
                }
            }
            _ => {}
        }
        report.keep(key, value);
    }
    let hostname = hostname.unwrap_or_default();
    report.error.message = Some(format!("{} failed for '{hostname}'", announced.what));
    let kind = announced.protocol.trim_start_matches("sentry-");
    report.finish(&[kind, &hostname], context)
}
