//! Whatever was sent, what is kept is bounded and says what was cut.

use notice::prost::Message;
use notice::{CodeLine, Error, Frame, Notice, Request, Server, normalise, search_words};

fn normalised(mut notice: Notice) -> Notice {
    normalise(&mut notice);
    let mut again = notice.clone();
    normalise(&mut again);
    assert_eq!(again, notice, "a second time changes nothing");
    notice
}

fn noted(notice: &Notice, text: &str) -> bool {
    notice.notes.iter().any(|note| note.contains(text))
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let error = Error { message: Some("ü".repeat(200_000)), class: Some("C".repeat(20_000)), ..Error::default() };
    let notice = normalised(Notice { errors: vec![error], ..Notice::default() });
    assert_eq!(notice.errors[0].message.as_deref().map(str::len), Some(notice::normalise::MESSAGE_BYTES_MAX));
    assert_eq!(notice.errors[0].class.as_deref().map(str::len), Some(notice::normalise::TEXT_BYTES_MAX));
    assert!(noted(&notice, "message: cut from 400000 to 262144 bytes"));
    assert!(noted(&notice, "class: cut"));
}

#[test]
fn nul_is_dropped_everywhere() {
    let request = Request {
        url: Some("a\0b".into()),
        params_json: Some("{\"a\\u0000\":\"b\\u0000c\"}".into()),
        ..Request::default()
    };
    let notice = normalised(Notice { request: Some(request), environment: Some("\0".into()), ..Notice::default() });
    let request = notice.request.as_ref().expect("is kept");
    assert_eq!(request.url.as_deref(), Some("ab"));
    assert_eq!(request.params_json.as_deref(), Some("{\"a\":\"bc\"}"));
    assert!(noted(&notice, "request.url: NUL"));
    assert!(noted(&notice, "request.params: NUL"));
}

#[test]
fn too_many_frames_lose_their_middle() {
    let frames = (0..5_000).map(|line| Frame { line: Some(line), ..Frame::default() }).collect();
    let notice = normalised(Notice { errors: vec![Error { frames, ..Error::default() }], ..Notice::default() });
    let lines: Vec<_> = notice.errors[0].frames.iter().filter_map(|frame| frame.line).collect();
    assert_eq!((lines.len(), lines[0], lines[499], lines[500], lines[999]), (1_000, 0, 499, 4_500, 4_999));
    assert!(noted(&notice, "frames: 4000 of 5000"));
}

#[test]
fn json_is_cut_to_its_limits_and_stays_json() {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let wide = format!("[{}0]", "\"0123456789\",".repeat(100_000));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    for json in [deep, wide, long, "no json \0".to_owned()] {
        let request = Request { params_json: Some(json.clone()), ..Request::default() };
        let notice = normalised(Notice { request: Some(request), ..Notice::default() });
        let kept = notice.request.as_ref().and_then(|request| request.params_json.as_deref()).expect("is kept");
        assert!(kept.len() <= notice::normalise::JSON_BYTES_MAX);
        assert!(serde_json::from_str::<serde_json::Value>(kept).is_ok(), "{}", &kept[..kept.len().min(100)]);
        assert!(noted(&notice, "request.params"), "{:?}", notice.notes);
    }
}

#[test]
fn a_notice_of_many_full_parts_still_fits() {
    let json = || Some(format!("[{}0]", "\"0123456789abcdef\",".repeat(25_000)));
    let frame = Frame {
        code: (0..20).map(|line| CodeLine { line, text: "x".repeat(300) }).collect(),
        vars_json: Some(format!("{{\"a\":\"{}\"}}", "x".repeat(20_000))),
        ..Frame::default()
    };
    let errors = vec![Error { message: Some("m".repeat(300_000)), frames: vec![frame; 60], ..Error::default() }; 10];
    let request = Request {
        params_json: json(),
        session_json: json(),
        headers_json: json(),
        cgi_json: json(),
        body_json: json(),
        ..Request::default()
    };
    let server = Server { extra_json: json(), ..Server::default() };
    let notice = normalised(Notice {
        errors,
        request: Some(request),
        server: Some(server),
        extra_json: json(),
        contexts_json: json(),
        tags_json: json(),
        breadcrumbs_json: json(),
        unmapped_json: json(),
        ..Notice::default()
    });
    assert!(notice.encoded_len() <= notice::normalise::NOTICE_BYTES_MAX, "{}", notice.encoded_len());
    assert!(noted(&notice, "dropped, because the notice was too large"));
    assert!(notice.errors[0].message.is_some());
}

#[test]
fn words_to_search_are_bounded_and_have_the_parts_of_names() {
    let frame = Frame {
        file: Some("/PROJECT_ROOT/app/models/shopping_cart.rb".into()),
        function: Some("findOrder".into()),
        ..Frame::default()
    };
    let error = Error {
        class: Some("Payments::DeclinedError".into()),
        message: Some("card refused".into()),
        frames: vec![frame; 1_000],
        ..Error::default()
    };
    let notice = normalised(Notice { errors: vec![error; 50], ..Notice::default() });
    let words = search_words(&notice);
    for word in ["Payments", "Declined", "Error", "refused", "find", "Order", "shopping", "cart"] {
        assert!(words.split(' ').any(|there| there == word), "{word} in {words}");
    }
    assert!(words.len() <= 4 * 1024);
}
