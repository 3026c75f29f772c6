//! The id of a notice: a UUIDv7 that also says when and in which lane it was accepted.

use std::fmt;

use uuid::Uuid;

/// The id of a notice.
///
/// Its first 48 bits are the milliseconds of acceptance and the 12 bits after the
/// version are the lane, so that order is by id and whoever holds an id knows where
/// its notice is to be found, without any index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(Uuid);

impl NoticeId {
    /// The id of a notice accepted at this time into this lane; `random` tells apart what shares both.
    pub fn new(accepted_at_us: i64, lane: u16, random: u64) -> NoticeId {
        let ms = u64::try_from(accepted_at_us.div_euclid(1000)).unwrap_or(0) & 0xffff_ffff_ffff;
        let high = (ms << 16) | 0x7000 | u64::from(lane & 0x0fff);
        let low = (random & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        NoticeId(Uuid::from_u64_pair(high, low))
    }

    /// The lane that the notice went into.
    pub fn lane(&self) -> u16 {
        (self.0.as_u64_pair().0 & 0x0fff) as u16
    }

    /// When the notice was accepted, in Unix milliseconds.
    pub fn accepted_at_ms(&self) -> i64 {
        (self.0.as_u64_pair().0 >> 16) as i64
    }

    /// The 16 bytes of the id, in the order that sorts.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id of these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> NoticeId {
        NoticeId(Uuid::from_bytes(bytes))
    }

    /// The id as the UUID that it is.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for NoticeId {
    fn from(id: Uuid) -> NoticeId {
        NoticeId(id)
    }
}

impl From<NoticeId> for Uuid {
    fn from(id: NoticeId) -> Uuid {
        id.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_and_where_it_was_accepted() {
        let id = NoticeId::new(1_795_316_388_564_789, 63, u64::MAX);
        assert_eq!(id.accepted_at_ms(), 1_795_316_388_564);
        assert_eq!(id.lane(), 63);
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(id.as_uuid().get_variant(), uuid::Variant::RFC4122);
        assert_eq!(NoticeId::from_bytes(*id.as_bytes()), id);
    }

    #[test]
    fn ids_sort_by_time_first() {
        let early = NoticeId::new(1_000_000, 63, u64::MAX);
        let late = NoticeId::new(1_001_000, 0, 0);
        assert!(early < late);
        assert!(early.as_bytes() < late.as_bytes());
    }
}
