//! What must never be stored, wherever in a notice it stands.

use notice::{CodeLine, Error, Frame, Notice, Request, scrub};
use proptest::prelude::*;
use serde_json::{Value, json};

fn scrubbed(mut notice: Notice) -> Notice {
    scrub(&mut notice);
    notice
}

fn with_message(message: &str) -> Notice {
    Notice { errors: vec![Error { message: Some(message.into()), ..Error::default() }], ..Notice::default() }
}

fn with_params(params: &Value) -> Notice {
    Notice {
        request: Some(Request { params_json: Some(params.to_string()), ..Request::default() }),
        ..Notice::default()
    }
}

fn params_of(notice: &Notice) -> Value {
    let params = notice.request.as_ref().and_then(|request| request.params_json.as_deref()).expect("has parameters");
    serde_json::from_str(params).expect("is JSON still")
}

#[test]
fn messages_lose_cards_and_passwords() {
    for (message, expected) in [
        ("card 4000-0000-0000-0002 declined by issuer (code 51)", "card [card number] declined by issuer (code 51)"),
        ("card 4111111111111111 declined", "card [card number] declined"),
        ("login?password=hunter2&n=1 failed", "login?password=[FILTERED]&n=1 failed"),
        ("cannot reach postgres://shop:s3cret@db:5432/shop", "cannot reach postgres://shop:[FILTERED]@db:5432/shop"),
        ("card 4000 declined by issuer (code 51)", "card 4000 declined by issuer (code 51)"),
        ("order 4111111111111112 at 1795316388.564", "order 4111111111111112 at 1795316388.564"),
    ] {
        let notice = scrubbed(with_message(message));
        assert_eq!(notice.errors[0].message.as_deref(), Some(expected));
        assert_eq!(notice.notes.is_empty(), message == expected);
    }
}

#[test]
fn parameters_lose_what_their_names_tell() {
    let notice = scrubbed(with_params(&json!({
        "password": "hunter2",
        "user": {"password_confirmation": ["a", {"b": 1}], "name": "Zoë \"Z\" Müller"},
        "access_token": 12345,
        "card": {"number": "4111 1111 1111 1111", "cvv": "123"},
        "paid_with": 4111111111111111_i64,
        "sizes": [64155648, 25276514304_i64, 4111111111111112_i64, 1795316388.564],
        "note": "see ?token=abc&x=1",
        "empty": {"password": "", "secret": null, "token": false},
        "filtered": {"password": "[FILTERED]", "token": "[Filtered]", "secret": "********"},
    })));
    assert_eq!(
        params_of(&notice),
        json!({
            "password": "[FILTERED]",
            "user": {"password_confirmation": "[FILTERED]", "name": "Zoë \"Z\" Müller"},
            "access_token": "[FILTERED]",
            "card": {"number": "[card number]", "cvv": "[FILTERED]"},
            "paid_with": "[card number]",
            "sizes": [64155648, 25276514304_i64, 4111111111111112_i64, 1795316388.564],
            "note": "see ?token=[FILTERED]&x=1",
            "empty": {"password": "", "secret": null, "token": false},
            "filtered": {"password": "[FILTERED]", "token": "[Filtered]", "secret": "********"},
        })
    );
    assert_eq!(notice.notes, ["scrubbed: passwords, tokens or sessions", "scrubbed: card numbers"]);
}

#[test]
fn headers_lose_authorization_and_sessions() {
    let cgi = json!({
        "HTTP_AUTHORIZATION": "Basic dXNlcjpwYXNz",
        "HTTP_COOKIE": "theme=dark; _shop_session=BAh7CEkiD3; lang=de",
        "rack.request.cookie_hash": {"theme": "dark", "_shop_session": "BAh7CEkiD3", "cart": {"card": "4111111111111111"}},
        "PWD": "/srv/shop",
        "HTTP_X_API_KEY": "k",
        "QUERY_STRING": "a=1&api_key=abc",
    });
    let request = Request { cgi_json: Some(cgi.to_string()), ..Request::default() };
    let notice = scrubbed(Notice { request: Some(request), ..Notice::default() });
    let cgi = notice.request.and_then(|request| request.cgi_json).expect("has its cgi data");
    assert_eq!(
        serde_json::from_str::<Value>(&cgi).expect("is JSON still"),
        json!({
            "HTTP_AUTHORIZATION": "[FILTERED]",
            "HTTP_COOKIE": "theme=dark; _shop_session=[FILTERED]; lang=de",
            "rack.request.cookie_hash": {"theme": "dark", "_shop_session": "[FILTERED]", "cart": {"card": "[card number]"}},
            "PWD": "/srv/shop",
            "HTTP_X_API_KEY": "[FILTERED]",
            "QUERY_STRING": "a=1&api_key=[FILTERED]",
        })
    );
}

#[test]
fn keys_of_projects_are_not_kept_among_what_is_unmapped() {
    let notice = scrubbed(Notice {
        unmapped_json: Some(r#"{"api-key":"a1b2","context.apiKey":"a1b2"}"#.into()),
        ..Notice::default()
    });
    assert_eq!(notice.unmapped_json.as_deref(), Some(r#"{"api-key":"[FILTERED]","context.apiKey":"[FILTERED]"}"#));
}

#[test]
fn code_and_variables_of_frames_are_scrubbed_too() {
    let frame = Frame {
        code: vec![
            CodeLine { line: 1, text: "login(password: 'hunter2')".into() },
            CodeLine { line: 2, text: "password = params[:password]".into() },
        ],
        vars_json: Some(r#"{"self":"x","secret":"s"}"#.into()),
        ..Frame::default()
    };
    let notice =
        scrubbed(Notice { errors: vec![Error { frames: vec![frame], ..Error::default() }], ..Notice::default() });
    let frame = &notice.errors[0].frames[0];
    assert_eq!(frame.code[0].text, "login(password: '[FILTERED]')");
    assert_eq!(frame.code[1].text, "password = params[:password]");
    assert_eq!(frame.vars_json.as_deref(), Some(r#"{"self":"x","secret":"[FILTERED]"}"#));
}

#[test]
fn what_is_no_json_is_borne() {
    for text in
        ["{\"password\":", "\"", "{\"a\":\"\\", "password", "{\"cookie\":{", "{\"token\":}", "[4111111111111111"]
    {
        let request = Request { params_json: Some(text.into()), ..Request::default() };
        scrubbed(Notice { request: Some(request), ..Notice::default() });
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let key =
        prop_oneof!["[a-z]{1,6}", Just("password".to_owned()), Just("cookies".to_owned()), Just("token".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9=:&\"'\\\\/ @é-]{0,40}".prop_map(Value::from),
        "(password|token|secret)[=:] ?\"?[a-z0-9]{0,8}\"?".prop_map(Value::from),
        "[ -]?4111[ -]?1111[ -]?1111[ -]?1111.?".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn json_stays_json_and_a_second_time_changes_nothing(params in any_json()) {
        let once = scrubbed(with_params(&params));
        params_of(&once);
        prop_assert_eq!(&scrubbed(once.clone()), &once);
    }

    #[test]
    fn any_message_is_borne_and_scrubbed_once(message in "\\PC{0,200}") {
        let once = scrubbed(with_message(&message));
        prop_assert_eq!(&scrubbed(once.clone()), &once);
    }

    #[test]
    fn messages_full_of_marks_are_borne(message in "(password|token|Bearer |://|4111111111111111|[=:\"'@ &\\\\>]|[a-z0-9é]){0,30}") {
        let once = scrubbed(with_message(&message));
        prop_assert_eq!(&scrubbed(once.clone()), &once);
    }
}
