//! The request that the event happened in.

use notice::Notice;
use notice::json_tree::Tree;

use crate::json::{part, set};
use crate::unmapped::Unmapped;

/// Reads the request into the notice, from `request` or from the tab of that name.
pub(super) fn read<'a>(value: Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let request = notice.request.get_or_insert_default();
    for (key, value) in unmapped.entries(path, value) {
        let field = match &*key {
            "url" if set(&mut request.url, &value) => continue,
            "httpMethod" | "method" if set(&mut request.method, &value) => continue,
            "clientIp" if set(&mut notice.user.get_or_insert_default().ip, &value) => continue,
            "headers" => &mut request.headers_json,
            "params" => &mut request.params_json,
            "body" => &mut request.body_json,
            "cookies" => &mut request.cookies_json,
            "session" => &mut request.session_json,
            _ => {
                unmapped.add(format!("{path}.{key}"), value);
                continue;
            }
        };
        if field.is_none() {
            *field = part(Some(value));
        } else {
            unmapped.add(format!("{path}.{key}"), value);
        }
    }
}
