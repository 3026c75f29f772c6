//! The second factor: codes of RFC 6238, their secrets sealed, and recovery codes.
//!
//! Six digits, half a minute, SHA-1: what every program for it can do. The algorithm is a dozen lines over `hmac`, which is
//! here anyway; its tests are the vectors of the RFC.

use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How long a code is shown.
const STEP_SECONDS: u64 = 30;
/// Steps before and after the present one whose codes are right, too: clocks differ, and people type slowly.
const STEPS_AROUND: u64 = 1;
/// Bytes of a secret, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// Recovery codes of one account.
pub(crate) const RECOVERY_CODES: usize = 10;
/// Bytes of one of them that nobody can guess.
const RECOVERY_BYTES: usize = 10;

const BASE_32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Seals and opens secrets. The key is the web's alone: a copy of the database does not hold them in clear.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    pub(crate) fn new(secret_key: &str) -> Sealer {
        let key = Sha256::digest(format!("croak totp {secret_key}"));
        Sealer(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("the key has 32 bytes")))
    }

    /// A secret that only this account can have opened again.
    pub(crate) fn seal(&self, user_id: i64, secret: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(user_id.to_be_bytes()),
                &mut sealed,
            )
            .expect("a secret is short");
        [&nonce[..], &sealed].concat()
    }

    /// The secret; nothing when it was sealed by another key or for another account.
    pub(crate) fn open(&self, user_id: i64, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let secret = self.0.open_in_place(nonce, Aad::from(user_id.to_be_bytes()), &mut opened).ok()?;
        Some(secret.to_vec())
    }
}

/// A new secret.
pub(crate) fn new_secret() -> [u8; SECRET_BYTES] {
    rand::random()
}

/// The step whose code this is, if it is right at this time.
pub(crate) fn step_of(secret: &[u8], code: &str, now_ms: u64) -> Option<i64> {
    let now = now_ms / 1_000 / STEP_SECONDS;
    let digits: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    let mut found = None;
    for step in now.saturating_sub(STEPS_AROUND)..=now + STEPS_AROUND {
        let is_equal = bool::from(code_of(secret, step).as_bytes().ct_eq(digits.as_bytes()));
        found = if is_equal { i64::try_from(step).ok() } else { found };
    }
    found
}

/// The code of a step.
fn code_of(secret: &[u8], step: u64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

/// Recovery codes, as they are shown; `secret` is what nobody can guess, another one for each.
pub(crate) fn recovery_codes(secret: impl Fn(usize) -> String) -> Vec<String> {
    let code = |n| base_32(&Sha256::digest(secret(n))[..RECOVERY_BYTES]).to_lowercase();
    let parted = |code: String| {
        code.as_bytes().chunks(4).map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join("-")
    };
    (0..RECOVERY_CODES).map(|n| parted(code(n))).collect()
}

/// What the database keeps of a recovery code, however it is typed. It has 80 random bits, so one round is enough.
pub(crate) fn recovery_sha256(code: &str) -> Vec<u8> {
    let typed: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    Sha256::digest(typed.to_lowercase()).to_vec()
}

/// The address that programs for it read from a QR code.
pub(crate) fn address(secret: &[u8], email: &str) -> String {
    let email = percent_encoding::utf8_percent_encode(email, percent_encoding::NON_ALPHANUMERIC);
    format!("otpauth://totp/Croak:{email}?secret={}&issuer=Croak", base_32(secret))
}

/// Bytes in base 32, without padding.
pub(crate) fn base_32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(BASE_32[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(BASE_32[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// A QR code of a text, as inline SVG.
pub(crate) fn qr_code(text: &str) -> String {
    /// Modules of white around it, which readers need.
    const QUIET: usize = 4;
    let Ok(code) = qrcode::QrCode::new(text) else { return String::new() };
    let width = code.width();
    let mut path = String::new();
    for (index, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == qrcode::Color::Dark) {
        path += &format!("M{},{}h1v1h-1z", index % width + QUIET, index / width + QUIET);
    }
    let side = width + 2 * QUIET;
    format!(
        r##"<svg class="qr" viewBox="0 0 {side} {side}" width="200" height="200" role="img" aria-label="QR code of the secret below"><path fill="#fff" d="M0,0h{side}v{side}h-{side}z"/><path fill="#000" d="{path}"/></svg>"##
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, without the first two of its eight digits.
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000_u64, "353130")]
        {
            assert_eq!(code_of(SECRET, seconds / STEP_SECONDS), code);
            assert_eq!(step_of(SECRET, code, seconds * 1_000), i64::try_from(seconds / STEP_SECONDS).ok());
        }
        assert_eq!(step_of(SECRET, "287 082", 89_000), Some(1), "of the step before");
        assert_eq!(step_of(SECRET, "287082", 120_000), None, "but not of an earlier one");
        assert_eq!(step_of(SECRET, "", 59_000), None);
    }

    #[test]
    fn base_32_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base_32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_secret_is_opened_by_its_key_for_its_account_alone() {
        let sealer = Sealer::new("0123456789abcdef0123456789abcdef");
        let sealed = sealer.seal(7, SECRET);
        assert!(!sealed.windows(SECRET.len()).any(|part| part == SECRET));
        assert_eq!(sealer.open(7, &sealed).as_deref(), Some(SECRET));
        assert_eq!(sealer.open(8, &sealed), None);
        assert_eq!(Sealer::new("another key another key another k").open(7, &sealed), None);
        assert_eq!(sealer.open(7, &sealed[..10]), None);
        assert_ne!(sealer.seal(7, SECRET), sealed);
    }

    #[test]
    fn recovery_codes_are_ten_and_known_however_they_are_typed() {
        let codes = recovery_codes(|n| format!("secret {n}"));
        assert_eq!(codes, recovery_codes(|n| format!("secret {n}")), "of the same secret they are the same");
        assert_eq!(codes.len(), RECOVERY_CODES);
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert_eq!(recovery_sha256(&typed), recovery_sha256(&codes[0]));
        assert_ne!(recovery_sha256(&codes[1]), recovery_sha256(&codes[0]));
        assert_eq!(codes[0].len(), 19);
    }

    #[test]
    fn the_qr_code_is_a_picture() {
        let picture = qr_code(&address(SECRET, "ada@example.org"));
        assert!(picture.starts_with("<svg") && picture.len() > 1_000 && picture.len() < 60_000);
        assert!(!picture.contains("style"));
    }
}
