//! Packing the duplicates of a batch: `cargo bench -p store`.

use hot::{hot, samples};
use notice::prost::Message as _;
use notice::{Item, NoticeId};
use store::chunk;

/// Duplicates in the chunk.
const DUPLICATES: u32 = 100;

fn main() {
    let mut notice = protocol::hoptoad::parse(samples::XML_4_KB).expect("the sample is a notice").notice;
    notice::normalise(&mut notice);
    notice::scrub(&mut notice);
    let items: Vec<Item> = (0..DUPLICATES)
        .map(|place| {
            // As with real duplicates: somebody else met it.
            notice.user.get_or_insert_default().id = Some(place.wrapping_mul(7_919).to_string());
            let accepted_at_us = 1_700_000_000_000_000 + i64::from(place);
            let id = NoticeId::new(accepted_at_us, 1, u64::from(place));
            Item { id, accepted_at_us, body: notice.encode_to_vec() }
        })
        .collect();
    let packed = chunk::encode(&items).remove(0).body;
    hot::run([
        hot("chunk_encode_100", move || chunk::encode(&items)),
        hot("chunk_decode_100", move || chunk::decode(chunk::CODEC_ZSTD, &packed)),
    ]);
}
