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
        (Some(Language::Java), Some(module)) if !class.contains(['.', ':']) => Cow::Owned(format!("{module}.{class}")),
        _ => Cow::Borrowed(class),
    }
}

/// A language that not all clients name classes alike for.
enum Language {
    Python,
    /// Java, and what else runs on its machine.
    Java,
}

/// What the error's files are written in, whatever the client says: the application's own count first.
fn language_of(error: &Error) -> Option<Language> {
    let own = error.frames.iter().filter(|frame| frame.in_app == Some(true));
    own.chain(&error.frames).filter_map(extension).find_map(|extension| match extension {
        "py" => Some(Language::Python),
        extension => JVM_EXTENSIONS.contains(&extension).then_some(Language::Java),
    })
}

/// The ending of the frame's file.
pub(crate) fn extension(frame: &Frame) -> Option<&str> {
    Path::new(frame.file.as_deref()?).extension()?.to_str()
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
            ("shop.PaymentDeclined", "", "", "shop.PaymentDeclined"),
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
