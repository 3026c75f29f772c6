//! Where deliveries may go. A webhook's address is typed in by a person, so it must not reach what only this machine can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why an address is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the address is not http or https")]
    Scheme,
    #[error("the address has no host")]
    NoHost,
    #[error("the host resolves to an address inside this network")]
    Inside,
}

/// Which addresses deliveries may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only addresses of the public internet.
    Public,
    /// Any, for receivers in the same network; the operator's decision.
    Any,
}

impl Reach {
    /// Checks what can be seen without asking DNS: scheme, and hosts that are addresses already.
    pub(crate) fn check(self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        let literal = match url.host().ok_or(Refused::NoHost)? {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        if self.allows(literal) { Ok(()) } else { Err(Refused::Inside) }
    }

    fn allows(self, address: IpAddr) -> bool {
        self == Self::Any || is_public(address)
    }

    /// A resolver for the HTTP client that answers only with addresses that are allowed. The check is on what is
    /// connected to, so a name that changes its answer between check and use gains nothing.
    pub(crate) fn resolver(self) -> Arc<impl Resolve + 'static> {
        Arc::new(CheckedResolver(self))
    }
}

struct CheckedResolver(Reach);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused::Inside.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

/// By the IANA special-purpose registry for IPv4.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared address space (carrier-grade NAT)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))) // benchmarking
}

/// By the IANA special-purpose registry for IPv6: only global unicast, without what embeds IPv4 or documents.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_global_unicast = segments[0] & 0xe000 == 0x2000;
    let is_documentation = segments[0] == 0x2001 && segments[1] == 0xdb8;
    let is_teredo_or_orchid = segments[0] == 0x2001 && segments[1] < 0x200;
    let is_6to4 = segments[0] == 0x2002;
    is_global_unicast && !is_documentation && !is_teredo_or_orchid && !is_6to4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(url: &str) -> bool {
        Reach::Public.check(&url.parse().expect("an address")).is_err()
    }

    #[test]
    fn addresses_inside_are_refused_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1:8080/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://198.18.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[2002:7f00:1::]/",
            "http://[64:ff9b::7f00:1]/",
            "file:///etc/passwd",
            "gopher://example.org/",
        ] {
            assert!(is_refused(url), "{url} should be refused");
        }
    }

    #[test]
    fn public_addresses_and_names_are_taken() {
        for url in ["https://example.org/hook", "http://93.184.216.34/", "https://[2606:2800:220:1::1]/"] {
            assert!(!is_refused(url), "{url} should be taken");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_inside_is_refused() {
        let name = "localhost".parse().expect("a name");
        assert!(Reach::Public.resolver().resolve(name).await.is_err());
    }

    #[test]
    fn the_operator_can_allow_receivers_inside() {
        assert!(Reach::Any.check(&"http://127.0.0.1:9/".parse().expect("an address")).is_ok());
        assert!(Reach::Any.check(&"file:///etc/passwd".parse().expect("an address")).is_err());
    }
}
