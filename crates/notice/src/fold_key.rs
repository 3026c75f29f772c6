//! What a notice is folded by, before anybody thinks about groups.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::{Frame, Notice, culprit, script_images};

/// Which inputs, in which order, [`fold_key`] hashes; stored beside the key, because keys of two versions do not compare.
pub const FOLD_KEY_VERSION: u8 = 2;

/// A hash over every input of grouping: notices that share it are in one group under any grouping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoldKey(pub [u8; 16]);

impl fmt::Display for FoldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The fold key of a normalised and scrubbed notice.
///
/// Of a chain only the outermost error is an input of grouping, so only that is hashed.
pub fn fold_key(notice: &Notice) -> FoldKey {
    let mut hash = Inputs(Xxh3::new());
    let request = notice.request.as_ref();
    hash.text(notice.environment.as_deref());
    hash.text(notice.release.as_deref());
    hash.text(request.and_then(|request| request.component.as_deref()));
    hash.text(request.and_then(|request| request.action.as_deref()));
    hash.text(notice.server.as_ref().and_then(|server| server.root.as_deref()));
    hash.count(notice.client_fingerprint.len());
    for part in &notice.client_fingerprint {
        hash.text(Some(part));
    }
    if let Some(error) = notice.errors.first() {
        hash.text(error.class.as_deref());
        hash.text(error.message.as_deref());
        hash.count(error.frames.len());
        for frame in &error.frames {
            hash.text(frame.file.as_deref());
            hash.text(frame.function.as_deref());
            hash.text(frame.module.as_deref());
            hash.number(frame.line);
            hash.number(frame.in_app.map(u32::from));
        }
        // Clients that do not say it keep the keys that they had before there was this.
        if error.module.is_some() {
            hash.text(error.module.as_deref());
        }
        hash.script(notice, &error.frames);
    }
    FoldKey(hash.0.digest128().to_be_bytes())
}

/// Chooses the lane: coarser than the fold key, so that the notices of one group meet in one lane.
pub fn lane_hash(notice: &Notice) -> u64 {
    let mut hash = Inputs(Xxh3::new());
    hash.text(notice.errors.first().and_then(|error| error.class.as_deref()));
    hash.text(Some(&culprit(notice)));
    hash.0.digest()
}

/// Hashes with lengths, so that "a" + "bc" and "ab" + "c" differ, and nothing differs from empty.
struct Inputs(Xxh3);

impl Inputs {
    fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.0.update(&u32::MAX.to_le_bytes()),
            Some(text) => {
                self.count(text.len());
                self.0.update(text.as_bytes());
            }
        }
    }

    /// What maps a place in a script to its source. Where no frame has a column, nothing does.
    fn script(&mut self, notice: &Notice, frames: &[Frame]) {
        if frames.iter().all(|frame| frame.column.is_none()) {
            return;
        }
        self.text(notice.dist.as_deref());
        frames.iter().for_each(|frame| self.number(frame.column));
        let images = script_images(notice);
        self.count(images.len());
        for (file, debug_id) in &images {
            self.text(Some(file));
            self.0.update(debug_id.as_bytes());
        }
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u32).to_le_bytes());
    }

    fn number(&mut self, number: Option<u32>) {
        self.0.update(&[u8::from(number.is_some())]);
        self.0.update(&number.unwrap_or(0).to_le_bytes());
    }
}
