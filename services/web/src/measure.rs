//! What the web counts and times, each with a sentence on what it tells.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Declares the service's metrics.
pub(crate) fn describe() {
    describe_counter!("web_answers_total", "Answers, by the address's pattern and status.");
    describe_histogram!("web_answer_seconds", "Time from a request's head to its answer, by the address's pattern.");
    describe_counter!("web_rejections_total", "Requests that were not answered as asked, by reason.");
    describe_counter!(
        "web_cache_reads_total",
        "Reads from a cache, by cache and by whether it had something young enough."
    );
    describe_counter!(
        "web_live_polls_total",
        "Readings of watched projects, once a second for each that somebody watches, by how they ended."
    );
    describe_gauge!("web_live_streams", "Streams of server-sent events that are open.");
    describe_counter!("web_commands_total", "Commands sent to a worker, by whether it answered.");
    describe_counter!("web_sign_ins_total", "Attempts to sign in: right, wrong, limited or busy.");
}
