//! Packing a notice for its way, and unpacking and folding a batch of them: `cargo bench -p queue`.

use hot::{hot, samples};
use notice::prost::Message as _;
use notice::{Accepted, NoticeFacts, NoticeId, fold_key, lane_hash};
use queue::{Lanes, body};

/// Notices of a batch.
const BATCH: u32 = 100;
/// The largest body that is unpacked.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Lanes of an installation, and of one project.
const LANES: u16 = 64;
const SUBSET: u16 = 16;

fn main() {
    let mut notice = protocol::hoptoad::parse(samples::XML_4_KB).expect("the sample is a notice").notice;
    notice::normalise(&mut notice);
    notice::scrub(&mut notice);
    let packed = body::compress(&notice.encode_to_vec());
    let (hash, lanes) = (lane_hash(&notice), Lanes::new(LANES));
    let key = fold_key(&notice);
    hot::run([
        hot("lane_for", move || lanes.lane_for(1, SUBSET, hash)),
        hot("encode_and_compress", move || body::compress(&notice.encode_to_vec())),
        hot("unpack_and_fold_100", move || {
            notice::fold((0..BATCH).map(|place| {
                let body = body::decompress(body::CODEC_ZSTD, &packed, BODY_BYTES_MAX).expect("it was packed here");
                let facts = NoticeFacts::decode(body.as_slice()).expect("it was encoded here");
                let accepted_at_us = 1_700_000_000_000_000 + i64::from(place);
                let id = NoticeId::new(accepted_at_us, 1, u64::from(place));
                Accepted { project_id: 1, fold_key: key, id, accepted_at_us, facts, body }
            }))
        }),
    ]);
}
