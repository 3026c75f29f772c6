//! Every metric of the public doors, each with what it tells.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Says what each metric tells.
pub(super) fn describe() {
    describe_counter!("service_accept_errors_total", "Connections that the system did not hand over.");
    describe_counter!(
        "service_connections_refused_total",
        "Connections closed at once because their address had as many as it may."
    );
    describe_counter!("service_tls_handshake_failures_total", "Handshakes that failed, by reason.");
    describe_counter!(
        "service_tls_certificate_reloads_total",
        "Changes of the certificate's files, by whether they were taken or refused."
    );
    describe_gauge!(
        "service_tls_certificate_expiry_timestamp_seconds",
        "When the certificate in use expires, in seconds since 1970."
    );
}

/// The system did not hand a connection over.
pub(super) fn accept_failed() {
    counter!("service_accept_errors_total").increment(1);
}

/// An address had as many connections as it may.
pub(super) fn connection_refused() {
    counter!("service_connections_refused_total").increment(1);
}

/// A handshake did not come about.
pub(super) fn handshake_failed(reason: &'static str) {
    counter!("service_tls_handshake_failures_total", "reason" => reason).increment(1);
}

/// The files of the certificate have changed.
pub(super) fn certificate_reloaded(outcome: &'static str) {
    counter!("service_tls_certificate_reloads_total", "outcome" => outcome).increment(1);
}

/// A certificate is in use.
pub(super) fn certificate_expires(at_s: i64) {
    gauge!("service_tls_certificate_expiry_timestamp_seconds").set(at_s as f64);
}
