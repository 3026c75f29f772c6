//! What people do to find again, as the store takes it.

use service::proto::command::{ForgetSearch, MakeFeed, RevokeFeed, SaveSearch};
use store::writer;

pub(super) fn save(asked: SaveSearch) -> writer::SaveSearch {
    writer::SaveSearch {
        name: asked.name,
        query: asked.query,
        state: asked.state,
        sort: asked.sort,
        is_shared: asked.is_shared,
    }
}

pub(super) fn forget(asked: &ForgetSearch) -> writer::ForgetSearch {
    writer::ForgetSearch { search_id: asked.search_id }
}

pub(super) fn make_feed(asked: MakeFeed) -> writer::MakeFeed {
    writer::MakeFeed { search_id: (asked.search_id != 0).then_some(asked.search_id), token_sha256: asked.token_sha256 }
}

pub(super) fn revoke_feed(asked: &RevokeFeed) -> writer::RevokeFeed {
    writer::RevokeFeed { feed_id: asked.feed_id }
}
