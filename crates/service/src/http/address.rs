//! Who sent a request, when proxies stand between.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;

/// One address or a network of addresses, as in `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// Whether an address lies in one of these.
    pub(super) fn one_of(networks: &[Network], address: IpAddr) -> bool {
        networks.iter().any(|network| network.contains(address))
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (u32::from(ours).into(), u32::from(theirs).into(), 32),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (u128::from(ours), u128::from(theirs), 128),
            _ => return false,
        };
        (ours ^ theirs).checked_shr(width - self.prefix_bits).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let (address, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| format!("`{text}` is not an address such as 10.1.2.3"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Ok(width), str::parse).ok().filter(|bits| *bits <= width);
        let prefix_bits = prefix_bits.ok_or_else(|| format!("`{text}` is not a network such as 10.0.0.0/8"))?;
        Ok(Network { address, prefix_bits })
    }
}

/// The address that a request came from: the peer's or, behind trusted proxies, the last one in X-Forwarded-For
/// that is not a trusted proxy. What stands left of it anybody could have written. An extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| Network::one_of(trusted, address);
    let mut address = peer.to_canonical();
    let forwarded = headers.get_all("x-forwarded-for");
    let mut hops = forwarded.iter().rev().filter_map(|value| value.to_str().ok()).flat_map(|list| list.rsplit(','));
    while is_trusted(address) {
        match hops.next().and_then(hop_address) {
            Some(before) => address = before.to_canonical(),
            None => break,
        }
    }
    address
}

/// An address as proxies write it: bare, in brackets, or with the port that it came from.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn from(peer: &str, forwarded: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(from("192.0.2.1", "198.51.100.7"), "192.0.2.1");
        assert_eq!(from("10.1.1.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(from("::ffff:10.1.1.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(from("10.1.1.1", "6.6.6.6, 198.51.100.7, 10.2.2.2"), "198.51.100.7");
        assert_eq!(from("::1", "nonsense"), "::1");
        assert_eq!(from("10.1.1.1", "6.6.6.6, 198.51.100.7:51234"), "198.51.100.7");
        assert_eq!(from("10.1.1.1", "[2001:db8::7]:443, 10.2.2.2:80"), "2001:db8::7");
        assert_eq!(from("10.1.1.1", "[2001:db8::7]"), "2001:db8::7");
        assert_eq!(from("11.0.0.1", "198.51.100.7"), "11.0.0.1");
    }

    #[test]
    fn a_network_must_be_one() {
        for wrong in ["", "10.0.0.0/33", "ten", "10.0.0.0/-1", "::/129"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("9.9.9.9".parse().unwrap()));
    }
}
