//! `data.request`

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use notice::json_tree::Tree;
use notice::{Notice, Request};

use crate::json::{part, set};
use crate::unmapped::Unmapped;

/// Stands for the address that the request to us came from; only whoever took it in knows that.
const REMOTE_IP: &str = "$remote_ip";

/// The same, for the network that the address is in.
const REMOTE_NETWORK: &str = "$remote_ip_anonymize";

/// Reads the request into the notice.
pub(super) fn read<'a>(value: Tree<'a>, peer_ip: Option<&str>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut request = Request::default();
    let mut params = Vec::new();
    for (key, value) in unmapped.entries("data.request", value) {
        let field = match &*key {
            "url" if set(&mut request.url, &value) => continue,
            "method" if set(&mut request.method, &value) => continue,
            "user_ip" => {
                let ip = &mut notice.user.get_or_insert_default().ip;
                let is_taken = match (value.scalar(), peer_ip) {
                    (Some(REMOTE_IP), Some(peer_ip)) => set(ip, &Tree::Text(peer_ip.into())),
                    (Some(REMOTE_NETWORK), Some(peer_ip)) => set(ip, &Tree::Text(network_of(peer_ip).into())),
                    (Some(REMOTE_IP | REMOTE_NETWORK), None) => false,
                    _ => set(ip, &value),
                };
                if !is_taken {
                    unmapped.add(format!("data.request.{key}"), value);
                }
                continue;
            }
            "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "params" | "query_string" => {
                if !value.is_empty() {
                    params.push((key, value));
                }
                continue;
            }
            "headers" => &mut request.headers_json,
            "session" => &mut request.session_json,
            "cookies" => &mut request.cookies_json,
            "body" | "json" => &mut request.body_json,
            _ => {
                unmapped.add(format!("data.request.{key}"), value);
                continue;
            }
        };
        if field.is_none() {
            *field = part(Some(value));
        } else {
            unmapped.add(format!("data.request.{key}"), value);
        }
    }
    request.params_json = part(Some(Tree::Map(params)));
    notice.request = Some(request);
    notice.user = notice.user.take().filter(|user| *user != notice::User::default());
}

/// The address without what tells one machine of its network from another: the last byte, of version 6 all but the first six.
fn network_of(ip: &str) -> String {
    match ip.parse() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            Ipv4Addr::new(a, b, c, 0).to_string()
        }
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
        Err(_) => String::new(),
    }
}
