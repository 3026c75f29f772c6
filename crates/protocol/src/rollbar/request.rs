//! `data.request`

use notice::json_tree::Tree;
use notice::{Notice, Request};

use crate::json::{part, set};
use crate::unmapped::Unmapped;

/// Stands for the address that the request to us came from; only whoever took it in knows that.
const REMOTE_IP: &str = "$remote_ip";

/// Reads the request into the notice.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut request = Request::default();
    let mut params = Vec::new();
    for (key, value) in unmapped.entries("data.request", value) {
        let field = match &*key {
            "url" if set(&mut request.url, &value) => continue,
            "method" if set(&mut request.method, &value) => continue,
            "user_ip"
                if value.scalar() != Some(REMOTE_IP) && set(&mut notice.user.get_or_insert_default().ip, &value) =>
            {
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
