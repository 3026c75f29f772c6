//! What single clients do that the schema does not say, put right.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Frame, Notice};

use crate::message::without_class;
use crate::unmapped::Unmapped;
use crate::{frame_address, frame_order};

/// What airbrake-python writes for file and function where a text is reported without an exception.
const NO_PLACE: &str = "N/A";

/// What stands before the name of each module of Elixir inside its machine.
const ELIXIR: &str = "Elixir.";

/// Puts right what the notice's client is known to do.
pub(super) fn repair<'a>(notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let name = notice.notifier.as_ref().and_then(|notifier| notifier.name.as_deref()).unwrap_or_default();
    match name {
        "javabrake" => files_of_classes(notice, unmapped),
        "Airbrakex" => notice.errors.iter_mut().for_each(modules_of_elixir),
        "airbrake-python" => {
            notice.errors.iter_mut().for_each(without_class);
            without_no_place(notice, unmapped);
        }
        _ => {}
    }
    frame_order::repair(notice);
    notice.errors.iter_mut().flat_map(|error| &mut error.frames).for_each(frame_address::take_out);
}

/// javabrake says in `file` the class, or the file that the compiler made of it, and in `function` the bare name of the method.
fn files_of_classes<'a>(notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    for (error, frames) in notice.errors.iter_mut().map(|error| &mut error.frames).enumerate() {
        for (line, frame) in frames.iter_mut().enumerate() {
            let Some((class, source)) = frame.file.as_deref().and_then(class_and_source) else { continue };
            if let Some(method) = frame.function.as_deref().filter(|method| !method.is_empty()) {
                frame.function = Some(format!("{class}.{method}"));
            }
            if let Some(file) = frame.file.replace(source) {
                unmapped.add(format!("errors[{error}].backtrace[{line}].file"), Tree::Text(Cow::Owned(file)));
            }
        }
    }
}

/// `/srv/shop.jar!/shop/Cart$Line.class` or `shop.Cart$Line` → `shop.Cart$Line`, `Cart.java`
fn class_and_source(file: &str) -> Option<(String, String)> {
    let class = match file.strip_suffix(".class") {
        Some(path) => path.rsplit_once("!/").map_or(path, |(_, path)| path).trim_start_matches('/').replace('/', "."),
        None if file.contains('.') && !file.contains('/') && !has_extension(file) => file.to_owned(),
        None => return None,
    };
    let name = class.rsplit('.').next()?;
    let outermost = name.split('$').next().filter(|name| !name.is_empty())?;
    let source = format!("{outermost}.java");
    Some((class, source))
}

/// airbrakex writes `Elixir.Shop.Declined` for a class, and for a file `(Elixir.Shop.Cart) lib/shop/cart.ex`, or `unknown` and line 0.
fn modules_of_elixir(error: &mut Error) {
    if let Some(class) = error.class.as_deref().and_then(|class| class.strip_prefix(ELIXIR)) {
        error.class = Some(class.to_owned());
    }
    for frame in &mut error.frames {
        let told = frame.file.as_deref().and_then(|file| file.strip_prefix('(')?.split_once(") "));
        if let Some((module, file)) = told {
            frame.module = Some(module.strip_prefix(ELIXIR).unwrap_or(module).to_owned());
            frame.file = Some(file.to_owned());
        }
        if frame.file.take_if(|file| file == "unknown").is_some() {
            frame.line.take_if(|line| *line == 0);
        }
    }
}

fn has_extension(file: &str) -> bool {
    [".java", ".kt", ".scala", ".groovy", ".clj"].iter().any(|extension| file.ends_with(extension))
}

/// Leaves out a frame that names no place: with it, all that is reported so would be one group.
fn without_no_place(notice: &mut Notice, unmapped: &mut Unmapped<'_>) {
    let is_no_place =
        |frame: &mut Frame| [&frame.file, &frame.function].iter().all(|text| text.as_deref() == Some(NO_PLACE));
    for (at, error) in notice.errors.iter_mut().enumerate() {
        for frame in error.frames.extract_if(.., is_no_place) {
            let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
            unmapped.add(format!("errors[{at}].backtrace"), Tree::Text(Cow::Owned(format!("{NO_PLACE}{line}"))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_java_is_told_from_its_class() {
        for (file, expected) in [
            ("/srv/shop-1.4.jar!/shop/Cart.class", Some(("shop.Cart", "Cart.java"))),
            ("/srv/classes/shop/Cart$Line$1.class", Some(("srv.classes.shop.Cart$Line$1", "Cart.java"))),
            ("java.util.concurrent.FutureTask", Some(("java.util.concurrent.FutureTask", "FutureTask.java"))),
            ("Cart.java", None),
            ("Cart", None),
            ("", None),
            (".class", None),
        ] {
            let read = class_and_source(file);
            assert_eq!(read.as_ref().map(|(class, source)| (&**class, &**source)), expected, "{file}");
        }
    }
}
