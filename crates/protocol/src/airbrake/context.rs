//! `context`: who, where and in which release.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Notice, Request, Server, User};

use super::read_notifier;
use crate::breadcrumbs;
use crate::json::{part, set};
use crate::unmapped::Unmapped;

/// Reads the context into the notice and its request; what has no field there stays as it is.
pub(super) fn read<'a>(context: Tree<'a>, notice: &mut Notice, request: &mut Request, unmapped: &mut Unmapped<'a>) {
    let Tree::Map(entries) = context else {
        unmapped.add("context", context);
        return;
    };
    let mut user = User::default();
    let mut server = Server::default();
    let mut machine = Vec::new();
    let mut headers = Vec::new();
    for (key, value) in entries {
        let is_taken = match &*key {
            "environment" => set(&mut notice.environment, &value),
            "severity" => set(&mut notice.severity, &value),
            "version" => set(&mut notice.release, &value),
            "language" => set(&mut notice.language, &value),
            "component" => set(&mut request.component, &value),
            "action" => set(&mut request.action, &value),
            "route" => set(&mut request.route, &value),
            "httpMethod" | "method" => set(&mut request.method, &value),
            "url" => set(&mut request.url, &value),
            "hostname" => set(&mut server.hostname, &value),
            "rootDirectory" => set(&mut server.root, &value),
            "userAddr" => set(&mut user.ip, &value),
            "userId" => set(&mut user.id, &value),
            "userName" => set(&mut user.name, &value),
            "userUsername" => set(&mut user.username, &value),
            "userEmail" => set(&mut user.email, &value),
            "notifier" => {
                read_notifier(value, "context.notifier", notice, unmapped);
                continue;
            }
            "user" => {
                read_user(value, &mut user, unmapped);
                continue;
            }
            "history" if notice.breadcrumbs_json.is_none() && matches!(value, Tree::List(_)) => {
                notice.breadcrumbs_json = breadcrumbs::read(value);
                continue;
            }
            "os" | "architecture" | "platform" | "versions" => {
                machine.push((key, value));
                continue;
            }
            "userAgent" => {
                headers.push((Cow::Borrowed("User-Agent"), value));
                continue;
            }
            "headers" if matches!(value, Tree::Map(_)) => {
                if let Tree::Map(entries) = value {
                    headers.extend(entries);
                }
                continue;
            }
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("context.{key}"), value);
        }
    }
    request.headers_json = part(Some(Tree::map(headers)));
    server.extra_json = part(Some(Tree::map(machine)));
    notice.server = (server != Server::default()).then_some(server);
    notice.user = (user != User::default()).then_some(user);
}

/// The user. What the context said of it before, in older flat keys, stays; what differs is kept beside it.
fn read_user<'a>(value: Tree<'a>, user: &mut User, unmapped: &mut Unmapped<'a>) {
    let Tree::Map(entries) = value else {
        if !set(&mut user.id, &value) {
            unmapped.add("context.user", value);
        }
        return;
    };
    for (key, value) in entries {
        let is_taken = match &*key {
            "id" => set(&mut user.id, &value),
            "name" => set(&mut user.name, &value),
            "username" => set(&mut user.username, &value),
            "email" => set(&mut user.email, &value),
            "ip" | "ip_address" => set(&mut user.ip, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("context.user.{key}"), value);
        }
    }
}
