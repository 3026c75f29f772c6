//! Files and functions as people are shown them: the same through deployments, builds and machines.

use std::borrow::Cow;

use crate::class_name::has_file;
use crate::{Frame, in_app};

/// The file of the frame without what a deployment or a build puts into it: roots, release folders, versions of packages, content hashes.
pub(crate) fn file<'a>(frame: &'a Frame, root: Option<&str>) -> Cow<'a, str> {
    let file = frame.file.as_deref().filter(|_| has_file(frame)).or(frame.module.as_deref()).unwrap_or_default();
    let path = in_app::below_root(file, root).unwrap_or(file);
    let path = without_origin(path);
    let path = without_deploy_root(path);
    let path = path.trim_start_matches(['.', '/']);

    let mut path = Cow::Borrowed(path);
    if path.contains('\\') {
        path = Cow::Owned(path.replace('\\', "/"));
    }
    if let Some(shorter) = without_versions(&path) {
        path = Cow::Owned(shorter);
    }
    if let Some(shorter) = without_content_hash(&path) {
        path = Cow::Owned(shorter);
    }
    path
}

/// The function of the frame without what only says how it was called, and without numbers that compilers count up.
pub(crate) fn function(frame: &Frame) -> Cow<'_, str> {
    let function = frame.function.as_deref().unwrap_or_default().trim();
    let function = without_ruby_block(function);
    let function = without_javascript_receiver(function);
    if is_anonymous(function) {
        return Cow::Borrowed("");
    }
    let function = without_rust_hash(function);
    without_counted_names(function)
}

/// `https://host/app.js?v=3` → `app.js`, `webpack:///./src/a.js` → `src/a.js`
fn without_origin(path: &str) -> &str {
    origin_and_path(path).1
}

/// The scheme, if there is one, and the path below the origin: `https://host/app.js?v=3` → `https`, `app.js`
pub(crate) fn origin_and_path(path: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = path.split_once("://") else {
        return (None, path);
    };
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
        return (None, path);
    }
    let rest = match scheme {
        "http" | "https" | "capacitor" | "ionic" => rest.split_once('/').map_or("", |(_, path)| path),
        // Firefox makes up another host for each browser.
        _ if scheme.ends_with("-extension") => rest.split_once('/').map_or("", |(_, path)| path),
        _ => rest,
    };
    (Some(scheme), rest.split(['?', '#']).next().unwrap_or(rest))
}

/// `file:///srv/shop/cart.mjs` → `/srv/shop/cart.mjs`
pub(crate) fn without_file_scheme(file: &str) -> &str {
    file.strip_prefix("file://").filter(|path| path.starts_with(['/', '['])).unwrap_or(file)
}

/// The path of a page, in which scripts may stand, without what tells one record from another: `orders/4711` → `orders/*`. Nothing if it is a file.
pub(crate) fn page(path: &str) -> Option<String> {
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let is_of_record = |part: &str| {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        !part.is_empty() && (is_number || (is_id && part.bytes().any(|byte| byte.is_ascii_digit())))
    };
    let parts = path.split('/').map(|part| if is_of_record(part) { "*" } else { part });
    (!is_file && !path.is_empty()).then(|| parts.collect::<Vec<_>>().join("/"))
}

/// Cuts what lies above a folder that deployment tools switch: `/srv/shop/releases/20240101120000/app.rb` → `app.rb`.
pub(crate) fn without_deploy_root(path: &str) -> &str {
    for mark in ["/site-packages/", "/dist-packages/", "/node_modules/"] {
        if let Some(at) = path.rfind(mark) {
            return &path[at + 1..];
        }
    }
    let mut path = path;
    if let Some(at) = path.find("/releases/") {
        let below = &path[at + "/releases/".len()..];
        if let Some((release, rest)) = below.split_once('/')
            && release.bytes().any(|byte| byte.is_ascii_digit())
        {
            path = rest;
        }
    }
    if let Some(at) = path.find("/current/")
        && path.starts_with('/')
    {
        path = &path[at + "/current/".len()..];
    }
    path
}

/// `[GEM_ROOT]/gems/rack-2.2.3/lib/rack.rb` → `[GEM_ROOT]/gems/rack/lib/rack.rb`
pub(crate) fn without_versions(path: &str) -> Option<String> {
    let mut changed = false;
    if !path.contains(['-', '@']) {
        return None;
    }
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| {
            let name = match part.rsplit_once('-') {
                Some((name, version)) if !name.is_empty() && is_version(version) => Some(name),
                _ => without_go_version(part),
            };
            changed |= name.is_some();
            name.unwrap_or(part)
        })
        .collect();
    changed.then(|| parts.join("/"))
}

/// `gin@v1.9.1` → `gin`
pub(crate) fn without_go_version(folder: &str) -> Option<&str> {
    let (name, version) = folder.split_once('@')?;
    let is_version = matches!(version.as_bytes(), [b'v', b'0'..=b'9', ..]);
    (!name.is_empty() && is_version).then_some(name)
}

fn is_version(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.contains('.')
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && !text.ends_with(|last: char| last.is_ascii_alphabetic())
}

/// `static/main.8f2c1de9.chunk.js` → `static/main.*.chunk.js`, `assets/index-BX9k2aQd.js` → `assets/index-*.js`
pub(crate) fn without_content_hash(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let extension = name.rsplit_once('.')?.1;
    if !matches!(extension, "js" | "mjs" | "cjs" | "css" | "map" | "wasm" | "bundle") {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    if !folder.is_empty() {
        out.push_str(folder);
        out.push('/');
    }
    let mut changed = false;
    let is_chunk = is_of_chunks(folder);
    let (mut rest, end) = match bundlers_hash(name, is_chunk) {
        Some(at) => (&name[..at], Some(&name[at + BUNDLERS_HASH_BYTES..])),
        None => (name, None),
    };
    let mut is_first = !is_chunk;
    while !rest.is_empty() {
        let end = rest.find(['.', '-', '~']).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if is_content_hash(part, std::mem::take(&mut is_first)) {
            out.push('*');
            changed = true;
        } else {
            out.push_str(part);
        }
        let mark = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..mark]);
        rest = &after[mark..];
    }
    if let Some(end) = end {
        out.push('*');
        out.push_str(end);
        changed = true;
    }
    changed.then_some(out)
}

/// How long the hashes are that esbuild, Rollup and Vite put behind a name.
const BUNDLERS_HASH_BYTES: usize = 8;

/// Whether files of a folder have a hash for their whole name, as SvelteKit's `_app/immutable/chunks/DzPq1bnX.js` and Nuxt's `_nuxt/DzPq1bnX.js`.
fn is_of_chunks(folder: &str) -> bool {
    folder.contains("_app/immutable") || matches!(folder.rsplit('/').next(), Some("chunks" | "_nuxt"))
}

/// Where such a hash begins: `main-BEJ7Q2WW.js` (base 32), `index-BxKdQaZz.js` and `index-D-k2aQdZ.js` (base 64). Words have no two capitals in
/// their middle. Only chunks have nothing before it.
fn bundlers_hash(name: &str, is_chunk: bool) -> Option<usize> {
    let stem = name.rsplit_once('.')?.0;
    let at = stem.len().checked_sub(BUNDLERS_HASH_BYTES).filter(|at| *at > 1 || (is_chunk && *at == 0))?;
    let (before, hash) = (stem.as_bytes().get(..at)?, stem.as_bytes().get(at..)?);
    let has = |test: fn(&u8) -> bool| hash.iter().any(test);
    let is_base_32 = hash.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    let capitals_inside =
        hash.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count();
    let is_base_64 = hash.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && (has(u8::is_ascii_digit) || capitals_inside >= 2);
    let is_behind_a_name = before.ends_with(b"-") || (is_chunk && (before.is_empty() || before.ends_with(b".")));
    (is_behind_a_name && (is_base_32 || is_base_64)).then_some(at)
}

/// Hexadecimal of 6 and more with a digit in it, or 8 to 32 letters and digits that mix all kinds as no word does; at the beginning of a name, where
/// classes do (`OAuth2Service`), 16 and more.
fn is_content_hash(part: &str, is_first: bool) -> bool {
    let has = |test: fn(&u8) -> bool| part.as_bytes().iter().any(test);
    let is_hex = part.len() >= 6 && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && has(u8::is_ascii_digit) {
        return true;
    }
    (if is_first { 16 } else { 8 }..=32).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
}

/// `block (2 levels) in charge` → `charge`, `rescue in charge` → `charge`
pub(crate) fn without_ruby_block(function: &str) -> &str {
    let mut function = function;
    loop {
        let rest = ["block ", "rescue in ", "ensure in "].iter().find_map(|start| function.strip_prefix(start));
        let Some(rest) = rest else { return function };
        let inner = match function.starts_with("block ") {
            false => rest,
            true => match rest.split_once("in ") {
                Some((levels, inner)) if levels.is_empty() || levels.starts_with('(') => inner,
                _ => return function,
            },
        };
        function = inner;
    }
}

/// `Object.charge [as pay]` → `charge`, `async exports.run` → `run`, `new Cart` → `Cart`
fn without_javascript_receiver(function: &str) -> &str {
    let mut function = function.split_once(" [as ").map_or(function, |(function, _)| function);
    loop {
        let starts =
            ["async ", "new ", "Object.", "module.exports.", "exports.", "Function.", "globalThis.", "window."];
        match starts.iter().find_map(|start| function.strip_prefix(start)) {
            Some(rest) if !rest.is_empty() => function = rest,
            _ => return function,
        }
    }
}

fn is_anonymous(function: &str) -> bool {
    matches!(
        function,
        "?" | "[anonymous]"
            | "<anonymous>"
            | "(anonymous function)"
            | "(anonymous)"
            | "anonymous"
            | "<unknown>"
            | "<redacted>"
            | "<top-level>"
            | "{closure}"
    ) || function.starts_with("{closure:")
}

/// `shop::charge::h0123456789abcdef` → `shop::charge`
fn without_rust_hash(function: &str) -> &str {
    match function.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => function,
    }
}

/// Replaces the numbers of generated names: `lambda$main$0`, `_app_views_show_html_erb__123_456`, `GeneratedMethodAccessor42`.
pub(crate) fn without_counted_names(function: &str) -> Cow<'_, str> {
    let is_counted = function.contains('$')
        || function.contains("__")
        || function.contains("GeneratedMethodAccessor")
        || function.contains("GeneratedConstructorAccessor");
    if !is_counted || !function.bytes().any(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(function);
    }
    // Rails puts a number there that is below zero half of the time, with another `_` for its sign.
    let is_below_zero = |at: &usize| function.as_bytes().get(at + 3).is_some_and(u8::is_ascii_digit);
    let function = match function.find("___").filter(is_below_zero) {
        Some(at) => Cow::Owned(format!("{}{}", &function[..at], &function[at + 1..])),
        None => Cow::Borrowed(function),
    };
    let mut out = String::with_capacity(function.len());
    for part in function.split_inclusive(['$', '_', '.', '/']) {
        let (name, mark) = match part.char_indices().next_back() {
            Some((at, '$' | '_' | '.' | '/')) => part.split_at(at),
            _ => (part, ""),
        };
        let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
        let hexadecimal = name.strip_prefix("0x").unwrap_or(name);
        let is_hash = hexadecimal.len() >= 8
            && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
            && hexadecimal.bytes().any(|byte| byte.is_ascii_digit());
        match (is_hash, stem.len() < name.len()) {
            (true, _) => out.push('*'),
            (false, true) => {
                out.push_str(stem);
                out.push('*');
            }
            (false, false) => out.push_str(name),
        }
        out.push_str(mark);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(path: &str, root: Option<&str>) -> String {
        file(&Frame { file: Some(path.into()), ..Frame::default() }, root).into_owned()
    }

    fn function_of(name: &str) -> String {
        function(&Frame { function: Some(name.into()), ..Frame::default() }).into_owned()
    }

    #[test]
    fn files_lose_what_a_deployment_puts_before_them() {
        for (path, root, expected) in [
            ("[PROJECT_ROOT]/models/cart.rb", None, "models/cart.rb"),
            ("/PROJECT_ROOT/models/cart.rb", None, "models/cart.rb"),
            ("/srv/shop/app/models/cart.rb", Some("/srv/shop/app"), "models/cart.rb"),
            ("/srv/x/releases/20240101120000/app/cart.rb", None, "app/cart.rb"),
            ("/srv/x/releases/8f2c1de/app/cart.rb", None, "app/cart.rb"),
            ("/srv/x/current/app/cart.rb", None, "app/cart.rb"),
            ("/app/releases/index.rb", None, "app/releases/index.rb"),
            ("https://cdn.example/assets/app.js?v=12#x", None, "assets/app.js"),
            ("webpack:///./src/cart.js", None, "src/cart.js"),
            ("https://shop.example/_app/immutable/chunks/DzPq1bnX.js", None, "_app/immutable/chunks/*.js"),
            ("https://shop.example/_app/immutable/nodes/3.BxKdQaZz.js", None, "_app/immutable/nodes/3.*.js"),
            ("https://shop.example/_nuxt/BxKdQaZz.js", None, "_nuxt/*.js"),
            ("https://shop.example/js/DzPq1bnX.js", None, "js/DzPq1bnX.js"),
            ("/venv/lib/python3.11/site-packages/flask/app.py", None, "site-packages/flask/app.py"),
            ("/srv/a/node_modules/b/node_modules/c/i.js", None, "node_modules/c/i.js"),
            ("[GEM_ROOT]/gems/rack-2.2.3/lib/rack.rb", None, "[GEM_ROOT]/gems/rack/lib/rack.rb"),
            ("github.com/gin-gonic/gin@v1.9.1/context.go", None, "github.com/gin-gonic/gin/context.go"),
            ("C:\\shop\\cart.cs", None, "C:/shop/cart.cs"),
        ] {
            assert_eq!(file_of(path, root), expected, "{path}");
        }
    }

    #[test]
    fn files_lose_content_hashes_and_nothing_else() {
        for (path, expected) in [
            ("static/main.8f2c1de9.chunk.js", "static/main.*.chunk.js"),
            ("assets/index-BX9k2aQd.js", "assets/index-*.js"),
            ("app-3b5d5c3712955042212316173ccf37be.js", "app-*.js"),
            ("lib/jquery-ui.min.js", "lib/jquery-ui.min.js"),
            ("lib/facade.js", "lib/facade.js"),
            ("lib/Base64Encoder.rb", "lib/Base64Encoder.rb"),
        ] {
            assert_eq!(file_of(path, None), expected, "{path}");
        }
    }

    #[test]
    fn functions_lose_how_they_were_called() {
        for (name, expected) in [
            ("block in charge", "charge"),
            ("block (2 levels) in charge", "charge"),
            ("rescue in block in charge", "charge"),
            ("block in <main>", "<main>"),
            ("block_given", "block_given"),
            ("Object.charge", "charge"),
            ("exports.raised", "raised"),
            ("async Object.run [as go]", "run"),
            ("Object.<anonymous>", ""),
            ("{closure}", ""),
            ("shop::charge::h0123456789abcdef", "shop::charge"),
            ("shop.Main.lambda$main$0", "shop.Main.lambda$main$*"),
            ("_app_views_users_show_html_erb__1234567_890", "_app_views_users_show_html_erb__*_*"),
            ("Cart::charge", "Cart::charge"),
            ("__init__", "__init__"),
            ("base64_decode", "base64_decode"),
        ] {
            assert_eq!(function_of(name), expected, "{name}");
        }
    }
}
