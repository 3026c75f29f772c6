//! What happens to every notice between parsing and the journal, and to every fold key after it: `cargo bench -p notice`.

use hot::{hot, samples};
use notice::{Grouping, Notice, fingerprint, fold_key, lane_hash};

fn main() {
    let parsed = protocol::hoptoad::parse(samples::XML_4_KB).expect("the sample is a notice").notice;
    let ready = ready(parsed.clone());
    let (folded, laned, grouped) = (ready.clone(), ready.clone(), ready);
    hot::run([
        hot("normalise_and_scrub", move || self::ready(parsed.clone())),
        hot("fold_key", move || fold_key(&folded)),
        hot("lane_hash", move || lane_hash(&laned)),
        hot("fingerprint", move || fingerprint(&grouped, Grouping::Default)),
    ]);
}

fn ready(mut notice: Notice) -> Notice {
    notice::normalise(&mut notice);
    notice::scrub(&mut notice);
    notice
}
