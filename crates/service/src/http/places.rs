//! Room for connections: so many in all, so many for each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Door, Network};

/// Of an IPv6 address the network: a household or a machine has 64 bits, and may use all of them.
const NETWORK_MASK: u128 = !0 << 64;

/// The places of one listener. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    count_max: usize,
    per_address_max: usize,
    unlimited: Arc<[Network]>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place {
    places: Places,
    /// Of whom it is counted.
    address: Option<IpAddr>,
    _free: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(door: &Door) -> Places {
        let count_max = door.limits.connections_max;
        Places(Arc::new(Inner {
            free: Arc::new(Semaphore::new(count_max)),
            count_max,
            per_address_max: door.limits.connections_per_address_max,
            unlimited: Arc::clone(&door.trusted_proxies),
            by_address: Mutex::default(),
        }))
    }

    /// Waits until there is a place for somebody.
    pub(super) async fn free(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0.free).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Gives the place to this peer, unless it has enough.
    pub(super) fn take(&self, free: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        if Network::one_of(&self.0.unlimited, peer) {
            return Some(Place { places: self.clone(), address: None, _free: free });
        }
        let address = network(peer);
        let mut by_address = self.0.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        // Whoever is at the limit already has an entry: none is left behind.
        if *count >= self.0.per_address_max {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), address: Some(address), _free: free })
    }

    /// Whether so few are left that nobody should keep one while idle.
    pub(super) fn are_scarce(&self) -> bool {
        self.0.free.available_permits() < self.0.count_max / 4
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut by_address = self.places.0.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: a household has one network of IPv6, whatever it does inside.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK_MASK)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::http::HttpLimits;

    fn places() -> Places {
        let limits = HttpLimits { connections_max: 8, connections_per_address_max: 2, ..HttpLimits::default() };
        let trusted_proxies = ["10.0.0.0/8".parse().unwrap()].into();
        Places::new(&Door { limits, trusted_proxies, tls: None })
    }

    async fn take(places: &Places, peer: &str) -> Option<Place> {
        places.take(places.free().await, peer.parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_gets_so_many_and_others_theirs() {
        let places = places();
        let (first, _second) = (take(&places, "192.0.2.1").await.unwrap(), take(&places, "192.0.2.1").await.unwrap());
        assert!(take(&places, "192.0.2.1").await.is_none());
        assert!(take(&places, "::ffff:192.0.2.1").await.is_none(), "the same in other words");
        assert!(take(&places, "192.0.2.2").await.is_some());
        drop(first);
        assert!(take(&places, "192.0.2.1").await.is_some(), "what was given back can be taken");
    }

    #[tokio::test]
    async fn an_ipv6_network_is_one_address() {
        let places = places();
        let _held = (take(&places, "2001:db8::1").await.unwrap(), take(&places, "2001:db8::2:0:0:1").await.unwrap());
        assert!(take(&places, "2001:db8::ffff").await.is_none());
        assert!(take(&places, "2001:db8:0:1::1").await.is_some());
    }

    #[tokio::test]
    async fn a_trusted_proxy_brings_as_many_as_there_is_room_for() {
        let places = places();
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(take(&places, "10.1.2.3").await.unwrap());
        }
        assert!(places.are_scarce() && places.0.free.available_permits() == 0);
        assert!(places.0.by_address.lock().unwrap().is_empty());
        drop(held);
        assert!(!places.are_scarce());
    }
}
