//! Files as grouping sees them: below the root of the application, wherever that lies on a machine and whether or not the client says it.
//!
//! - What says where the root is: a client's mark (`[PROJECT_ROOT]`), the notice's root, a frame's module (`shop.cart` of
//!   `/srv/shop/shop/cart.py`), or a folder that deployments make (`releases/17`, `current`, `/app` of a container).
//! - Frames of several folders: what they share above comes off, because a root that is set one folder too high is still the root.
//! - Frames of one folder: it comes off where nothing says what the root is, and counts otherwise.
//! - Two kinds of names hold on to their folder: those that applications have inside (`models/cart.rb`), and those that
//!   every folder has (`blog/views.py`).

use std::borrow::Cow;

use crate::class_name::{extension, has_file};
use crate::{Frame, in_app, place};

/// Folders at the top that hold all of the code and say nothing; often the root itself has such a name.
const HOLDERS: [&str; 5] = ["app", "static", "assets", "public", "js"];

/// Folders that applications have inside by convention: what lies above them is the root.
const INNER_FOLDERS: [&str; 39] = [
    "src",
    "lib",
    "dist",
    "build",
    "out",
    "models",
    "views",
    "controllers",
    "helpers",
    "jobs",
    "mailers",
    "services",
    "workers",
    "channels",
    "policies",
    "serializers",
    "concerns",
    "decorators",
    "presenters",
    "routes",
    "handlers",
    "middleware",
    "components",
    "pages",
    "hooks",
    "utils",
    "api",
    "tasks",
    "commands",
    "entities",
    "repositories",
    "resources",
    "stores",
    "templates",
    "management",
    "resolvers",
    "modules",
    "plugins",
    "admin",
];

/// Endings of files that are a module each. Elsewhere a module is a folder, or what the author wants.
const MODULE_EXTENSIONS: [&str; 9] = ["py", "js", "mjs", "cjs", "ts", "mts", "jsx", "tsx", "php"];

/// Files that each folder can have, because a language or a framework looks for that name.
const COMMON_NAMES: [&str; 19] = [
    "index",
    "views",
    "models",
    "urls",
    "admin",
    "forms",
    "tasks",
    "serializers",
    "signals",
    "apps",
    "__init__",
    "__main__",
    "mod",
    "page",
    "route",
    "layout",
    "handler",
    "schema",
    "tests",
];

/// Where containers and hosts put an application.
const HOST_ROOTS: [&str; 8] = [
    "/app/",
    "/usr/src/app/",
    "/var/task/",
    "/var/www/html/",
    "/workspace/",
    "/code/",
    "/home/site/wwwroot/",
    "/github/workspace/",
];

/// The files of these frames, in their order; empty where a frame has none.
pub(crate) fn source_paths(frames: &[&Frame], root: Option<&str>) -> Vec<String> {
    let above = frames.iter().find_map(|frame| above_module(frame));
    let paths: Vec<SourcePath> = frames.iter().map(|frame| SourcePath::of(frame, root, above.as_deref())).collect();
    let shared = |is_below_root: bool| {
        Shared::of(paths.iter().filter(|path| path.is_below_root == is_below_root && !path.path.is_empty()))
    };
    let (below, elsewhere) = (shared(true), shared(false));
    let cut = |SourcePath { path, is_below_root }: SourcePath| match is_below_root {
        true if below.is_one_folder => tidy(&path),
        true => tidy(&below.cut(&path)),
        false => tidy(&elsewhere.cut(&path)),
    };
    paths.into_iter().map(cut).collect()
}

/// A path with slashes, and whether it begins at the root of the application.
struct SourcePath {
    path: String,
    is_below_root: bool,
}

impl SourcePath {
    /// The path of the frame's file, given the root and what a module of the stack says to lie above the files.
    fn of(frame: &Frame, root: Option<&str>, above: Option<&str>) -> SourcePath {
        let file = frame.file.as_deref().filter(|_| has_file(frame)).unwrap_or_default().replace('\\', "/");
        let file = place::without_file_scheme(&file);
        // Browsers' clients give the origin of the page for a root: that comes off every address.
        let root = root.filter(|root| !root.contains("://"));
        let known = |path: &str| SourcePath { path: path.to_owned(), is_below_root: true };
        if let Some(path) = in_app::below_root(file, root).or_else(|| in_app::below_root(file, above)) {
            return known(path);
        }
        let (scheme, path) = place::origin_and_path(file);
        if let Some(page) = matches!(scheme, Some("http" | "https")).then(|| place::page(path)).flatten() {
            return SourcePath { path: page, is_below_root: true };
        }
        if let Some(path) = below_module(path, frame) {
            return known(path);
        }
        let below = place::without_deploy_root(path);
        if below.len() < path.len() {
            return known(below);
        }
        if let Some(path) = HOST_ROOTS.iter().find_map(|root| path.strip_prefix(root)) {
            return known(path);
        }
        let is_absolute = match scheme {
            Some("http" | "https" | "file") => true,
            Some(_) => false,
            None => path.starts_with('/') || path.get(1..3) == Some(":/"),
        };
        // Some clients cut the root off and leave the slash that followed.
        SourcePath { path: path.to_owned(), is_below_root: !is_absolute || (scheme.is_none() && root.is_some()) }
    }
}

/// What stands before the end that the module names: other files of the stack lie there, too.
fn above_module(frame: &Frame) -> Option<String> {
    let file = frame.file.as_deref()?.replace('\\', "/");
    let below = below_module(&file, frame)?;
    let above = file[..file.len() - below.len()].trim_end_matches('/');
    (!above.is_empty()).then(|| above.to_owned())
}

/// The end of the path that the module names: `/srv/shop/shop/cart.py` of `shop.cart` → `shop/cart.py`
fn below_module<'a>(path: &'a str, frame: &Frame) -> Option<&'a str> {
    let module = frame.module.as_deref().filter(|module| !module.is_empty())?;
    if !MODULE_EXTENSIONS.contains(&extension(frame)?) {
        return None;
    }
    let module = module.replace("::", "/").replace(['.', ':', '\\'], "/");
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    let above = stem.strip_suffix(&module)?;
    (above.is_empty() || above.ends_with('/')).then(|| &path[above.len()..])
}

/// What several paths have above them in common.
struct Shared {
    /// How many folders.
    folder_count: usize,
    /// Whether all of the paths lie in one folder.
    is_one_folder: bool,
}

impl Shared {
    fn of<'a>(paths: impl Iterator<Item = &'a SourcePath>) -> Shared {
        let mut folders = paths.map(|path| folders_of(&path.path));
        let Some(mut shared) = folders.next() else { return Shared { folder_count: 0, is_one_folder: true } };
        let mut is_one_folder = true;
        for folder in folders {
            is_one_folder &= folder == shared;
            let count = shared.iter().zip(&folder).take_while(|(one, other)| one == other).count();
            shared.truncate(count);
        }
        while shared.last().is_some_and(|folder| INNER_FOLDERS.contains(folder)) {
            shared.pop();
        }
        Shared { folder_count: shared.len(), is_one_folder }
    }

    /// The path without what is shared.
    fn cut(&self, path: &str) -> String {
        let folders = folders_of(path);
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.split('.').next().unwrap_or(name);
        let mut from = self.folder_count;
        if self.is_one_folder && from == folders.len() && COMMON_NAMES.contains(&stem) {
            from = from.saturating_sub(1);
        }
        let mut kept: Vec<&str> = folders.get(from..).unwrap_or_default().to_vec();
        kept.push(name);
        kept.join("/")
    }
}

/// The folders of a path, without those that lead nowhere.
fn folders_of(path: &str) -> Vec<&str> {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    folders.retain(|folder| !matches!(*folder, "" | "." | ".." | "~"));
    folders
}

/// The path without folders that only hold the code, versions of packages and content hashes.
fn tidy(path: &str) -> String {
    let path = path.rsplit("/./").next().unwrap_or(path);
    let mut path = path.trim_start_matches(['.', '/', '~']);
    while let Some((folder, rest)) = path.split_once('/')
        && HOLDERS.contains(&folder)
    {
        path = rest;
    }
    let path = place::without_versions(path).map_or(Cow::Borrowed(path), Cow::Owned);
    place::without_content_hash(&path).unwrap_or_else(|| path.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(root: Option<&str>, files: &[&str]) -> Vec<String> {
        let frames: Vec<Frame> =
            files.iter().map(|file| Frame { file: Some((*file).to_owned()), ..Frame::default() }).collect();
        source_paths(&frames.iter().collect::<Vec<_>>(), root)
    }

    #[test]
    fn the_root_comes_off_however_it_is_known() {
        for (root, file, expected) in [
            (None, "[PROJECT_ROOT]/app/models/cart.rb", "models/cart.rb"),
            (None, "/PROJECT_ROOT/app/models/cart.rb", "models/cart.rb"),
            (None, "app/models/cart.rb", "models/cart.rb"),
            (Some("/srv/shop"), "/srv/shop/app/models/cart.rb", "models/cart.rb"),
            (None, "/srv/shop/app/models/cart.rb", "models/cart.rb"),
            (None, "/srv/shop/releases/20240101120000/app/models/cart.rb", "models/cart.rb"),
            (Some("/srv/shop/current"), "/srv/shop/releases/17/app/models/cart.rb", "models/cart.rb"),
            (None, "/app/billing/invoice.py", "billing/invoice.py"),
            (None, "/srv/shop/app/shop.py", "shop.py"),
            (None, "/srv/shop/blog/views.py", "blog/views.py"),
            (None, "blog/views.py", "blog/views.py"),
            (Some("/srv/shop/app"), "/lib/shop.js", "lib/shop.js"),
            (None, "https://shop.example/static/app.js?v=3", "app.js"),
            (None, "app:///app.js", "app.js"),
            (None, "file:///srv/shop/lib/shop.mjs", "lib/shop.mjs"),
            (None, "webpack://shop/./src/cart.js", "src/cart.js"),
            (None, "~/static/js/main.8f2c1de9.chunk.js", "main.*.chunk.js"),
            (None, "C:\\build\\Shop\\Cart.cs", "Cart.cs"),
            (None, "", ""),
        ] {
            assert_eq!(paths(root, &[file]), [expected], "{file}");
        }
    }

    #[test]
    fn what_frames_of_several_folders_share_comes_off() {
        let expected = ["lib/shop.js", "drive.js"];
        assert_eq!(paths(None, &["/srv/shop/lib/shop.js", "/srv/shop/drive.js"]), expected);
        assert_eq!(paths(Some("/srv"), &["/srv/shop/lib/shop.js", "/srv/shop/drive.js"]), expected);
        assert_eq!(paths(None, &["[PROJECT_ROOT]/lib/shop.js", "[PROJECT_ROOT]/drive.js"]), expected);
        let expected = ["models/cart.rb", "models/concerns/priced.rb"];
        assert_eq!(paths(None, &["/srv/shop/app/models/cart.rb", "/srv/shop/app/models/concerns/priced.rb"]), expected);
        assert_eq!(paths(None, &["app/models/cart.rb", "app/models/concerns/priced.rb"]), expected);
    }

    #[test]
    fn a_folder_counts_where_the_root_is_known() {
        assert_ne!(paths(None, &["billing/invoice.py"]), paths(None, &["orders/invoice.py"]));
        assert_ne!(paths(None, &["app/models/cart.rb"]), paths(None, &["app/views/cart.rb"]));
        assert_ne!(paths(None, &["app/cart.rb"]), paths(None, &["lib/cart.rb"]));
        assert_ne!(paths(None, &["/srv/shop/app/cart.rb"]), paths(None, &["/srv/shop/lib/cart.rb"]));
        assert_ne!(paths(None, &["/srv/shop/app/models/cart.rb"]), paths(None, &["/srv/shop/app/views/cart.rb"]));
        assert_ne!(paths(None, &["/srv/shop/blog/views.py"]), paths(None, &["/srv/shop/cart/views.py"]));
    }

    #[test]
    fn a_module_tells_where_the_path_begins() {
        for (file, module, expected) in [
            ("/srv/shop/node/lib/cart/total.js", "cart:total", "cart/total.js"),
            ("py-raven/shop.py", "shop", "shop.py"),
            ("/srv/x/shop/cart/__init__.py", "shop.cart", "shop/cart/__init__.py"),
            ("/srv/x/src/App/Cart.php", "App\\Cart", "App/Cart.php"),
            ("/srv/x/workshop.py", "shop", "workshop.py"),
        ] {
            let frame = Frame { file: Some(file.into()), module: Some(module.into()), ..Frame::default() };
            assert_eq!(source_paths(&[&frame], None), [expected], "{file} of {module}");
        }
        let frame = |file: &str, module: &str| Frame {
            file: Some(file.into()),
            module: Some(module.into()),
            ..Frame::default()
        };
        let (shop, main) = (frame("py-raven/shop.py", "shop"), frame("py-raven/main.py", "__main__"));
        assert_eq!(source_paths(&[&shop, &main], None), ["shop.py", "main.py"], "one module tells for all");
    }
}
