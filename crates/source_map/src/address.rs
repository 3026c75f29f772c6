//! Under which names a script and its map can have been uploaded.
//!
//! `~` stands for scheme and host, which are often not known when a build is uploaded: `~/static/app.js` is the script of that
//! path on any host. Query and fragment are no part of a name.

/// What no artifact can be uploaded for, although it looks like an address.
const BUILT_IN: [&str; 9] = [
    "node:",
    "data:",
    "blob:",
    "native",
    "<",
    "[native code]",
    "webpack-internal:",
    "chrome-extension:",
    "moz-extension:",
];

/// The names that an artifact of this script can have, the surest first; none for what cannot be uploaded.
#[must_use]
pub fn names(file: &str) -> Vec<String> {
    let file = without_query(file).trim();
    if file.is_empty() || BUILT_IN.iter().any(|start| file.starts_with(start)) || file.starts_with("webpack:") {
        return Vec::new();
    }
    let on_any_host = match parts(file) {
        (_, "") => return Vec::new(),
        (Some(_), path) => format!("~{path}"),
        (None, path) if path.starts_with("~/") => path.to_owned(),
        (None, path) => {
            let below_root = path.strip_prefix("[PROJECT_ROOT]").or_else(|| path.strip_prefix("/PROJECT_ROOT"));
            format!("~/{}", below_root.unwrap_or(path).replace('\\', "/").trim_start_matches(['.', '/']))
        }
    };
    let mut names = vec![file.to_owned()];
    if on_any_host != file {
        names.push(on_any_host);
    }
    names
}

/// Where a script's reference to its map leads to. `None` for a map that is in the script itself.
#[must_use]
pub fn of_map(script: &str, reference: &str) -> Option<String> {
    let reference = without_query(reference).trim();
    if reference.is_empty() || reference.starts_with("data:") {
        return None;
    }
    if reference.contains("://") || reference.starts_with("~/") {
        return Some(reference.to_owned());
    }
    let script = without_query(script);
    let (origin, path) = match parts(script) {
        (Some(origin), path) => (origin, path),
        (None, path) => match path.strip_prefix('~') {
            Some(rest) if rest.starts_with('/') => ("~", rest),
            _ => ("", path),
        },
    };
    if let Some(absolute) = reference.strip_prefix('/') {
        return Some(format!("{origin}/{absolute}"));
    }
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    for folder in reference.split('/') {
        match folder {
            "." | "" => {}
            // Above the top is the top.
            ".." if folders.len() > 1 || folders.first().is_some_and(|first| !first.is_empty()) => {
                folders.pop();
            }
            ".." => {}
            folder => folders.push(folder),
        }
    }
    Some(format!("{origin}{}", folders.join("/")))
}

/// Scheme and host, if there are any, and the path behind them.
fn parts(address: &str) -> (Option<&str>, &str) {
    let Some(at) = address.find("://") else { return (None, address) };
    let host = at + 3;
    let path = address[host..].find('/').map_or(address.len(), |slash| host + slash);
    (Some(&address[..path]), &address[path..])
}

fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_found_by_its_address_or_by_its_path_on_any_host() {
        for (file, expected) in [
            (
                "https://shop.example/static/app.js",
                ["https://shop.example/static/app.js", "~/static/app.js"].as_slice(),
            ),
            ("https://cdn.example:8080/app.js?v=3#x", &["https://cdn.example:8080/app.js", "~/app.js"]),
            ("app:///dist/app.js", &["app:///dist/app.js", "~/dist/app.js"]),
            ("file:///srv/shop/app.js", &["file:///srv/shop/app.js", "~/srv/shop/app.js"]),
            ("~/static/app.js", &["~/static/app.js"]),
            ("/srv/shop/app.js", &["/srv/shop/app.js", "~/srv/shop/app.js"]),
            ("dist/app.js", &["dist/app.js", "~/dist/app.js"]),
            ("./app.js", &["./app.js", "~/app.js"]),
            ("[PROJECT_ROOT]/dist/app.js", &["[PROJECT_ROOT]/dist/app.js", "~/dist/app.js"]),
            ("webpack:///./src/cart.js", &[]),
            ("webpack-internal:///./src/cart.js", &[]),
            ("node:internal/process/task_queues", &[]),
            ("<anonymous>", &[]),
            ("https://shop.example", &[]),
            ("", &[]),
        ] {
            assert_eq!(names(file), expected, "{file}");
        }
    }

    #[test]
    fn a_map_lies_beside_its_script_unless_it_says_where() {
        for (script, reference, expected) in [
            ("https://shop.example/static/app.js?v=3", "app.js.map", Some("https://shop.example/static/app.js.map")),
            ("~/static/app.js", "app.js.map?v=3", Some("~/static/app.js.map")),
            ("~/static/js/app.js", "../maps/app.js.map", Some("~/static/maps/app.js.map")),
            ("~/app.js", "../../app.js.map", Some("~/app.js.map")),
            ("~/static/app.js", "/maps/app.js.map", Some("~/maps/app.js.map")),
            ("https://shop.example/static/app.js", "/app.js.map", Some("https://shop.example/app.js.map")),
            ("app:///dist/app.js", "./app.js.map", Some("app:///dist/app.js.map")),
            ("~/app.js", "https://maps.example/app.js.map", Some("https://maps.example/app.js.map")),
            ("~/app.js", "~/maps/app.js.map", Some("~/maps/app.js.map")),
            ("dist/app.js", "app.js.map", Some("dist/app.js.map")),
            ("app.js", "app.js.map", Some("app.js.map")),
            ("~/app.js", "data:application/json;base64,e30=", None),
            ("~/app.js", "", None),
        ] {
            assert_eq!(of_map(script, reference).as_deref(), expected, "{reference} of {script}");
        }
    }
}
