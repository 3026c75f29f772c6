//! Functions as grouping sees them: by their names, however a client, a call or a compiler decorates these.
//!
//! What stands before the name (`Cart#charge`, `Object.charge`, `shop.Cart.charge`, `Shop\Cart::charge`) is left out where the file
//! is known: the file says nearly as much, and Ruby before 3.4, Firefox and Python never write it.

use std::borrow::Cow;

use crate::class_name::extension;
use crate::{Frame, place};

/// Words before a name that say how it was called.
const CALLS: [&str; 6] = ["async ", "async*", "new ", "get ", "set ", "static "];

/// What C++ says behind arguments, and Dart of what lies in a function.
const INSIDES_AND_QUALIFIERS: [&str; 5] = [" const", " noexcept", ".<fn>", ".<async>", ".<anonymous closure>"];

/// What Safari says for code outside functions.
const SAFARIS_TOP_LEVEL: [&str; 3] = ["global code", "module code", "eval code"];

/// What stands between the parts of a qualified name.
const SEPARATORS: [&str; 5] = ["::", "->", ".", "#", "\\"];

/// Names for functions that have none.
const ANONYMOUS: [&str; 18] = [
    "?",
    "[anonymous]",
    "<anonymous>",
    "(anonymous function)",
    "(anonymous)",
    "anonymous",
    "<unknown>",
    "<redacted>",
    "<computed>",
    "<top-level>",
    "<lambda>",
    "<genexpr>",
    "{closure}",
    "{{closure}}",
    "{anonymous}",
    "eval code",
    "eval",
    "_callee$",
];

/// Functions that compilers of JavaScript put around those that were written.
const JAVASCRIPT_WRAPPERS: [&str; 6] =
    ["asyncGeneratorStep", "_next", "_throw", "__awaiter", "__generator", "Generator.next"];

/// What Python has as functions before 3.12, and from then on as a part of the function around.
const COMPREHENSIONS: [&str; 3] = ["<listcomp>", "<dictcomp>", "<setcomp>"];

/// Whether the frame is there in some builds or versions only.
pub(crate) fn is_wrapper(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    match extension(frame) {
        Some("py") => COMPREHENSIONS.contains(&function),
        Some("js" | "mjs" | "cjs" | "ts" | "mts" | "jsx" | "tsx") => JAVASCRIPT_WRAPPERS.contains(&function),
        _ => false,
    }
}

/// The name alone; empty if it has none.
pub(crate) fn name(frame: &Frame) -> Cow<'_, str> {
    let function = undecorated(frame);
    if is_anonymous(function) {
        return Cow::Borrowed("");
    }
    let name = last_part(function);
    if is_anonymous(name) { Cow::Borrowed("") } else { place::without_counted_names(name) }
}

/// The name with module and class, for where there is no file to tell by.
pub(crate) fn qualified_name(frame: &Frame) -> Cow<'_, str> {
    let module = frame.module.as_deref().unwrap_or_default();
    let function = undecorated(frame);
    if is_anonymous(function) {
        return Cow::Borrowed(module);
    }
    // Java's class loaders stand before two slashes: `app//shop.Cart.charge`.
    let function = function.rsplit_once("//").map_or(function, |(_, function)| function);
    let is_qualified = SEPARATORS.iter().any(|mark| function.contains(mark));
    let whole = match module {
        "" => Cow::Borrowed(function),
        _ if is_qualified => Cow::Borrowed(function),
        module => Cow::Owned(format!("{module}.{function}")),
    };
    match without_coroutine(&whole) {
        Some(name) => Cow::Owned(name),
        None => Cow::Owned(place::without_counted_names(&whole).into_owned()),
    }
}

fn is_anonymous(function: &str) -> bool {
    let is_counted = || function.starts_with("_callee") && function.ends_with('$');
    // PHP 8.4: `Shop\Cart::{closure:Shop\Cart::charge():12}`
    function.is_empty() || ANONYMOUS.contains(&function) || function.contains("{closure:") || is_counted()
}

/// The function without quotes, arguments, and what says how it was called or that it is the inside of another.
fn undecorated(frame: &Frame) -> &str {
    let function = frame.function.as_deref().unwrap_or_default();
    let function = function.trim().trim_matches(['\'', '`', '"']);
    if SAFARIS_TOP_LEVEL.contains(&function) {
        return "";
    }
    let mut function = place::without_ruby_block(function);
    function = function.split_once(" [as ").map_or(function, |(function, _)| function);
    while let Some(rest) = CALLS.iter().find_map(|call| function.strip_prefix(call)) {
        function = rest;
    }
    // Methods of Objective-C: `-[CartController viewDidLoad]`
    if function.starts_with(['-', '+']) && function[1..].starts_with('[') && function.ends_with(']') {
        return function;
    }
    for end in INSIDES_AND_QUALIFIERS {
        function = function.strip_suffix(end).unwrap_or(function);
    }
    let function = without_csharp_inside(function.trim_end_matches("/<"));
    let function = without_arguments(function);
    let function =
        if function.starts_with(['<', '(']) { function } else { function.rsplit(' ').next().unwrap_or(function) };
    without_inside(function, extension(frame) == Some("go"))
}

/// What lies in a function of C# as Sentry's client writes it: `void Shop.Cart.Pay(decimal sum)+() => { }`, `Pay { <lambda> }` → the function.
fn without_csharp_inside(function: &str) -> &str {
    match function.find(")+") {
        Some(at) => &function[..=at],
        None => function.strip_suffix(" { <lambda> }").unwrap_or(function),
    }
}

/// `Charge(System.String card)` → `Charge`; a receiver in brackets stays.
fn without_arguments(function: &str) -> &str {
    match function.find('(') {
        Some(at) if at > 0 && function.ends_with(')') && !function[..at].ends_with(['.', '<', ' ']) => &function[..at],
        _ => function,
    }
}

/// What lies in a function is told by that function: `shop::charge::{{closure}}` and `shop.Charge.func1` → `charge`.
fn without_inside(function: &str, is_go: bool) -> &str {
    let mut function = function;
    loop {
        let rest = if is_go { without_go_inside(function) } else { without_rust_inside(function) };
        match rest {
            Some(rest) if !rest.is_empty() => function = rest,
            _ => return function,
        }
    }
}

fn without_rust_inside(function: &str) -> Option<&str> {
    let (rest, last) = function.rsplit_once("::")?;
    let is_hash = last.len() == 17 && last.starts_with('h') && last[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_closure = last == "{{closure}}" || last.starts_with("{closure#");
    (is_hash || is_closure).then_some(rest)
}

fn without_go_inside(function: &str) -> Option<&str> {
    if let Some(rest) = function.strip_suffix("-fm").or_else(|| function.strip_suffix("[...]")) {
        return Some(rest);
    }
    let (rest, last) = function.rsplit_once('.')?;
    let number = last.strip_prefix("func").unwrap_or(last);
    let is_inside = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_inside.then_some(rest)
}

/// What stands behind the last separator; of what a compiler made of a method, the method.
fn last_part(function: &str) -> &str {
    // C#: `Shop.Cart.<Charge>d__5.MoveNext`, `Shop.Cart.<>c.<Charge>b__5_0`, `Program.<<Main>$>g__Charge|0_0`, `Program.<Main>$`
    if let Some((name, _)) = function.rsplit_once('<').and_then(|(_, inner)| inner.split_once('>'))
        && (function.ends_with(">$") || [">d__", ">b__", ">g__"].iter().any(|mark| function.contains(mark)))
    {
        return name;
    }
    // The name of a constructor is that of its class: `Shop.Cart..ctor`
    let function = function.strip_suffix("..ctor").or_else(|| function.strip_suffix("..cctor")).unwrap_or(function);
    let start = SEPARATORS.iter().filter_map(|mark| Some(function.rfind(mark)? + mark.len())).max().unwrap_or(0);
    if start == function.len() { function } else { &function[start..] }
}

/// `shop.Cart$charge$1.invokeSuspend` → `shop.Cart.charge`
fn without_coroutine(function: &str) -> Option<String> {
    let class = function.strip_suffix(".invokeSuspend")?;
    let class = class.trim_end_matches(|last: char| last.is_ascii_digit() || last == '$');
    let (class, method) = class.rsplit_once('$')?;
    Some(format!("{class}.{method}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(module: &str, function: &str, file: &str) -> Frame {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Frame { module: text(module), function: text(function), file: text(file), ..Frame::default() }
    }

    #[test]
    fn a_name_that_has_no_end_is_cut_once() {
        let name = format!("<x>{}", "..ctor".repeat(100_000));
        assert!(last_part(&name).len() < name.len());
    }

    #[test]
    fn names_lose_what_clients_calls_and_compilers_add() {
        for (function, expected) in [
            ("charge", "charge"),
            ("Cart#charge", "charge"),
            ("'Cart#charge'", "charge"),
            ("Payments::Cart.charge", "charge"),
            ("block (2 levels) in Cart#charge", "charge"),
            ("rescue in charge", "charge"),
            ("<main>", "<main>"),
            ("<top (required)>", "<top (required)>"),
            ("<module>", "<module>"),
            ("Cart.charge", "charge"),
            ("charge.<locals>.inner", "inner"),
            ("charge.<locals>.<lambda>", ""),
            ("Object.charge [as pay]", "charge"),
            ("async exports.charge", "charge"),
            ("async*charge", "charge"),
            ("charge/</<", "charge"),
            ("new Cart", "Cart"),
            ("window.raised", "raised"),
            ("Cart.prototype.charge", "charge"),
            ("Object.<anonymous>", ""),
            ("_callee2$", ""),
            ("Shop\\Cart::charge", "charge"),
            ("Shop\\Cart->charge", "charge"),
            ("Shop\\{closure}", ""),
            ("{closure:Shop\\Cart::charge():12}", ""),
            ("shop::cart::charge", "charge"),
            ("shop::cart::charge::{{closure}}", "charge"),
            ("shop::cart::charge::{closure#0}::h0123456789abcdef", "charge"),
            ("<shop::Cart as shop::Pay>::charge", "charge"),
            ("Object.func1", "func1"),
            ("void Shop.Cart.Charge(string card)", "Charge"),
            ("Shop.Cart.<Charge>d__5.MoveNext", "Charge"),
            ("Shop.Cart.<>c.<Charge>b__5_0", "Charge"),
            ("void Shop.Cart.Charge(decimal sum)+() => { }", "Charge"),
            ("Charge { <lambda> }", "Charge"),
            ("Shop.Cart.<Charge>g__Ask|5_0(Decimal sum)", "Charge"),
            ("bool Shop.Cart.Charge(decimal sum)+Ask(decimal sum)", "Charge"),
            ("Program.<<Main>$>g__Ask|0_0(Decimal sum)", "Main"),
            ("Program.<Main>$(string[] args)+Ask(decimal sum)", "Main"),
            ("Program.<Main>$(String[] args)", "Main"),
            ("Shop.Cart..ctor(Int32 size)", "Cart"),
            ("new Shop.Cart(int size)", "Cart"),
            ("-[CartController viewDidLoad]", "-[CartController viewDidLoad]"),
            ("shop::Cart::total() const", "total"),
            ("_CartState.build.<fn>", "build"),
            ("anonymous fn/1 in Shop.Cart.charge/1", "charge/1"),
            ("Shop.Cart.charge/1", "charge/1"),
            ("operator()", "operator"),
            ("Shop\\Cart::{closure:Shop\\Cart::charge():12}", ""),
            ("global code", ""),
            ("_app_views_carts_show_html_erb__123_456", "_app_views_carts_show_html_erb__*_*"),
            ("_app_views_carts_show_html_erb___123_456", "_app_views_carts_show_html_erb__*_*"),
            ("", ""),
            ("?", ""),
            ("<redacted>", ""),
            ("...", "..."),
        ] {
            assert_eq!(name(&frame("", function, "")), expected, "{function}");
        }
        for function in
            ["github.com/x/shop.(*Cart).Charge", "(*Cart).Charge.func1.2", "shop.Charge[...]", "shop.Charge-fm"]
        {
            assert_eq!(name(&frame("", function, "cart.go")), "Charge", "{function}");
        }
    }

    #[test]
    fn frames_of_some_builds_only_are_told_by_their_language() {
        for (function, file, expected) in [
            ("_next", "app.js", true),
            ("_next", "pages.py", false),
            ("<listcomp>", "shop.py", true),
            ("charge", "shop.py", false),
        ] {
            assert_eq!(is_wrapper(&frame("", function, file)), expected, "{function} in {file}");
        }
    }

    #[test]
    fn qualified_names_are_the_same_wherever_the_class_is_said() {
        for (module, function, expected) in [
            ("", "shop.Cart.charge", "shop.Cart.charge"),
            ("shop.Cart", "charge", "shop.Cart.charge"),
            ("shop.Cart", "shop.Cart.charge", "shop.Cart.charge"),
            ("", "app//shop.Cart.charge", "shop.Cart.charge"),
            ("shop.Cart$charge$1", "invokeSuspend", "shop.Cart.charge"),
            ("", "shop.Cart.lambda$charge$3", "shop.Cart.lambda$charge$*"),
            ("", "shop.Cart$$Lambda$14/0x0008c030.run", "shop.Cart$$Lambda$*/*.run"),
            ("java.base", "java.lang.Thread.run", "java.lang.Thread.run"),
            ("shop.Cart", "<init>", "shop.Cart.<init>"),
            ("shop.Cart", "", "shop.Cart"),
        ] {
            assert_eq!(qualified_name(&frame(module, function, "")), expected, "{module} {function}");
        }
    }
}
