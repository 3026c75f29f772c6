//! Which frames are the application's own.

use crate::Frame;

/// Beginnings that only files of libraries, or of no file at all, have.
const LIBRARY_STARTS: [&str; 22] = [
    "[GEM_ROOT]",
    "/GEM_ROOT",
    "[SITE_PACKAGES]",
    "/SITE_PACKAGES",
    "[NODE_MODULES]",
    "node:",
    "internal/",
    "native ",
    "(native",
    "<frozen ",
    "<internal:",
    "<anonymous>",
    "[native code]",
    "index ", // `async Promise.all (index 0)`
    "<__array_function__",
    "/usr/lib/",
    "/usr/local/lib/",
    "/usr/share/",
    "/usr/local/go/",
    "chrome-extension://",
    "moz-extension://",
    "extensions::",
];

/// Packages of the runtimes of Java and .NET; their frames have no path to tell by.
const RUNTIMES: [&str; 11] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "org.springframework.",
    "System.",
    "Microsoft.",
];

/// Whether the frame is the application's own, as far as its path and function tell.
pub(crate) fn is_in_app(frame: &Frame, root: Option<&str>) -> bool {
    let file = frame.file.as_deref().unwrap_or_default();
    let function = frame.function.as_deref().unwrap_or_default();
    if file.is_empty() && function.is_empty() {
        return false;
    }
    let module = frame.module.as_deref().unwrap_or_default();
    if RUNTIMES.iter().any(|package| function.starts_with(package) || module.starts_with(package)) {
        return false;
    }
    !is_library_path(below_root(file, root).unwrap_or(file))
}

/// Whether only libraries lie at this path.
pub fn is_library_path(path: &str) -> bool {
    LIBRARY_STARTS.iter().any(|start| path.starts_with(start)) || is_in_library_folder(path)
}

/// Whether one of the folders of the path is one that only libraries are in.
fn is_in_library_folder(path: &str) -> bool {
    let mut parent = "";
    let mut folders = path.split(['/', '\\']).peekable();
    while let Some(folder) = folders.next() {
        if folders.peek().is_none() {
            return false; // the file itself
        }
        let is_library = match folder {
            "gems" | "node_modules" | "site-packages" | "dist-packages" | "vendor" | ".rbenv" | ".rvm" => true,
            "registry" => parent == ".cargo",
            "rustc" => parent.is_empty(),
            "ruby" => parent == "lib" || parent == "vendor",
            "php" => parent == "share",
            "mod" => parent == "pkg",
            folder => parent == "lib" && (folder.starts_with("python2") || folder.starts_with("python3")),
        };
        if is_library {
            return true;
        }
        parent = folder;
    }
    false
}

/// The path below the application's root, if the file lies there.
pub(crate) fn below_root<'a>(file: &'a str, root: Option<&str>) -> Option<&'a str> {
    for mark in ["[PROJECT_ROOT]/", "/PROJECT_ROOT/", "[RAILS_ROOT]/"] {
        if let Some(path) = file.strip_prefix(mark) {
            return Some(path);
        }
    }
    let root = root?.trim_end_matches('/');
    if root.is_empty() {
        return None;
    }
    file.strip_prefix(root)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(file: &str, function: &str, root: Option<&str>) -> bool {
        let frame = Frame { file: Some(file.into()), function: Some(function.into()), ..Frame::default() };
        is_in_app(&frame, root)
    }

    #[test]
    fn files_of_the_application_are_its_own() {
        assert!(verdict("[PROJECT_ROOT]/app/models/cart.rb", "charge", None));
        assert!(verdict("/PROJECT_ROOT/shop.py", "charge", None));
        assert!(verdict("/srv/shop/app/php/shop.php", "charge", Some("/srv/shop/app/php")));
        assert!(verdict("/lib/shop.js", "Object.charge", Some("/srv/shop/app")));
        assert!(verdict("https://shop.example/static/app.js", "f", None));
        assert!(verdict("Cart.java", "shop.Cart.charge", None));
        assert!(verdict("/usr/lib/shop/app.py", "f", Some("/usr/lib/shop")));
    }

    #[test]
    fn files_of_libraries_are_not() {
        assert!(!verdict("[GEM_ROOT]/gems/rack-2.2/lib/rack.rb", "call", None));
        assert!(!verdict("/PROJECT_ROOT/vendor/bundle/ruby/3.1.0/gems/a/a.rb", "call", None));
        assert!(!verdict("[PROJECT_ROOT]/vendor/gems/a/a.rb", "call", None));
        assert!(!verdict("/SITE_PACKAGES/flask/app.py", "run", None));
        assert!(!verdict("[NODE_MODULES]/express/lib/router.js", "next", None));
        assert!(!verdict("<anonymous>", "Array.map", None));
        assert!(!verdict("", "System.Linq.Enumerable.First", None));
        assert!(!verdict("/usr/local/go/src/net/http/server.go", "net/http.HandlerFunc.ServeHTTP", None));
        assert!(!verdict("node:internal/modules/run_main", "run", None));
        assert!(!verdict("/node_modules/express/lib/router.js", "next", Some("/srv/shop")));
        assert!(!verdict("<frozen importlib._bootstrap>", "_load", None));
        assert!(!verdict("Thread.java", "java.lang.Thread.run", None));
        assert!(!verdict("", "", None));
    }
}
