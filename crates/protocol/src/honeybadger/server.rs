//! `server`: where it ran, and in which release.

use notice::json_tree::Tree;
use notice::{Notice, Server};

use crate::json::{part, set};
use crate::timestamp;
use crate::unmapped::Unmapped;

/// Reads the server into the notice. What it has no field for stays with it.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut server = Server::default();
    let mut version = None;
    let mut machine = Vec::new();
    for (key, value) in unmapped.entries("server", value) {
        let is_taken = match &*key {
            "project_root" => set(&mut server.root, &value) || set_path(&mut server.root, &value),
            "hostname" => set(&mut server.hostname, &value),
            "environment_name" => set(&mut notice.environment, &value),
            "revision" => set(&mut notice.release, &value),
            // PHP's client has no revision.
            "version" => set(&mut version, &value),
            "time" => {
                notice.occurred_at_us = timestamp::micros_of(&value);
                notice.occurred_at_us.is_some()
            }
            _ => false,
        };
        match &*key {
            _ if is_taken => {}
            // These are the names of fields of the notice's own.
            "hostname" | "root" => unmapped.add(format!("server.{key}"), value),
            _ => machine.push((key, value)),
        }
    }
    match (&notice.release, version) {
        (None, version) => notice.release = version,
        (Some(_), Some(version)) => machine.push(("version".into(), Tree::Text(version.into()))),
        (Some(_), None) => {}
    }
    server.extra_json = part(Some(Tree::Map(machine)));
    notice.server = (server != Server::default()).then_some(server);
}

/// Elixir's older clients say `{"path": "/srv/shop"}`.
fn set_path(root: &mut Option<String>, value: &Tree<'_>) -> bool {
    match value {
        Tree::Map(entries) => matches!(entries.as_slice(), [(key, path)] if key == "path" && set(root, path)),
        _ => false,
    }
}
