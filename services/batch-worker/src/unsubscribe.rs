//! Links that end mails with one click, without signing in: who, of which project and what, with a signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of the signature that are kept: enough that nobody guesses one.
const SIGNATURE_BYTES: usize = 16;

/// What a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Alerts.
    Alerts,
    /// Weekly reports.
    Weekly,
}

/// What a link says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) ends: Ends,
    pub(crate) user_id: i64,
    pub(crate) project_id: i64,
}

impl Link {
    /// The address of the page that ends mails.
    pub(crate) fn address(self, public_url: &str, key: &[u8]) -> String {
        format!("{public_url}/unsubscribe/{}", self.write(key))
    }

    /// The word of the address.
    fn write(self, key: &[u8]) -> String {
        let mut bytes = self.said();
        bytes.extend_from_slice(&signature(key, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What such a word says, if the signature is ours.
    pub(crate) fn read(key: &[u8], word: &str) -> Option<Link> {
        let bytes = URL_SAFE_NO_PAD.decode(word).ok()?;
        let (said, signed) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_BYTES)?)?;
        let mut mac = mac(key);
        mac.update(said);
        mac.verify_truncated_left(signed).ok()?;
        let ends = match said.first()? {
            0 => Ends::Alerts,
            1 => Ends::Weekly,
            _ => return None,
        };
        let user_id = i64::from_be_bytes(said.get(1..9)?.try_into().ok()?);
        let project_id = i64::from_be_bytes(said.get(9..)?.try_into().ok()?);
        Some(Link { ends, user_id, project_id })
    }

    fn said(self) -> Vec<u8> {
        let ends = match self.ends {
            Ends::Alerts => 0,
            Ends::Weekly => 1,
        };
        [&[ends][..], &self.user_id.to_be_bytes(), &self.project_id.to_be_bytes()].concat()
    }
}

fn signature(key: &[u8], said: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut mac = mac(key);
    mac.update(said);
    let whole = mac.finalize().into_bytes();
    std::array::from_fn(|index| whole[index])
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_what_was_written_and_nobody_else_can_write_one() {
        let link = Link { ends: Ends::Weekly, user_id: 17, project_id: 1 };
        let word = link.write(b"key");
        assert_eq!(Link::read(b"key", &word), Some(link));
        assert_eq!(Link::read(b"other", &word), None);
        let other = Link { user_id: 18, ..link }.write(b"other");
        for forged in ["", "AAAA", &other, &word[..word.len() - 4], &format!("{word}AAAA")] {
            assert_eq!(Link::read(b"key", forged), None, "{forged}");
        }
    }
}
