//! How much of what was posted is in memory at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use service::http::network;

use crate::rejection::Rejection;

/// A body up to this size is an ordinary notice, and big ones leave room for it.
const SMALL_BYTES: usize = 64 * 1024;

/// The bytes of bodies in memory, packed and unpacked, with a limit. Cheap to clone.
///
/// Bytes are counted as they arrive, not as they are announced: announcing costs an attacker nothing. The last
/// quarter is for small bodies and, while more than half is taken, one address may hold a quarter of it in big ones;
/// of that last quarter nothing is for an address that holds half of all. So one slow or furious sender does not close
/// the door for the others. A network of IPv6 is one address.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Inner>);

struct Inner {
    bytes_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What one request holds; given back when it is dropped.
pub(crate) struct Hold {
    admission: Admission,
    address: IpAddr,
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(bytes_max: usize) -> Admission {
        Admission(Arc::new(Inner { bytes_max, taken: Mutex::default() }))
    }

    /// Begins a request of this address.
    pub(crate) fn begin(&self, address: IpAddr) -> Hold {
        Hold { admission: self.clone(), address: network(address), bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Hold {
    /// Takes room for more bytes.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        let Inner { bytes_max, taken } = &*self.admission.0;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let after = taken.bytes + bytes;
        let of_address = taken.by_address.get(&self.address).copied().unwrap_or(0) + bytes;
        let is_small = self.bytes + bytes <= SMALL_BYTES;
        // It would not be taken later either, however often it is sent again.
        if !is_small && self.bytes + bytes > bytes_max / 2 {
            return Err(Rejection::TooLarge { bytes_max: bytes_max / 2 });
        }
        let is_too_much = if is_small {
            after > *bytes_max || (after > bytes_max / 4 * 3 && of_address > bytes_max / 2)
        } else {
            after > bytes_max / 4 * 3 || (after > bytes_max / 2 && of_address > bytes_max / 4)
        };
        if is_too_much {
            return Err(Rejection::Overloaded);
        }
        taken.bytes = after;
        taken.by_address.insert(self.address, of_address);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut taken = self.admission.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.bytes -= self.bytes;
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= self.bytes;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn one_address_cannot_close_the_door_for_others() {
        let admission = Admission::new(1_000_000);
        let mut flood = admission.begin(ONE);
        assert!(flood.grow(500_000).is_ok());
        assert!(flood.grow(1).is_err());
        assert!(admission.begin(OTHER).grow(200_000).is_ok());
        assert!(admission.begin(ONE).grow(10_000).is_ok(), "a small one");
    }

    #[test]
    fn one_network_cannot_close_it_with_small_bodies_either() {
        let admission = Admission::new(1_000_000);
        let mut of_one: Vec<Hold> = (0..20_u128)
            .map(|n| admission.begin(IpAddr::from((0x2001_0db8_u128 << 96 | n).to_be_bytes())))
            .filter_map(|mut hold| hold.grow(SMALL_BYTES).ok().map(|()| hold))
            .collect();
        assert_eq!(of_one.len(), 11, "up to three quarters");
        assert!(admission.begin(OTHER).grow(SMALL_BYTES).is_ok());
        of_one.truncate(5);
        assert!(admission.begin(OTHER).grow(300_000).is_err(), "big ones have their own share");
    }

    #[test]
    fn big_bodies_leave_room_for_small_ones() {
        let admission = Admission::new(1_000_000);
        let mut big = admission.begin(ONE);
        let mut others = admission.begin(OTHER);
        assert!(big.grow(500_000).is_ok() && others.grow(250_000).is_ok());
        assert!(others.grow(1).is_err());
        let mut small = [(); 5].map(|()| admission.begin(OTHER));
        let taken = small.iter_mut().filter_map(|hold| hold.grow(SMALL_BYTES).ok()).count();
        assert_eq!(taken, 3, "and the whole has a limit");
    }

    #[test]
    fn what_never_has_room_is_too_large_and_what_has_none_now_is_not() {
        let admission = Admission::new(1_000_000);
        assert!(matches!(admission.begin(ONE).grow(500_001), Err(Rejection::TooLarge { bytes_max: 500_000 })));
        let mut held = admission.begin(OTHER);
        assert!(held.grow(400_000).is_ok());
        assert!(matches!(admission.begin(ONE).grow(400_000), Err(Rejection::Overloaded)));
    }

    #[test]
    fn what_was_held_comes_back() {
        let admission = Admission::new(100);
        let mut hold = admission.begin(ONE);
        assert!(hold.grow(40).is_ok());
        drop(hold);
        assert_eq!(admission.bytes(), 0);
        assert!(admission.0.taken.lock().is_ok_and(|taken| taken.by_address.is_empty()));
    }
}
