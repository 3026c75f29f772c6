//! Stack traces that programs really printed, against what their errors really were.
//!
//! `traces/<language>/<name>.txt` is the text and `<name>.json` beside it says what is in it. `traces/programs/` has the
//! programs that made both; `traces/README.md` says how.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod processor;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use notice::{Error, Frame};
use processor::worked;
use proptest::prelude::*;
use protocol::stack_text::{self, StackText};
use serde_json::Value;

/// One text and what is in it.
struct Trace {
    name: String,
    text: String,
    expected: Value,
}

fn traces() -> Vec<Trace> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|folder| folder.path().is_dir() && folder.file_name() != "programs")
        .flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten())
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let expected = std::fs::read(path.with_extension("json"));
        let expected = expected.unwrap_or_else(|_| panic!("nothing says what is in {}", path.display()));
        let language = path.parent().unwrap().file_name().unwrap().to_string_lossy();
        let name = format!("{language}/{}", path.file_stem().unwrap().to_string_lossy());
        Trace {
            expected: serde_json::from_slice(&expected).unwrap_or_else(|error| panic!("{name}: {error}")),
            name,
            text: std::fs::read_to_string(path).unwrap(),
        }
    };
    paths.iter().map(read).collect()
}

#[test]
fn a_trace_tells_what_happened_in_the_program() {
    let mut faults = Vec::new();
    let traces = traces();
    for trace in &traces {
        let language = trace.expected["language"].as_str();
        for told in [language, None, Some("none that we know")] {
            faults.extend(compare(trace, told).into_iter().map(|fault| format!("{} ({told:?}): {fault}", trace.name)));
        }
    }
    assert!(traces.len() > 100, "there are traces");
    assert!(faults.is_empty(), "{} faults in {} traces:\n{}", faults.len(), traces.len(), faults.join("\n"));
    println!("{} traces compared", traces.len());
}

#[test]
fn a_wrong_language_is_seen_through() {
    for trace in traces() {
        let language = trace.expected["language"].as_str().unwrap();
        for wrong in ["python", "java", "nodejs", "ruby", "go", "dotnet", "php", "rust"] {
            let read = stack_text::read(&trace.text, Some(wrong)).unwrap();
            assert_eq!(read.language, form_of(&trace, language), "{} when {wrong} was told", trace.name);
        }
    }
}

/// The form that the text has: not always the one that programs of the language print.
fn form_of<'a>(trace: &'a Trace, language: &'a str) -> &'a str {
    trace.expected["form"].as_str().unwrap_or(language)
}

fn compare(trace: &Trace, language: Option<&str>) -> Vec<String> {
    let Some(read) = stack_text::read(&trace.text, language) else { return vec!["nothing was recognised".to_owned()] };
    let StackText { errors, rest, .. } = read;
    let wanted = trace.expected["errors"].as_array().unwrap();
    let mut faults = Vec::new();
    let mut fault =
        |what: &str, got: &dyn std::fmt::Debug, wanted: &Value| faults.push(format!("{what} {got:?}, not {wanted}"));
    if read.language != form_of(trace, trace.expected["language"].as_str().unwrap()) {
        fault("form", &read.language, &trace.expected["language"]);
    }
    if errors.len() != wanted.len() {
        let classes: Vec<_> = errors.iter().map(|error| (&error.class, &error.message)).collect();
        fault("errors", &classes, &wanted.len().into());
        return faults;
    }
    let wanted_rest = trace.expected["rest"].as_str().unwrap_or_default();
    if rest != wanted_rest {
        fault("rest", &rest, &wanted_rest.into());
    }
    for (at, (error, wanted)) in errors.iter().zip(wanted).enumerate() {
        let mut fault =
            |what: &str, got: &dyn std::fmt::Debug, wanted: &Value| fault(&format!("error {at}: {what}"), got, wanted);
        if error.class.as_deref() != wanted["class"].as_str() {
            fault("class", &error.class, &wanted["class"]);
        }
        if error.module.as_deref() != wanted["module"].as_str() {
            fault("module", &error.module, &wanted["module"]);
        }
        if error.message.as_deref() != wanted["message"].as_str() {
            fault("message", &error.message, &wanted["message"]);
        }
        if wanted["frame_count"] != error.frames.len() {
            fault("frames", &error.frames.len(), &wanted["frame_count"]);
        }
        if source_of(error, at).as_deref() != wanted["source"].as_str() {
            fault("source", &source_of(error, at), &wanted["source"]);
        }
        for (place, frame) in [("top", error.frames.first()), ("bottom", error.frames.last())] {
            if !is_place(&wanted[place], frame) {
                fault(place, &frame.map(short), &wanted[place]);
            }
        }
    }
    faults
}

fn short(frame: &Frame) -> (Option<&str>, Option<u32>, Option<u32>, Option<&str>) {
    (frame.file.as_deref(), frame.line, frame.column, frame.function.as_deref())
}

/// Whether the frame is there. What is not known of the place is absent; what is known to be nowhere is null.
fn is_place(wanted: &Value, frame: Option<&Frame>) -> bool {
    let Some(wanted) = wanted.as_object() else { return wanted.is_null() };
    let Some(frame) = frame else { return false };
    let function = frame.function.as_deref().unwrap_or_default();
    let bare = function.split('(').next().unwrap_or_default();
    wanted.iter().all(|(key, value)| match key.as_str() {
        "file" => frame.file.as_deref() == value.as_str(),
        "line" => frame.line.map(u64::from) == value.as_u64(),
        "column" => frame.column.map(u64::from) == value.as_u64(),
        "function" => match value.as_str() {
            Some(wanted) => function == wanted || bare.ends_with(wanted),
            None => function.is_empty(),
        },
        "code" => frame.code.iter().any(|code| value.as_str() == Some(code.text.as_str())),
        _ => panic!("{key} says nothing of a place"),
    })
}

/// How the error hangs on another; a cause of the one before it is nothing special.
fn source_of(error: &Error, at: usize) -> Option<String> {
    let source = error.mechanism_json.as_deref().and_then(|json| {
        let mechanism: Value = serde_json::from_str(json).unwrap();
        mechanism["source"].as_str().map(str::to_owned)
    });
    source.or_else(|| (at > 0).then(|| "cause".to_owned()))
}

/// What the only error of a text is made of.
fn error_of(text: &str) -> Error {
    let read = stack_text::read(text, None).expect("is read");
    assert_eq!(read.errors.len(), 1);
    read.errors.into_iter().next().unwrap()
}

fn trace(name: &str) -> StackText {
    let trace = traces().into_iter().find(|trace| trace.name == name).expect("is a trace");
    stack_text::read(&trace.text, None).expect("is read")
}

fn code_of(frame: &Frame) -> Vec<(u32, &str)> {
    frame.code.iter().map(|code| (code.line, code.text.as_str())).collect()
}

#[test]
fn the_code_of_python_is_kept_and_its_marks_are_not() {
    let read = trace("python/py311_checkout_from_text");
    assert_eq!(code_of(&read.errors[2].frames[0]), [(26, "return int(text)")]);
    let read = trace("python/py313_long_call");
    let lines = [(109, "charge("), (110, "    \"4000\""), (112, "...<2 lines>..."), (113, "    ),"), (114, ")")];
    assert_eq!(code_of(&read.errors[0].frames[1]), lines);
    let read = trace("python/py311_bad_code");
    assert_eq!(code_of(&read.errors[0].frames[0]), [(1, "total = 1 +")]);
}

#[test]
fn frames_that_are_only_counted_are_put_in_up_to_a_bound() {
    let read = trace("python/py311_descend");
    assert_eq!(read.filled_count, 197);
    let text = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    f()\n  [Previous line repeated 4000000000 more times]\n  File \"a.py\", line 9, in g\nE: m\n";
    let read = stack_text::read(text, Some("python")).unwrap();
    assert_eq!(read.filled_count, stack_text::FILLED_FRAMES_MAX);
    let frames = &read.errors[0].frames;
    assert_eq!(frames.len(), notice::normalise::FRAMES_MAX);
    assert_eq!(frames[0].function.as_deref(), Some("g"));
    assert_eq!(
        read.notes,
        [
            "frames: 3999998000 that the stack trace only counts were not filled in",
            "frames: 1002 of 2002 were dropped from the middle"
        ]
    );
    let causes = "Caused by: B: b\n\t... 1000 more\n".repeat(300);
    let text = format!("A: a\n{}{causes}", "\tat p.C.m(C.java:1)\n".repeat(1_000));
    let read = stack_text::read(&text, Some("java")).unwrap();
    assert_eq!((read.errors.len(), read.filled_count), (notice::normalise::ERRORS_MAX, stack_text::FILLED_FRAMES_MAX));
}

#[test]
fn what_stands_beside_a_function_is_kept_with_its_frame() {
    let vars = |frame: &Frame| frame.vars_json.clone().unwrap_or_default();
    let read = trace("go/simple");
    assert_eq!(vars(&read.errors[0].frames[1]), r#"{"arguments":"{{0x0, 0x0, 0x0}}, 0x405359?"}"#);
    let read = trace("php/simple");
    assert_eq!(vars(&read.errors[0].frames[0]), r#"{"arguments":"4000, 'a note that is ...'"}"#);
    let read = trace("javascript/evaluated");
    assert_eq!(
        vars(&read.errors[0].frames[2]),
        r#"{"eval":"eval at evaluated (/srv/shop/app/shop.js:110:5), <anonymous>:2:3"}"#
    );
    let read = trace("java/logback");
    assert_eq!(read.errors[0].frames[1].module.as_deref(), Some("app"));
    assert_eq!(read.errors[0].frames[1].function.as_deref(), Some("shop.Shop$$Lambda$14/0x0000000800c03000.run"));
    assert_eq!(vars(&read.errors[1].frames[0]), r#"{"archive":"~[shop-1.4.2.jar:1.4.2]"}"#);
    let read = trace("javascript/coded");
    assert_eq!(read.errors[0].mechanism_json.as_deref(), Some(r#"{"code":"ERR_INVALID_ARG_TYPE"}"#));
}

#[test]
fn errors_that_are_no_plain_causes_say_what_they_hang_on() {
    let read = trace("java/suppressedAndCause");
    let mechanisms: Vec<_> =
        read.errors.iter().map(|error| error.mechanism_json.as_deref().unwrap_or_default()).collect();
    let suppressed = r#"{"type":"chained","source":"suppressed","exception_id":2,"parent_id":1}"#;
    assert_eq!(mechanisms[..4], ["", "", suppressed, ""]);
    let read = trace("python/py311_pay_nested");
    let parents: Vec<_> = read.errors.iter().map(|error| error.mechanism_json.clone().unwrap_or_default()).collect();
    assert!(parents[1].contains(r#""source":"member","exception_id":1,"parent_id":0"#), "{parents:?}");
    assert!(parents[5].contains(r#""source":"member","exception_id":5,"parent_id":0"#), "{parents:?}");
}

#[test]
fn parts_of_engines_and_libraries_are_not_the_applications_own() {
    for (name, own) in [
        ("javascript/closure", vec!["Card.charge", "charge", "Object.closure"]),
        ("go/recovered", vec!["main.handle.func1", "shop.example/till/cart.(*Cart).Charge", "main.handle"]),
        ("php/in_each", vec!["Shop\\Cart->charge", "Shop\\Cart->each", "Shop\\in_each", "{main}"]),
        ("rust/stripped", vec!["main::Cart::charge", "main::Cart::checkout", "main::main"]),
        ("dotnet/mono_Closure", vec!["Shop.Cart.Charge", "Shop.Scenarios.Closure", "Shop.Program.Main"]),
    ] {
        let mut notice = notice::Notice { errors: trace(name).errors, ..Default::default() };
        notice::normalise(&mut notice);
        let frames = notice.errors[0].frames.iter().filter(|frame| frame.in_app == Some(true));
        let functions: Vec<_> = frames.map(|frame| frame.function.clone().unwrap_or_default()).collect();
        let is_there =
            |own: &&str| functions.iter().any(|function| function.split('(').next() == Some(*own) || function == own);
        assert!(own.iter().all(is_there), "{name}: {functions:?}");
        let foreign = ["Array.", "net/http", "panic", "array_map", "core::", "System.", "Module."];
        let is_foreign = |function: &&String| foreign.iter().any(|start| function.starts_with(start));
        assert_eq!(functions.iter().find(is_foreign), None, "{name}");
    }
}

#[test]
fn texts_without_a_frame_are_left_to_the_caller() {
    for text in [
        "",
        "\n",
        "card declined",
        "ValueError: card declined",
        "Error: see a@b.example:12:5",
        "java.lang.Error: at the till (closed)",
        "at 12:30:00 the till (number 5) closed",
        "Traceback (most recent call last):",
        "12: from here",
        "#1 is best",
        "goroutine 1 [running]:",
        "Caused by: a\nCaused by: b",
        "\u{1b}[1m\u{1b}[",
    ] {
        for language in [None, Some("python"), Some("java"), Some("nodejs"), Some("ruby"), Some("rust")] {
            assert_eq!(stack_text::read(text, language), None, "{text:?} {language:?}");
        }
    }
}

#[test]
fn carriage_returns_and_colours_change_nothing() {
    let plain = trace("java/nested").errors;
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/java/nested.txt")).unwrap();
    assert_eq!(stack_text::read(&text.replace('\n', "\r\n"), None).unwrap().errors, plain);
    let coloured = text.replace("Caused by", "\u{1b}[1;31mCaused by\u{1b}[m");
    let read = stack_text::read(&coloured, None).unwrap();
    assert_eq!(read.errors, plain);
    assert_eq!(read.notes, ["stack trace: codes of colours were taken out"]);
}

#[test]
fn an_error_without_a_class_or_a_message_is_one() {
    let error = error_of("    at charge (/srv/shop.js:1:2)\n    at pay (/srv/shop.js:3:4)");
    assert_eq!((error.class, error.message, error.frames.len()), (None, None, 2));
    let error = error_of("\tat shop.Cart.charge(Cart.java:12)\n");
    assert_eq!((error.class, error.message, error.frames.len()), (None, None, 1));
}

/// Far more than any of these texts needs, far less than one that is read again and again.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// Reads the text and checks that what comes out is bounded.
fn put_through(text: &str) {
    let started = worked();
    if let Some(read) = stack_text::read(text, None) {
        assert!((1..=notice::normalise::ERRORS_MAX).contains(&read.errors.len()));
        let frames_max = notice::normalise::FRAMES_MAX + stack_text::FILLED_FRAMES_MAX;
        assert!(read.errors.iter().all(|error| error.frames.len() <= frames_max));
        assert!(read.errors.iter().any(|error| !error.frames.is_empty()));
        assert!(read.filled_count <= stack_text::FILLED_FRAMES_MAX);
        assert!(read.rest.len() <= text.len());
        for json in read.errors.iter().flat_map(|error| {
            error.mechanism_json.iter().chain(error.frames.iter().filter_map(|frame| frame.vars_json.as_ref()))
        }) {
            serde_json::from_str::<Value>(json).expect("is JSON");
        }
    }
    let took = worked() - started;
    assert!(took < READ_TIME_MAX, "{took:?} for {} bytes: {:?}", text.len(), text.chars().take(60).collect::<String>());
}

#[test]
fn attacks_cost_little() {
    let python = "Traceback (most recent call last):\n  File \"a\", line 1, in f\n";
    let java = "A: a\n\tat p.C.m(C.java:1)\n";
    let node = "A: a\n    at f (/a.js:1:2)\n    at g (/a.js:1:2) {\n";
    let groups: String = (1..32)
        .map(|depth| format!("{0}+-+---------------- 1 ----------------\n{0}  | E: e\n", "  ".repeat(depth)))
        .collect();
    for text in [
        python.repeat(20_000),
        format!("{python}{}E: m", "  [Previous line repeated 4294967295 more times]\n".repeat(20_000)),
        format!("{python}{}E: m", "    code\n".repeat(100_000)),
        format!("{python}E: m{}", "\n".repeat(100_000)),
        format!(
            "{python}E: m\n{}",
            "\nThe above exception was the direct cause of the following exception:\n\nE: m\n".repeat(20_000)
        ),
        format!("  + Exception Group {python}  | E: e (1 sub-exception)\n{}", groups.repeat(100)),
        format!("  + Exception Group {python}{}", "  +-+---------------- 1 ----------------\n".repeat(50_000)),
        format!("{java}{}", "Caused by: B: b\n\t... 99 more\n".repeat(40_000)),
        format!("{java}{}", "\tSuppressed: B: b\n\t\t... 99 more\n".repeat(40_000)),
        format!(
            "{java}{}",
            (0..1_500).map(|depth| format!("{}Suppressed: B: b\n", " ".repeat(depth))).collect::<String>()
        ),
        format!("{java}{}", "at ((((((((".repeat(100_000)),
        format!("{java}\tat {}", "a/".repeat(300_000)),
        format!(
            "{node}{}",
            "  [cause]: B: b\n      at f (/a.js:1:2)\n      ... 99 lines matching cause stack trace ...\n"
                .repeat(20_000)
        ),
        format!("{node}{}", "    ... 9 lines matching cause stack trace ...\n".repeat(30_000)),
        format!("{node}  [errors]: [\n{}", "    B: b\n        at f (/a.js:1:2),\n".repeat(30_000)),
        format!(
            "{node}{}",
            (0..1_500).map(|depth| format!("{}[cause]: B: b\n", " ".repeat(depth))).collect::<String>()
        ),
        "@".repeat(1_000_000),
        "a@/b:1:2\n".repeat(100_000),
        ":".repeat(1_000_000),
        format!("at f (eval at {}", "(".repeat(1_000_000)),
        format!("    at f (eval at {})", "f (a:1:1), ".repeat(100_000)),
        format!("A: a{}\n   at A.B(C d)\n", " ---> B: b".repeat(100_000)),
        format!("A: a\n{}   at A.B(C d)\n", " ---> B: b\n".repeat(100_000)),
        format!("A: a\n{}   at A.B(C d)\n", "x ---> y ---> ".repeat(50_000)),
        format!("   at A.B(C d)\n{}", "---> (Inner Exception #1) B: b\n   at A.B(C d)<---\n".repeat(30_000)),
        format!("   at A.B(C d){}", " in a:1".repeat(100_000)),
        format!("A in /a.php:1\nStack trace:\n{}", "#0 /a.php(1): f()\n".repeat(50_000)),
        "A in /a.php:1\nStack trace:\n#0 {main}\n\nNext ".repeat(30_000),
        format!("#0 /a.php(1): {}", "{closure:".repeat(100_000)),
        format!("#0 /a.php(1): {}", "f(".repeat(300_000)),
        " in ".repeat(200_000),
        "/a.rb:1:in `f': m (E)\n".repeat(40_000),
        "\t1: from /a.rb:1:in `f'\n".repeat(40_000),
        format!("/a.rb:1:in `f': {}", "(E) ".repeat(200_000)),
        "Caused by: E\n/a.rb:1:in `f'\n".repeat(40_000),
        ":in `".repeat(200_000),
        "panic: a\n\tpanic: b\n".repeat(40_000),
        format!("goroutine 1 [running]:\n{}", "main.f(0x1)\n\t/a.go:1 +0x1\n".repeat(30_000)),
        "m\nmain.f\n\t/a.go:1\n".repeat(30_000),
        "\t/a.go:1\n".repeat(100_000),
        format!("thread 'a' panicked at a:1:2:\nm\n{}", "   0: f\n             at a:1:2\n".repeat(30_000)),
        format!("m\n\nCaused by:\n{}\nStack backtrace:\n   0: f\n", "    0: c\n".repeat(60_000)),
        "\u{1b}[1;31m".repeat(200_000),
        "\u{1b}[".repeat(300_000),
        "\n".repeat(200_000),
        "é".repeat(500_000),
    ] {
        put_through(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_borne(text in "\\PC{0,300}") {
        put_through(&text);
    }

    #[test]
    fn any_lines_of_traces_are_borne(lines in proptest::collection::vec((any::<prop::sample::Index>(), 0..6_usize, 0..3_usize), 1..40)) {
        static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
            let mut lines: Vec<String> =
                traces().iter().flat_map(|trace| trace.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
            lines.sort();
            lines.dedup();
            lines
        });
        let mut text = String::new();
        for (line, indent, cut) in lines {
            let line = line.get(&LINES);
            text.push_str(&" ".repeat(indent));
            // Sometimes only the first half of it.
            let end = if cut == 0 { line.floor_char_boundary(line.len() / 2) } else { line.len() };
            text.push_str(&line[..end]);
            text.push('\n');
        }
        put_through(&text);
    }

    #[test]
    fn traces_with_wrong_bytes_in_them_are_borne(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        static TEXTS: LazyLock<Vec<String>> =
            LazyLock::new(|| traces().into_iter().map(|trace| trace.text).filter(|text| text.len() < 8_000).collect());
        let mut bytes = which.get(&TEXTS).clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        put_through(&String::from_utf8_lossy(&bytes));
    }
}
