//! How often somebody may try what could be guessing or a nuisance, per account and per address.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::future::Cache;

/// What is tried; each is counted by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attempt {
    /// A password.
    Password,
    /// A code of the second factor.
    Code,
    /// To be sent a mail.
    Mail,
}

/// Attempts for one account within [`WITHIN`].
const PER_ACCOUNT_MAX: u32 = 10;
/// Attempts from one address within [`WITHIN`].
const PER_ADDRESS_MAX: u32 = 50;
/// After this time a count begins anew.
const WITHIN: Duration = Duration::from_secs(10 * 60);
/// Accounts and addresses that are remembered; beyond it the least used are forgotten.
const REMEMBERED_MAX: u64 = 100_000;

/// Counts attempts in this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Attempts {
    counts: Cache<String, Arc<AtomicU32>>,
}

impl Attempts {
    pub(crate) fn new() -> Attempts {
        Attempts { counts: Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(WITHIN).build() }
    }

    /// Counts an attempt before it is made; whether it may be made. Counting first keeps many at once from slipping by.
    pub(crate) async fn take(&self, what: Attempt, email: &str, address: IpAddr) -> bool {
        let keys = keys(what, email, address);
        let mut may = true;
        for (key, max) in keys {
            let count = self.counts.get_with(key, async { Arc::default() }).await;
            may &= count.fetch_add(1, Ordering::Relaxed) < max;
        }
        may
    }

    /// Takes back what was counted: the password was right. The address keeps its other attempts, or signing in to an
    /// account of one's own would buy more guesses at those of others.
    pub(crate) async fn forgive(&self, what: Attempt, email: &str, address: IpAddr) {
        let [(account, _), (address, _)] = keys(what, email, address);
        self.counts.invalidate(&account).await;
        if let Some(count) = self.counts.get(&address).await {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn keys(what: Attempt, email: &str, address: IpAddr) -> [(String, u32); 2] {
    // A household has one IPv6 network of 64 bits, whatever it does inside.
    let network = match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}", u128::from(address) >> 64),
    };
    let account: String = email.to_lowercase().chars().take(320).collect();
    [(format!("{what:?} account {account}"), PER_ACCOUNT_MAX), (format!("{what:?} address {network}"), PER_ADDRESS_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[tokio::test]
    async fn one_account_is_limited_from_wherever() {
        let attempts = Attempts::new();
        for round in 0..PER_ACCOUNT_MAX {
            assert!(attempts.take(Attempt::Password, "a@b.example", IpAddr::from([192, 0, 2, round as u8])).await);
        }
        assert!(!attempts.take(Attempt::Password, "A@b.example", HOME).await);
        assert!(attempts.take(Attempt::Password, "other@b.example", HOME).await);
    }

    #[tokio::test]
    async fn one_address_is_limited_for_whomever() {
        let attempts = Attempts::new();
        for round in 0..PER_ADDRESS_MAX {
            assert!(attempts.take(Attempt::Password, &format!("{round}@b.example"), HOME).await);
        }
        assert!(!attempts.take(Attempt::Password, "new@b.example", HOME).await);
    }

    #[tokio::test]
    async fn being_right_does_not_buy_more_guesses() {
        let attempts = Attempts::new();
        for round in 0..PER_ADDRESS_MAX - 1 {
            assert!(attempts.take(Attempt::Password, &format!("{round}@b.example"), HOME).await);
        }
        assert!(attempts.take(Attempt::Password, "mine@b.example", HOME).await);
        attempts.forgive(Attempt::Password, "mine@b.example", HOME).await;
        assert!(attempts.take(Attempt::Password, "mine@b.example", HOME).await);
        assert!(!attempts.take(Attempt::Password, "other@b.example", HOME).await);
    }
}
