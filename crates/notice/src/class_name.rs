//! Classes of errors as grouping sees them.
//!
//! Ruby, PHP, C# and Java always name a class with its namespace, and `Net::ReadTimeout` is not `Redis::ReadTimeout`: so the
//! namespace counts. Python's clients disagree: some write `shop.PaymentDeclined`, some `PaymentDeclined`, and some put the module
//! beside. Of a hash one cannot ask whether one side lacks it, so for Python the name alone counts; which of two equal names it is
//! the frames tell.

use std::borrow::Cow;
use std::path::Path;

use crate::{Error, Frame};

/// Endings of files whose classes stand in packages of the Java runtime.
pub(crate) const JVM_EXTENSIONS: [&str; 5] = ["java", "kt", "scala", "groovy", "clj"];

/// The class of Go's plainest error. Rollbar's client writes a check sum of the message for it.
const GO_ERROR: &str = "errors.errorString";

/// The class, as every client of its language would write it.
pub(crate) fn class_name(error: &Error) -> Cow<'_, str> {
    let class = error.class.as_deref().unwrap_or_default().trim();
    let class = class.trim_start_matches(['*', '&', '\\']).trim_start_matches("::");
    if is_check_sum(class) {
        return Cow::Borrowed(GO_ERROR);
    }
    match (language_of(error), error.module.as_deref().filter(|module| !module.is_empty())) {
        (Some(Language::Python), _) => Cow::Borrowed(class.rsplit('.').next().unwrap_or(class)),
        // OpenTelemetry writes the path by which the package is imported: `github.com/acme/shop/cart.Declined`
        (Some(Language::Go), _) => Cow::Borrowed(class.rsplit('/').next().unwrap_or(class)),
        (Some(Language::Java), Some(module)) if !class.contains(['.', ':']) => Cow::Owned(format!("{module}.{class}")),
        _ => Cow::Borrowed(class),
    }
}

/// A language that not all clients name classes alike for.
enum Language {
    Python,
    Go,
    /// Java, and what else runs on its machine.
    Java,
}

/// What the error's files are written in, whatever the client says: the application's own count first.
///
/// A stack with no file at all is Java's, whose builds can leave them out: others that say a module beside a class have files.
fn language_of(error: &Error) -> Option<Language> {
    let own = error.frames.iter().filter(|frame| frame.in_app == Some(true));
    let told = own.chain(&error.frames).find_map(|frame| match extension(frame) {
        Some("py") => Some(Language::Python),
        Some("go") => Some(Language::Go),
        Some(extension) => JVM_EXTENSIONS.contains(&extension).then_some(Language::Java),
        None => frame.file.as_deref().is_some_and(is_obfuscated).then_some(Language::Java),
    });
    let has_no_file = !error.frames.is_empty() && error.frames.iter().all(|frame| frame.file.is_none());
    told.or_else(|| has_no_file.then_some(Language::Java))
}

/// The ending of the frame's file.
pub(crate) fn extension(frame: &Frame) -> Option<&str> {
    Path::new(frame.file.as_deref()?).extension()?.to_str()
}

/// Whether the frame says its file, and not something in its place.
pub(crate) fn has_file(frame: &Frame) -> bool {
    let is_none =
        |file: &str| matches!(file, "" | "<unknown>" | "(unknown)") || is_obfuscated(file) || is_module_id(file);
    frame.file.as_deref().is_some_and(|file| !is_none(file))
}

/// What builds for Java write over the name of every file, and its machine where there is none. R8 has another name for each build.
fn is_obfuscated(file: &str) -> bool {
    matches!(file, "SourceFile" | "Unknown Source" | "Native Method") || file.starts_with("r8-map-id-")
}

/// What Mono writes for a file: the id of the assembly, which each build has otherwise, or zeros.
fn is_module_id(file: &str) -> bool {
    let id = file.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or_default();
    id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// `{5d5c0a1b}`
fn is_check_sum(class: &str) -> bool {
    let digits = class.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    digits
        .is_some_and(|digits| (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_named_as_its_language_does() {
        for (class, module, file, expected) in [
            ("shop.PaymentDeclined", "", "shop.py", "PaymentDeclined"),
            ("PaymentDeclined", "shop", "shop.py", "PaymentDeclined"),
            ("shop.PaymentDeclined", "", "Cart.java", "shop.PaymentDeclined"),
            ("PaymentDeclined", "shop", "Cart.kt", "shop.PaymentDeclined"),
            ("Shop\\PaymentDeclined", "", "cart.php", "Shop\\PaymentDeclined"),
            ("\\Shop\\PaymentDeclined", "", "cart.php", "Shop\\PaymentDeclined"),
            ("Net::ReadTimeout", "Net", "cart.rb", "Net::ReadTimeout"),
            ("System.TimeoutException", "System.Private.CoreLib", "Cart.cs", "System.TimeoutException"),
            ("*errors.errorString", "", "cart.go", "errors.errorString"),
            ("{5d5c0a1b}", "", "cart.go", "errors.errorString"),
            ("github.com/acme/shop/cart.Declined", "", "cart.go", "cart.Declined"),
            ("*x509.UnknownAuthorityError", "crypto/x509", "verify.go", "x509.UnknownAuthorityError"),
            ("shop.PaymentDeclined", "", "", "shop.PaymentDeclined"),
            ("b", "a.a", "SourceFile", "a.a.b"),
            ("b", "a.a", "r8-map-id-0f343b0931126a20f133d67c2b018a3b", "a.a.b"),
        ] {
            let frame = Frame { file: Some(file.into()), ..Frame::default() };
            let error = Error {
                class: Some(class.into()),
                module: (!module.is_empty()).then(|| module.into()),
                frames: vec![frame],
                ..Error::default()
            };
            assert_eq!(class_name(&error), expected, "{class} in {file}");
        }
    }
}
