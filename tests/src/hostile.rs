//! What no honest client sends: documents without end, bombs, lies about lengths, bytes that are no text.

use std::io::Write;

use serde_json::{Value, json};

use crate::samples::{JSON_PATH, KEY, XML_PATH, XmlNotice, json_notice};
use crate::wire::{post, request};

/// What is sent, and what must come back.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, for messages.
    pub name: &'static str,
    /// What goes to the gateway.
    pub sent: Sent,
    /// Any of these is right.
    pub statuses: &'static [u16],
    /// The form that the answer must have.
    pub shape: Shape,
}

/// How it is sent.
#[derive(Clone, Debug)]
pub enum Sent {
    /// All at once.
    Whole(Vec<u8>),
    /// Bytes, and then one more byte of the second part every 200 ms.
    Slowly(Vec<u8>, Vec<u8>),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `<errors><error>…</error></errors>`
    XmlErrors,
    /// `<notice>` whose first `<id>` is the notice's.
    XmlNotice,
    /// `{"message": "…"}`, which Airbrake's clients parse.
    JsonMessage,
    /// The same, and the message names this.
    JsonMessageNaming(&'static str),
    /// `{"id", "url"}`
    JsonNotice,
    /// Something for people to read.
    Text,
    /// An answer, or none and the end of the connection: what came was not a request.
    AnswerOrEnd,
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = xml_cases();
    cases.extend(json_cases());
    cases.extend(deploy_and_stats_cases());
    cases.extend(http_cases());
    cases
}

fn xml_cases() -> Vec<Case> {
    use Shape::{XmlErrors, XmlNotice as Taken};
    let good = XmlNotice { class: "AlmostGood".into(), ..XmlNotice::default() }.document();
    let xml =
        |name, body: &[u8], statuses, shape| Case { name, sent: Sent::Whole(post(XML_PATH, body)), statuses, shape };
    let with = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let laughs = format!(
        r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>{}"#,
        good.split_once("?>").expect("a declaration").1.replace("card declined", "&c;")
    );
    let deep =
        with("<session>", &format!("<session>{}{}", r#"<var key="k">"#.repeat(100_000), "</var>".repeat(100_000)));
    let wide = with("<session>", &format!("<session>{}", r#"<var key="k">v</var>"#.repeat(100_000)));
    vec![
        xml("XML: key of nobody", &with(KEY, "0000000000000000000000000000dead"), &[422], XmlErrors),
        xml("XML: no key", &with(&format!("<api-key>{KEY}</api-key>"), ""), &[422], XmlErrors),
        xml("XML: key is a whole text", &with(KEY, &"k".repeat(100_000)), &[422], XmlErrors),
        xml("XML: version from the future", &with(r#"version="2.4""#, r#"version="9.0""#), &[422], XmlErrors),
        xml("XML: no version", &with(r#" version="2.4""#, ""), &[200, 422], Shape::Text),
        xml("XML: empty body", b"", &[422], XmlErrors),
        xml("XML: blank body", b"  \r\n ", &[422], XmlErrors),
        xml("XML: not XML", b"this is not XML", &[422], XmlErrors),
        xml("XML: another document", b"<html><body>hello</body></html>", &[422], XmlErrors),
        xml("XML: JSON instead", json_notice("A", "b").to_string().as_bytes(), &[422], XmlErrors),
        xml("XML: cut before its key", &good.as_bytes()[..60], &[422], XmlErrors),
        xml("XML: billion laughs", laughs.as_bytes(), &[422], XmlErrors),
        xml(
            "XML: an entity of a file",
            &replaced(
                &good.replacen("?>", r#"?><!DOCTYPE n [<!ENTITY f SYSTEM "file:///etc/passwd">]>"#, 1),
                "card declined",
                b"&f;",
            ),
            &[422],
            XmlErrors,
        ),
        xml("XML: 100,000 deep", &deep, &[200, 422], Shape::Text),
        xml("XML: 100,000 parameters", &wide, &[200], Taken),
        xml("XML: NUL in the message", &replaced(&good, "card declined", b"card\0declined"), &[200], Taken),
        xml("XML: reference to NUL", &with("card declined", "card &#0; declined"), &[200], Taken),
        xml("XML: not UTF-8", &replaced(&good, "card declined", b"card \xff\xfe\xc3"), &[200], Taken),
        xml("XML: unknown entity", &with("card declined", "card &nbsp; declined"), &[200], Taken),
        xml("XML: message of 1 MB", &with("card declined", &"x".repeat(1_000_000)), &[200], Taken),
        xml("XML: unknown parts", &with("<request>", "<surprise><a b='c'>d</a></surprise><request>"), &[200], Taken),
        xml("XML: tags that do not match", &with("</message>", "</massage>"), &[200, 422], Shape::Text),
        xml("XML: too large", &with("card declined", &"x".repeat(9 << 20)), &[413], XmlErrors),
        Case {
            name: "XML: DELETE",
            sent: Sent::Whole(request("DELETE", XML_PATH, &[], b"")),
            statuses: &[405],
            shape: Shape::Text,
        },
        Case {
            name: "XML: GET without data",
            sent: Sent::Whole(request("GET", XML_PATH, &[], b"")),
            statuses: &[422],
            shape: XmlErrors,
        },
        Case {
            name: "XML: GET with data that is none",
            sent: Sent::Whole(request("GET", &format!("{XML_PATH}?data=%3Cnotice"), &[], b"")),
            statuses: &[422],
            shape: XmlErrors,
        },
        Case {
            name: "XML: form without data",
            sent: Sent::Whole(request(
                "POST",
                XML_PATH,
                &[("Content-Type", "application/x-www-form-urlencoded")],
                b"other=1",
            )),
            statuses: &[422],
            shape: XmlErrors,
        },
    ]
}

fn json_cases() -> Vec<Case> {
    use Shape::{JsonMessage, JsonNotice};
    let path = format!("{JSON_PATH}?key={KEY}");
    let json =
        |name, body: &[u8], statuses, shape| Case { name, sent: Sent::Whole(post(&path, body)), statuses, shape };
    let with = |key: &str, value: Value| {
        let mut notice = json_notice("AlmostGood", "almost");
        notice[key] = value;
        notice.to_string().into_bytes()
    };
    let good = json_notice("AlmostGood", "almost").to_string();
    let at = |name, path: &str, headers: &[(&str, &str)], statuses, shape| Case {
        name,
        sent: Sent::Whole(request("POST", path, headers, good.as_bytes())),
        statuses,
        shape,
    };
    let gzip = |name, body: Vec<u8>, statuses, shape| Case {
        name,
        sent: Sent::Whole(request("POST", &path, &[("Content-Encoding", "gzip")], &body)),
        statuses,
        shape,
    };
    vec![
        json("JSON: empty body", b"", &[400], JsonMessage),
        json("JSON: not JSON", b"{\"errors\": [", &[400], JsonMessage),
        json("JSON: an array", b"[]", &[400], JsonMessage),
        json("JSON: null", b"null", &[400], JsonMessage),
        json("JSON: no errors", b"{}", &[400], JsonMessage),
        json("JSON: empty errors", &with("errors", json!([])), &[400], JsonMessage),
        json("JSON: errors is a text", &with("errors", json!("boom")), &[400], JsonMessage),
        json(
            "JSON: 100,000 deep",
            &replaced(&good, "\"almost\"", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes()),
            &[201, 400],
            Shape::Text,
        ),
        json(
            "JSON: no backtrace",
            &with("errors", json!([{"type": "A", "message": "b", "backtrace": null}])),
            &[201],
            JsonNotice,
        ),
        json(
            "JSON: numbers where texts belong",
            &with(
                "errors",
                json!([{"type": 1, "message": 2.5, "backtrace": [{"file": 3, "line": "4", "function": null}]}]),
            ),
            &[201],
            JsonNotice,
        ),
        json(
            "JSON: NUL and a lone surrogate",
            &replaced(&good, "almost", br"a\u0000b\ud800"),
            &[201, 400],
            Shape::Text,
        ),
        json("JSON: not UTF-8", &replaced(&good, "almost", b"a\xff"), &[201], JsonNotice),
        json("JSON: message of 1 MB", &replaced(&good, "almost", "x".repeat(1_000_000).as_bytes()), &[201], JsonNotice),
        json("JSON: too large", &replaced(&good, "almost", "x".repeat(9 << 20).as_bytes()), &[413], JsonMessage),
        at(
            "JSON: wrong key in the query",
            &format!("{JSON_PATH}?key=0000000000000000000000000000dead"),
            &[],
            &[401],
            JsonMessage,
        ),
        at(
            "JSON: wrong key in the header",
            JSON_PATH,
            &[("Authorization", "Bearer 0000000000000000000000000000dead")],
            &[401],
            JsonMessage,
        ),
        at("JSON: another scheme", JSON_PATH, &[("Authorization", "Basic Zm9vOmJhcg==")], &[401], JsonMessage),
        at("JSON: no key", JSON_PATH, &[], &[401], JsonMessage),
        // The key decides: who comes from Errbit has any number there, or a word.
        at("JSON: key of another project", &format!("/api/v3/projects/2/notices?key={KEY}"), &[], &[201], JsonNotice),
        at("JSON: project is no number", &format!("/api/v3/projects/shop/notices?key={KEY}"), &[], &[201], JsonNotice),
        at(
            "JSON: project beyond all numbers",
            &format!("/api/v3/projects/99999999999999999999999/notices?key={KEY}"),
            &[],
            &[201],
            JsonNotice,
        ),
        at("JSON: unknown coding", &path, &[("Content-Encoding", "rot13")], &[415, 400], JsonMessage),
        gzip("JSON: says gzip and is not", good.clone().into_bytes(), &[400], JsonMessage),
        gzip(
            "JSON: gzip that ends early",
            {
                let whole = gzipped(good.as_bytes());
                whole[..whole.len() / 2].to_vec()
            },
            &[400],
            JsonMessage,
        ),
        Case { name: "JSON: gzip bomb", sent: Sent::Whole(gzip_bomb()), statuses: &[413], shape: JsonMessage },
        Case {
            name: "JSON: GET",
            sent: Sent::Whole(request("GET", &path, &[], b"")),
            statuses: &[405],
            shape: JsonMessage,
        },
        Case {
            name: "JSON: PUT",
            sent: Sent::Whole(request("PUT", &path, &[], good.as_bytes())),
            statuses: &[405],
            shape: JsonMessage,
        },
    ]
}

fn deploy_and_stats_cases() -> Vec<Case> {
    use Shape::{JsonMessage, JsonMessageNaming, Text};
    let form = |name, body: &str, statuses| Case {
        name,
        sent: Sent::Whole(request(
            "POST",
            "/deploys.txt",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            body.as_bytes(),
        )),
        statuses,
        shape: Text,
    };
    let json = |name, path: &str, body: &str, statuses, shape| Case {
        name,
        sent: Sent::Whole(post(path, body.as_bytes())),
        statuses,
        shape,
    };
    let refused: &[u16] = &[400, 401, 403, 422];
    vec![
        form("deploys.txt: nothing", "", refused),
        form(
            "deploys.txt: wrong key",
            "api_key=0000000000000000000000000000dead&deploy%5Brails_env%5D=production",
            refused,
        ),
        form("deploys.txt: no environment", &format!("api_key={KEY}"), refused),
        form("deploys.txt: broken escapes", "api_key=%zz&deploy[rails_env]=%ff", refused),
        json(
            "v4 deploy: wrong key",
            "/api/v4/projects/1/deploys?key=dead",
            r#"{"environment": "production"}"#,
            &[401],
            JsonMessage,
        ),
        json("v4 deploy: not JSON", &format!("/api/v4/projects/1/deploys?key={KEY}"), "deploy!", &[400], JsonMessage),
        json("v5: wrong key", "/api/v5/projects/1/routes-stats?key=dead", r#"{"routes": []}"#, &[401], JsonMessage),
        json("v5: not JSON", &format!("/api/v5/projects/1/routes-stats?key={KEY}"), "{", &[400], JsonMessage),
        json(
            "v5: no routes",
            &format!("/api/v5/projects/1/routes-stats?key={KEY}"),
            "{}",
            &[400],
            JsonMessageNaming("routes"),
        ),
        json(
            "v5: no queries",
            &format!("/api/v5/projects/1/queries-stats?key={KEY}"),
            r#"{"routes": []}"#,
            &[400],
            JsonMessageNaming("queries"),
        ),
    ]
}

fn http_cases() -> Vec<Case> {
    use Shape::{AnswerOrEnd, JsonMessage, Text, XmlErrors};
    let path = format!("{JSON_PATH}?key={KEY}");
    let raw = |name, bytes: &[u8], statuses, shape| Case { name, sent: Sent::Whole(bytes.to_vec()), statuses, shape };
    let head = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nHost: croak.test\r\n{rest}\r\n").into_bytes();
    let many_headers: String = (0..2_000).map(|n| format!("X-{n}: v\r\n")).collect();
    vec![
        Case { name: "no such path", sent: Sent::Whole(post("/nothing/here", b"x")), statuses: &[404], shape: Text },
        Case {
            name: "path out of the folder",
            sent: Sent::Whole(request("GET", "/../../etc/passwd", &[], b"")),
            statuses: &[404],
            shape: Text,
        },
        raw("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n", &[400], AnswerOrEnd),
        raw("HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505], AnswerOrEnd),
        raw("length below zero", &head(XML_PATH, "Content-Length: -1\r\n"), &[400], AnswerOrEnd),
        raw(
            "two lengths",
            &[head(XML_PATH, "Content-Length: 3\r\nContent-Length: 4\r\n"), b"abcd".to_vec()].concat(),
            &[400],
            AnswerOrEnd,
        ),
        raw(
            "length and chunks",
            &[head(XML_PATH, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), b"0\r\n\r\n".to_vec()].concat(),
            &[400, 422],
            AnswerOrEnd,
        ),
        raw(
            "chunk of no size",
            &[head(XML_PATH, "Transfer-Encoding: chunked\r\n"), b"zz\r\nabc\r\n0\r\n\r\n".to_vec()].concat(),
            &[400, 408, 422],
            AnswerOrEnd,
        ),
        raw("2 GiB announced to the XML door", &head(XML_PATH, "Content-Length: 2147483648\r\n"), &[413], XmlErrors),
        raw("2 GiB announced to the JSON door", &head(&path, "Content-Length: 2147483648\r\n"), &[413], JsonMessage),
        raw(
            "2 GiB announced politely",
            &head(XML_PATH, "Expect: 100-continue\r\nContent-Length: 2147483648\r\n"),
            &[413, 417],
            XmlErrors,
        ),
        raw(
            "2,000 headers",
            &head(XML_PATH, &format!("{many_headers}Content-Length: 0\r\n")),
            &[400, 431],
            AnswerOrEnd,
        ),
        raw(
            "a header of 1 MB",
            &head(XML_PATH, &format!("X-Long: {}\r\nContent-Length: 0\r\n", "x".repeat(1 << 20))),
            &[400, 431],
            AnswerOrEnd,
        ),
        raw(
            "a path of 1 MB",
            &head(&format!("/{}", "x".repeat(1 << 20)), "Content-Length: 0\r\n"),
            &[400, 414, 431],
            AnswerOrEnd,
        ),
        Case {
            name: "slow headers",
            sent: Sent::Slowly(format!("POST {XML_PATH} HTTP/1.1\r\nX-Slow: ").into_bytes(), vec![b'x'; 300]),
            statuses: &[408],
            shape: AnswerOrEnd,
        },
        Case {
            name: "headers that never end",
            sent: Sent::Whole(format!("POST {XML_PATH} HTTP/1.1\r\nX-Never:").into_bytes()),
            statuses: &[408],
            shape: AnswerOrEnd,
        },
        Case {
            name: "slow body, XML",
            sent: Sent::Slowly(head(XML_PATH, "Content-Length: 4000\r\n"), vec![b' '; 300]),
            statuses: &[408],
            shape: XmlErrors,
        },
        Case {
            name: "slow body, JSON",
            sent: Sent::Slowly(head(&path, "Content-Length: 4000\r\n"), vec![b' '; 300]),
            statuses: &[408],
            shape: JsonMessage,
        },
        Case {
            name: "body that never comes",
            sent: Sent::Whole(head(&path, "Content-Length: 4000\r\n")),
            statuses: &[408],
            shape: JsonMessage,
        },
    ]
}

/// 500 MB of blanks before a brace, in about 500 KB.
pub fn gzip_bomb() -> Vec<u8> {
    static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let body = BOMB.get_or_init(|| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let blanks = vec![b' '; 1 << 20];
        for _ in 0..500 {
            encoder.write_all(&blanks).expect("memory can be written");
        }
        encoder.finish().expect("memory can be written")
    });
    request("POST", &format!("{JSON_PATH}?key={KEY}"), &[("Content-Encoding", "gzip")], body)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// `text` with the first `from` replaced by bytes that need not be text.
pub fn replaced(text: &str, from: &str, to: &[u8]) -> Vec<u8> {
    let (before, after) = text.split_once(from).unwrap_or_else(|| panic!("{from:?} is not in the sample"));
    [before.as_bytes(), to, after.as_bytes()].concat()
}
