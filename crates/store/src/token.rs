//! Tokens for scripts: shown once, stored as their hash.

use rand::Rng as _;
use sha2::{Digest as _, Sha256};

/// What every token begins with, so that one can be recognised where it should not be.
pub const PREFIX: &str = "croak_";

/// What tokens may be allowed: Croak's own, and those of Sentry that build tools are given.
pub const SCOPES: &[&str] =
    &["read", "write", "org:read", "org:ci", "project:read", "project:write", "project:releases"];

/// What the database keeps of a token or a key.
pub fn sha256(clear: &str) -> [u8; 32] {
    Sha256::digest(clear.as_bytes()).into()
}

/// A new token in clear.
pub fn generate() -> String {
    format!("{PREFIX}{}", random_hex(32))
}

/// A new project key: 32 hex digits, as Hoptoad's were.
pub fn generate_key() -> String {
    random_hex(16)
}

/// A new token of a link in a mail.
pub fn generate_link() -> String {
    random_hex(32)
}

/// A new signing key of a webhook.
pub(crate) fn generate_secret() -> [u8; 24] {
    let mut bytes = [0; 24];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn random_hex(byte_count: usize) -> String {
    let mut bytes = vec![0; byte_count];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
