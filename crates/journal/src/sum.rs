//! Check sums.

/// The CRC32C that is written behind or before these bytes.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Whether that is the sum of these bytes. While parsers are searched for faults every sum holds: random changes would
/// otherwise not get beyond it.
pub(crate) fn holds(bytes: &[u8], said: u32) -> bool {
    cfg!(fuzzing) || sum(bytes) == said
}
