//! Which notices are one group, and which are not.

use notice::{Error, Frame, Grouping, Notice, Request, Server, fingerprint, fold_key, normalise};

/// A frame as `function file:line`.
fn frame(text: &str) -> Frame {
    let (function, place) = text.split_once(' ').expect("a function and a place");
    let (file, line) = place.rsplit_once(':').expect("a file and a line");
    Frame {
        function: Some(function.replace('~', " ")),
        file: Some(file.to_owned()),
        line: line.parse().ok(),
        ..Frame::default()
    }
}

fn raised(class: &str, message: &str, frames: &[&str]) -> Notice {
    let error = Error {
        class: Some(class.to_owned()),
        message: Some(message.to_owned()),
        frames: frames.iter().map(|text| frame(text)).collect(),
        ..Error::default()
    };
    let mut notice = Notice { errors: vec![error], environment: Some("production".into()), ..Notice::default() };
    normalise(&mut notice);
    notice
}

fn hash(notice: &Notice) -> [u8; 16] {
    fingerprint(notice, Grouping::Default).hash
}

#[test]
fn stacks_that_differ_in_nothing_that_matters_are_one_group() {
    for (why, one, other) in [
        ("a line moved", &["f a.rb:1"][..], &["f a.rb:2"][..]),
        (
            "another release folder",
            &["f /srv/x/releases/20240101120000/a.rb:1"],
            &["f /srv/x/releases/20240102120000/a.rb:1"],
        ),
        ("another release by its hash", &["f /srv/x/releases/8f2c1de/a.rb:1"], &["f /srv/x/releases/99aa00b/a.rb:1"]),
        ("the current folder", &["f /srv/x/current/a.rb:1"], &["f /srv/x/releases/20240101/a.rb:1"]),
        ("another build", &["f https://x.example/app.8f2c1de9.js:1"], &["f https://x.example/app.0a1b2c3d.js:1"]),
        ("another host and port", &["f http://a.example:8080/app.js:1"], &["f https://b.example/app.js?v=2:1"]),
        ("a block of the method", &["block~in~f a.rb:1"], &["f a.rb:4"]),
        ("levels of blocks", &["block~(2~levels)~in~f a.rb:1"], &["block~in~f a.rb:4"]),
        ("its rescue", &["rescue~in~f a.rb:1"], &["f a.rb:4"]),
        ("how JavaScript calls it", &["Object.f a.js:1"], &["exports.f a.js:1"]),
        ("names for no name", &["Object.<anonymous> a.js:1", "g b.js:1"], &["(anonymous~function) a.js:1", "g b.js:2"]),
        (
            "a deeper recursion",
            &["f a.rb:1", "f a.rb:1", "g a.rb:2"],
            &["f a.rb:1", "f a.rb:1", "f a.rb:1", "g a.rb:2"],
        ),
        (
            "another version of a library",
            &["f [GEM_ROOT]/gems/rack-2.2.3/r.rb:1"],
            &["f [GEM_ROOT]/gems/rack-3.0.0/r.rb:9"],
        ),
        (
            "frames of libraries above and below",
            &["f /app/a.rb:1"],
            &["x /usr/lib/ruby/x.rb:1", "f /app/a.rb:1", "y /app/vendor/bundle/y.rb:2"],
        ),
        (
            "a virtual environment elsewhere",
            &["f /a/venv/lib/python3.11/site-packages/d/e.py:1"],
            &["f /b/lib/python3.12/site-packages/d/e.py:1"],
        ),
        (
            "numbers of generated code",
            &["shop.Main.lambda$run$0 Main.java:1"],
            &["shop.Main.lambda$run$12 Main.java:1"],
        ),
        ("a compiled template", &["_app_views_a_erb__123_45 a.erb:1"], &["_app_views_a_erb__678_90 a.erb:1"]),
        (
            "a hash of the compiler",
            &["shop::pay::h0123456789abcdef pay.rs:1"],
            &["shop::pay::hfedcba9876543210 pay.rs:1"],
        ),
    ] {
        let (one, other) = (raised("C", "m", one), raised("C", "another message", other));
        assert_eq!(hash(&one), hash(&other), "{why}: {:?}", fingerprint(&other, Grouping::Default).parts);
    }
}

#[test]
fn stacks_that_differ_are_different_groups() {
    for (why, one, other) in [
        ("another function", &["f a.rb:1"][..], &["g a.rb:1"][..]),
        ("another file", &["f a.rb:1"], &["f b.rb:1"]),
        ("another caller of the application", &["f a.rb:1", "g a.rb:2"], &["f a.rb:1", "h a.rb:2"]),
        ("another order", &["f a.rb:1", "g a.rb:2"], &["g a.rb:2", "f a.rb:1"]),
        ("another folder", &["f app/models/a.rb:1"], &["f app/views/a.rb:1"]),
        ("a file that looks like a hash but is a word", &["f lib/facade.js:1"], &["f lib/decade.js:1"]),
        ("another gem", &["f [GEM_ROOT]/gems/rack-2.2/r.rb:1"], &["f [GEM_ROOT]/gems/sinatra-2.2/r.rb:1"]),
    ] {
        assert_ne!(hash(&raised("C", "m", one)), hash(&raised("C", "m", other)), "{why}");
    }
    assert_ne!(hash(&raised("C", "m", &["f a.rb:1"])), hash(&raised("D", "m", &["f a.rb:1"])), "another class");
}

#[test]
fn without_a_stack_messages_group_without_their_variables() {
    for (one, other) in [
        ("Order 17 not found", "Order 18 not found"),
        ("no user ann@example.org", "no user bob@example.com"),
        ("GET https://a.example/1?x=2 failed", "GET http://b.example/ failed"),
        ("at 2024-01-31 12:30:00", "at 2025-12-01T00:00:00Z"),
        ("lock 3f2504e0-4f89-41d3-9a0c-0305e82c3301 lost", "lock 00000000-0000-4000-8000-000000000000 lost"),
        ("10.0.0.1:5432 refused", "10.20.30.40:1 refused"),
        ("undefined method `a' for nil", "undefined method `b' for nil"),
        ("bad #<Order:0x00007f44c9971980>", "bad #<Order:0x00007f2a7a191b70>"),
        ("rev 8f2c1de9a7 missing", "rev 0a1b2c3d4e missing"),
    ] {
        assert_eq!(hash(&raised("C", one, &[])), hash(&raised("C", other, &[])), "{one} | {other}");
    }
    for (one, other) in [
        ("Order not found", "User not found"),
        ("read failed", "write failed"),
        ("bad #<Order:0x01>", "bad #<User:0x01>"),
    ] {
        assert_ne!(hash(&raised("C", one, &[])), hash(&raised("C", other, &[])), "{one} | {other}");
    }
}

#[test]
fn the_message_counts_where_class_and_stack_say_too_little() {
    let frames = &["notify lib/log.rb:1"][..];
    assert_ne!(hash(&raised("", "disk full", frames)), hash(&raised("", "no route", frames)), "no class");
    assert_eq!(
        hash(&raised("", "disk 1 full", frames)),
        hash(&raised("", "disk 2 full", frames)),
        "no class, same text"
    );
    assert_ne!(
        hash(&raised("PHP::Error", "a", frames)),
        hash(&raised("PHP::Error", "b", frames)),
        "a class that stands for all"
    );
    let nameless = &["<anonymous> drive.js:1"][..];
    assert_ne!(
        hash(&raised("Error", "disk full", nameless)),
        hash(&raised("Error", "no route", nameless)),
        "no function"
    );
}

#[test]
fn environment_release_and_causes_do_not_split_a_group() {
    let one = raised("C", "m", &["f a.rb:1"]);
    let mut other = one.clone();
    other.environment = Some("staging".into());
    other.release = Some("2.0".into());
    other.severity = Some("critical".into());
    other.errors.push(Error { class: Some("Cause".into()), ..Error::default() });
    assert_eq!(hash(&one), hash(&other));
}

#[test]
fn roots_of_the_application_do_not_split_a_group() {
    let mut one = raised("C", "m", &["f /srv/shop/app/models/a.rb:1"]);
    one.server = Some(Server { root: Some("/srv/shop/app".into()), ..Server::default() });
    let mut other = raised("C", "m", &["f /home/ann/shop/models/a.rb:1"]);
    other.server = Some(Server { root: Some("/home/ann/shop/".into()), ..Server::default() });
    let marked = raised("C", "m", &["f [PROJECT_ROOT]/models/a.rb:1"]);
    assert_eq!(hash(&one), hash(&other));
    assert_eq!(hash(&one), hash(&marked));
}

#[test]
fn a_fingerprint_of_the_client_wins() {
    let with = |parts: &[&str], class: &str| Notice {
        client_fingerprint: parts.iter().map(|part| (*part).to_owned()).collect(),
        ..raised(class, "m", &["f a.rb:1"])
    };
    assert_eq!(hash(&with(&["mine"], "C")), hash(&with(&["mine"], "D")));
    assert_ne!(hash(&with(&["mine"], "C")), hash(&with(&["yours"], "C")));
    assert_ne!(hash(&with(&["{{ default }}", "mine"], "C")), hash(&with(&["{{ default }}", "mine"], "D")));
    for mark in ["{{ default }}", "{{default}}", " {{  default }} "] {
        assert_eq!(hash(&with(&[mark], "C")), hash(&with(&[], "C")), "{mark}");
    }
}

#[test]
fn hoptoad_grouping_is_by_class_component_action_environment_and_line() {
    let hash = |notice: &Notice| fingerprint(notice, Grouping::Hoptoad).hash;
    let one = raised("C", "m", &["f /usr/lib/ruby/x.rb:7", "f a.rb:1", "g b.rb:2"]);
    let mut another_caller = raised("C", "other", &["f a.rb:1"]);
    assert_eq!(hash(&one), hash(&another_caller), "only the top line of the application counts");
    assert_ne!(hash(&one), hash(&raised("C", "m", &["f a.rb:2"])), "another line");
    another_caller.environment = Some("staging".into());
    assert_ne!(hash(&one), hash(&another_caller), "another environment");
    let mut action = one.clone();
    action.request =
        Some(Request { component: Some("carts".into()), action: Some("show".into()), ..Request::default() });
    assert_ne!(hash(&one), hash(&action), "another action");
}

#[test]
fn notices_of_one_fold_key_have_one_fingerprint() {
    let one = raised("C", "m", &["f a.rb:1"]);
    let mut other = one.clone();
    other.severity = Some("critical".into());
    other.notes.push("a note".into());
    other.request = Some(Request { url: Some("/x".into()), ..Request::default() });
    assert_eq!(fold_key(&one), fold_key(&other));
    for change in [
        |notice: &mut Notice| notice.environment = None,
        |notice: &mut Notice| notice.release = Some("1".into()),
        |notice: &mut Notice| notice.errors[0].message = Some("n".into()),
        |notice: &mut Notice| notice.errors[0].frames[0].line = Some(9),
        |notice: &mut Notice| notice.errors[0].frames[0].in_app = Some(false),
        |notice: &mut Notice| notice.client_fingerprint.push("p".into()),
        |notice: &mut Notice| notice.server = Some(Server { root: Some("/srv".into()), ..Server::default() }),
    ] {
        let mut changed = one.clone();
        change(&mut changed);
        assert_ne!(fold_key(&one), fold_key(&changed));
    }
}
