//! Which frames are the application's own.

use crate::Frame;
use crate::class_name::{JVM_EXTENSIONS, extension, has_file};
use crate::place;

/// Beginnings that only files of libraries, or of no file at all, have.
const LIBRARY_STARTS: [&str; 25] = [
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
    "/usr/bin/",
    "/usr/local/bin/",
    "/usr/local/bundle/",
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

/// Packages of what programs in Java stand on: servers, containers, Android. Only where a frame is of Java: elsewhere one may call an object so.
const JVM_LIBRARIES: [&str; 31] = [
    "jakarta.",
    "org.apache.",
    "org.eclipse.jetty.",
    "org.hibernate.",
    "org.jboss.",
    "org.glassfish.",
    "org.codehaus.groovy.",
    "org.postgresql.",
    "com.mysql.",
    "com.zaxxer.hikari.",
    "com.fasterxml.",
    "io.netty.",
    "io.undertow.",
    "io.quarkus.",
    "io.micronaut.",
    "io.vertx.",
    "io.reactivex.",
    "reactor.",
    "akka.",
    "groovy.",
    "clojure.",
    "okhttp3.",
    "okio.",
    "retrofit2.",
    "android.",
    "androidx.",
    "com.android.",
    "com.google.android.gms.",
    "com.google.firebase.",
    "dalvik.",
    "libcore.",
];

/// Packages of Go's standard library that stacks go through. Built with `-trimpath`, a program has them for the folders of its frames.
const GO_PACKAGES: [&str; 54] = [
    "archive/zip",
    "bufio",
    "bytes",
    "compress/gzip",
    "container/heap",
    "context",
    "crypto/tls",
    "crypto/x509",
    "database/sql",
    "encoding/binary",
    "encoding/csv",
    "encoding/gob",
    "encoding/hex",
    "encoding/json",
    "encoding/xml",
    "errors",
    "flag",
    "fmt",
    "html/template",
    "internal/poll",
    "internal/reflectlite",
    "internal/runtime/atomic",
    "internal/runtime/maps",
    "internal/sync",
    "internal/synctest",
    "io",
    "io/fs",
    "iter",
    "log",
    "log/slog",
    "maps",
    "math/big",
    "net",
    "net/http",
    "net/http/httptest",
    "net/http/httputil",
    "net/rpc",
    "os",
    "os/exec",
    "path/filepath",
    "reflect",
    "regexp",
    "runtime",
    "runtime/cgo",
    "runtime/debug",
    "slices",
    "sort",
    "strconv",
    "strings",
    "sync",
    "sync/atomic",
    "testing",
    "text/template",
    "time",
];

/// Beginnings of what no application has written, whatever the client says: browsers' clients say that every frame is the application's.
const NOBODYS_STARTS: [&str; 8] = [
    "<anonymous>",
    "[native code]",
    "native ",
    "index ",
    "node:",
    "chrome-extension://",
    "moz-extension://",
    "safari-web-extension://",
];

/// Whether the frame is the engine's or a browser's extension's.
pub(crate) fn is_nobodys(frame: &Frame) -> bool {
    frame.file.as_deref().is_some_and(|file| NOBODYS_STARTS.iter().any(|start| file.starts_with(start)))
}

/// Whether the frame is the application's own, as far as its path and function tell.
pub(crate) fn is_in_app(frame: &Frame, root: Option<&str>) -> bool {
    let file = place::without_file_scheme(frame.file.as_deref().unwrap_or_default());
    let function = frame.function.as_deref().unwrap_or_default();
    if file.is_empty() && function.is_empty() {
        return false;
    }
    let module = frame.module.as_deref().unwrap_or_default();
    // Airbrake's client for .NET says a class for a file where there is none: `System.Number`, and no `System.cs`.
    let is_class = !file.contains(['/', '\\'])
        && file.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_uppercase()));
    let class = if is_class { file } else { "" };
    let of_runtime = |name: &str| RUNTIMES.iter().any(|package| name.starts_with(package));
    if [function, module, class].into_iter().any(of_runtime) {
        return false;
    }
    if is_of_jvm(frame)
        && JVM_LIBRARIES.iter().any(|package| function.starts_with(package) || module.starts_with(package))
    {
        return false;
    }
    !is_library_path(below_root(file, root).unwrap_or(file)) && !is_of_go_library(file, function)
}

fn is_of_jvm(frame: &Frame) -> bool {
    !has_file(frame) || extension(frame).is_some_and(|extension| JVM_EXTENSIONS.contains(&extension))
}

/// Whether the file is of a library of Go: `github.com/gin-gonic/gin@v1.9.1/context.go`, `net/http/server.go` of a build without the paths of its
/// machine, `/root/sdk/go1.22.1/src/net/http/server.go`. A program of the same name as a package has other functions in it.
fn is_of_go_library(file: &str, function: &str) -> bool {
    let Some((folder, _)) = file.strip_suffix(".go").and_then(|path| path.rsplit_once('/')) else { return false };
    if folder.split('/').any(|folder| place::without_go_version(folder).is_some()) {
        return true;
    }
    let folder = folder.rsplit_once("/src/").filter(|(above, _)| is_go_root(above)).map_or(folder, |(_, below)| below);
    let is_its_package = |package| package == folder || folder.rsplit('/').next() == Some(package);
    GO_PACKAGES.contains(&folder) && go_package(function).is_none_or(is_its_package)
}

/// Where Go is, whichever version and whoever has put it there.
fn is_go_root(path: &str) -> bool {
    path.split('/').any(|folder| folder.eq_ignore_ascii_case("go") || folder.starts_with("go1."))
}

/// `net/http.HandlerFunc.ServeHTTP` → `net/http`; some clients leave it out: `HandlerFunc.ServeHTTP`, `(*conn).serve`, `gopanic`.
fn go_package(function: &str) -> Option<&str> {
    let name_at = function.rfind('/').map_or(0, |at| at + 1);
    let (package, _) = function.split_at(name_at + function[name_at..].find('.')?);
    package[name_at..].starts_with(|first: char| first.is_lowercase()).then_some(package)
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
            // Windows: `C:\\Python311\\Lib`
            "Lib" => parent.starts_with("Python") || parent.ends_with("conda3"),
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
        assert!(verdict("C:\\shop\\Lib\\cart.py", "f", None));
        assert!(verdict("shop/main.go", "main.main", None));
        assert!(verdict("shop/internal/sync/sync.go", "shop/internal/sync.Run", None));
        assert!(verdict("log/main.go", "main.main", None), "a module of the name of a package");
        assert!(verdict("[PROJECT_ROOT]/log/log.go", "log.Print", None));
        assert!(verdict("github.com/acme/shop/cart.go", "github.com/acme/shop.Charge", None));
        assert!(verdict("/home/ann/go/src/shop/log/log.go", "shop/log.Print", None));
        assert!(verdict("/build/shop/src/log/log.go", "shop/src/log.Print", None));
        assert!(verdict("reactor.js", "reactor.start", None));
        assert!(verdict("SourceFile", "a.b.c.a", None));
        assert!(verdict("System.cs", "Start", None));
        assert!(verdict("Shop.Cart", "Charge", None));
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
        assert!(!verdict("System.Number", "ThrowFormatException", None));
        assert!(!verdict("/usr/local/go/src/net/http/server.go", "net/http.HandlerFunc.ServeHTTP", None));
        assert!(!verdict("node:internal/modules/run_main", "run", None));
        assert!(!verdict("/node_modules/express/lib/router.js", "next", Some("/srv/shop")));
        assert!(!verdict("<frozen importlib._bootstrap>", "_load", None));
        assert!(!verdict("Thread.java", "java.lang.Thread.run", None));
        assert!(!verdict("", "", None));
        assert!(!verdict("C:\\Python311\\Lib\\threading.py", "run", None));
        assert!(!verdict(
            "C:\\Users\\ann\\AppData\\Local\\Programs\\Python\\Python312\\Lib\\asyncio\\runners.py",
            "run",
            None
        ));
        assert!(!verdict("C:\\ProgramData\\miniconda3\\Lib\\json\\decoder.py", "decode", None));
    }

    #[test]
    fn programs_in_go_that_do_not_know_their_paths_have_libraries_too() {
        for (file, function) in [
            ("runtime/panic.go", "runtime.gopanic"),
            ("runtime/panic.go", "gopanic"),
            ("net/http/server.go", "net/http.HandlerFunc.ServeHTTP"),
            ("net/http/server.go", "http.HandlerFunc.ServeHTTP"),
            ("net/http/server.go", "HandlerFunc.ServeHTTP"),
            ("net/http/server.go", "(*conn).serve"),
            ("github.com/gin-gonic/gin@v1.9.1/context.go", "github.com/gin-gonic/gin.(*Context).Next"),
            ("/root/sdk/go1.22.1/src/runtime/panic.go", "gopanic"),
            ("/opt/hostedtoolcache/go/1.22.1/x64/src/net/http/server.go", "http.HandlerFunc.ServeHTTP"),
            ("C:/Program Files/Go/src/runtime/panic.go", "runtime.gopanic"),
            ("golang.org/x/sync@v0.7.0/errgroup/errgroup.go", "golang.org/x/sync/errgroup.(*Group).Go.func1"),
        ] {
            assert!(!verdict(file, function, None), "{function} in {file}");
        }
    }

    #[test]
    fn what_programs_in_java_stand_on_is_not_theirs() {
        for (file, function) in [
            ("ApplicationFilterChain.java", "org.apache.catalina.core.ApplicationFilterChain.doFilter"),
            ("SessionImpl.java", "org.hibernate.internal.SessionImpl.flush"),
            ("HttpServlet.java", "jakarta.servlet.http.HttpServlet.service"),
            ("Handler.java", "android.os.Handler.dispatchMessage"),
            ("SourceFile", "androidx.fragment.app.Fragment.onCreate"),
            ("", "io.netty.channel.AbstractChannel.close"),
        ] {
            assert!(!verdict(file, function, None), "{function} in {file}");
        }
        let frame = |module: &str| Frame {
            file: Some("Mono.java".into()),
            function: Some("block".into()),
            module: Some(module.into()),
            ..Frame::default()
        };
        assert!(!is_in_app(&frame("reactor.core.publisher.Mono"), None));
        assert!(is_in_app(&frame("shop.reactor.Mono"), None));
    }
}
