//! XML as it was written in ten years of clients, and as nobody should write it.

#![expect(clippy::unwrap_used, reason = "a test may")]

use notice::Notice;
use protocol::hoptoad::parse;
use serde_json::{Value, json};

fn notice_of(xml: &str) -> Notice {
    parse(xml.as_bytes()).expect("is read").notice
}

/// A notice with this inside, beside its key and an error.
fn with(inner: &str) -> Notice {
    notice_of(&format!("<notice version=\"2.4\"><api-key>k</api-key><error><class>C</class></error>{inner}</notice>"))
}

fn json_of(text: Option<&String>) -> Value {
    serde_json::from_str(text.expect("is there")).expect("is JSON")
}

fn unmapped(notice: &Notice) -> Value {
    json_of(notice.unmapped_json.as_ref())
}

#[test]
fn children_may_come_in_any_order_and_under_old_names() {
    let notice = notice_of(
        "<notice version=\"2.1\"><server-environment><app_version>1.4</app_version><host-name>web-1</host-name>\
         <environment-name>production</environment-name><project-root>/srv</project-root></server-environment>\
         <user-attributes><email>ann@example.org</email><id>7</id></user-attributes>\
         <request><action>show</action><controller>carts</controller><url>http://a.example/</url></request>\
         <error><backtrace><line number='3' method_name='f' file='a.rb'/></backtrace><message>m</message><class>C</class></error>\
         <notifier><version>1</version><name>n</name></notifier><api-key> k </api-key></notice>",
    );
    assert_eq!(notice.release.as_deref(), Some("1.4"));
    assert_eq!(notice.environment.as_deref(), Some("production"));
    let server = notice.server.as_ref().unwrap();
    assert_eq!((server.hostname.as_deref(), server.root.as_deref()), (Some("web-1"), Some("/srv")));
    let user = notice.user.as_ref().unwrap();
    assert_eq!((user.id.as_deref(), user.email.as_deref()), (Some("7"), Some("ann@example.org")));
    let request = notice.request.as_ref().unwrap();
    assert_eq!((request.component.as_deref(), request.action.as_deref()), (Some("carts"), Some("show")));
    let frame = &notice.errors[0].frames[0];
    assert_eq!((frame.file.as_deref(), frame.function.as_deref(), frame.line), (Some("a.rb"), Some("f"), Some(3)));
    assert_eq!(unmapped(&notice), json!({"version": "2.1"}));
}

#[test]
fn the_key_is_not_part_of_the_notice() {
    let parsed = parse(b"<notice version='2.0'><api-key> secret-key </api-key><error/></notice>").unwrap();
    assert_eq!(parsed.api_key.as_deref(), Some("secret-key"));
    assert!(!format!("{:?}", parsed.notice).contains("secret-key"));
}

#[test]
fn every_version_of_two_is_taken() {
    for version in ["2.0", "2.1", "2.2", "2.3", "2.4", "2"] {
        let xml =
            format!("<?xml version=\"1.0\"?>\n<notice version=\"{version}\"><api-key>k</api-key><error/></notice>\n");
        assert!(parse(xml.as_bytes()).is_ok(), "{version}");
    }
}

#[test]
fn vars_nest_are_null_repeat_and_mix_with_text() {
    let notice = with(
        "<request><params><var key='a'>1</var><var key='n'/><var key='e'></var>\
         <var key='h'>text<var key='x'>2</var><var key='y'><var key='z'>&lt;3&gt;</var></var></var><var key='a'>4</var></params></request>",
    );
    assert_eq!(
        json_of(notice.request.as_ref().unwrap().params_json.as_ref()),
        json!({"a": "1", "n": null, "e": "", "h": {"x": "2", "y": {"z": "<3>"}, "#text": "text"}, "a (2)": "4"})
    );
}

#[test]
fn the_method_of_the_request_is_taken_from_cgi_data() {
    let notice = with("<request><cgi-data><var key='REQUEST_METHOD'>POST</var></cgi-data></request>");
    assert_eq!(notice.request.as_ref().unwrap().method.as_deref(), Some("POST"));
}

#[test]
fn text_comes_from_cdata_references_and_both() {
    let message = |xml: &str| {
        notice_of(&format!("<notice><api-key>k</api-key><error><message>{xml}</message></error></notice>")).errors[0]
            .message
            .clone()
    };
    assert_eq!(message("<![CDATA[a <b> &amp; c]]>").as_deref(), Some("a <b> &amp; c"));
    assert_eq!(message("x &lt;<![CDATA[&]]>&#228;&#xE4; ").as_deref(), Some("x <&ää "));
    assert_eq!(message("&#55357;&#56485;").as_deref(), Some("💥"));
    assert_eq!(message("a & b &nbsp; &unknown; AT&T").as_deref(), Some("a & b &nbsp; &unknown; AT&T"));
    assert_eq!(message("one\r\ntwo").as_deref(), Some("one\ntwo"));
    assert_eq!(message("").as_deref(), None);
}

#[test]
fn markup_that_was_not_escaped_loses_no_text() {
    let notice = notice_of("<notice><api-key>k</api-key><error><message>a <b>bold</b> c</message></error></notice>");
    assert_eq!(notice.errors[0].message.as_deref(), Some("a  c"));
    assert_eq!(unmapped(&notice), json!({"error/message/b": "bold"}));
}

#[test]
fn what_has_no_field_is_kept_under_its_path() {
    let notice = with(
        "loose<framework>Rails: 3.2.11</framework><extra kind='x'><deep>1</deep><deep>2</deep></extra><request><host>h</host></request>",
    );
    assert_eq!(
        unmapped(&notice),
        json!({"version": "2.4", "framework": "Rails: 3.2.11", "extra@kind": "x", "extra/deep": "1", "extra/deep (2)": "2", "request/host": "h", "#text": "loose"})
    );
    let shown = notice::to_json(&notice::Stored {
        id: notice::NoticeId::new(0, 0, 0),
        project_id: 1,
        group_id: 1,
        accepted_at_us: 0,
        notice: &notice,
        why: None,
    });
    assert_eq!(shown["framework"], "Rails: 3.2.11");
}

#[test]
fn lines_without_numbers_keep_what_they_have() {
    let notice = notice_of(
        "<notice><api-key>k</api-key><error><backtrace><line file='a' number=''/><line file='b' number='x' z='1'/><line/></backtrace></error></notice>",
    );
    assert_eq!(notice.errors[0].frames.len(), 3);
    assert_eq!(unmapped(&notice), json!({"error/backtrace/line[1]@number": "x", "error/backtrace/line[1]@z": "1"}));
}

#[test]
fn bytes_that_are_not_utf_8_are_replaced_and_noted() {
    let notice =
        parse(b"<notice><api-key>k</api-key><error><message>a\xff\xfeb</message></error></notice>").unwrap().notice;
    assert_eq!(notice.errors[0].message.as_deref(), Some("a\u{fffd}\u{fffd}b"));
    assert_eq!(notice.notes, ["bytes that are not UTF-8 were replaced by U+FFFD"]);
    let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><notice><api-key>k</api-key><error><message>gr\xfc\xdfe</message></error></notice>";
    assert_eq!(parse(latin).unwrap().notice.errors[0].message.as_deref(), Some("grüße"));
}

#[test]
fn a_broken_document_is_kept_as_far_as_it_makes_sense() {
    let parsed =
        parse(b"<notice><api-key>k</api-key><error><class>C</class><message>m</message></wrong><request/></notice>")
            .unwrap();
    assert!(parsed.salvaged);
    assert_eq!(parsed.notice.errors[0].message.as_deref(), Some("m"));
    assert!(parsed.notice.notes[0].starts_with("the XML is broken"), "{:?}", parsed.notice.notes);
    assert!(parse(b"<notice><api-key>k</api-key></wrong><error><class>C</class></error></notice>").is_err());
}

#[test]
fn nesting_beyond_the_limit_is_dropped_with_a_note() {
    let notice =
        with(&format!("<request><params>{}1{}</params></request>", "<var key='a'>".repeat(200), "</var>".repeat(200)));
    assert!(notice.notes.iter().any(|note| note.contains("nested deeper than 64")), "{:?}", notice.notes);
}

#[test]
fn what_airbrake_java_escaped_twice_is_decoded_and_only_there() {
    let xml = |notifier: &str| {
        notice_of(&format!(
            "<notice version=\"2.2\"><api-key><![CDATA[k]]></api-key><notifier><name><![CDATA[{notifier}]]></name></notifier><error>\
             <class><![CDATA[shop.Declined]]></class><message><![CDATA[&#220;berlauf &#55357;&#56485; &lt;b&gt;]]></message><backtrace>\
             <line method=\"shop.Cart.pay\" file=\"Cart.java\" number=\"17\"/>\
             <line method=\"Caused by keine Antwort &amp;#228;h.Caused by keine Antwort &amp;#228;h\" file=\"Caused by keine Antwort &amp;#228;h\" number=\"-1\"/>\
             <line method=\"shop.Gateway.call\" file=\"Gateway.java\" number=\"9\"/></backtrace></error>\
             <request><params><var key=\"a\"><![CDATA[&#228;]]></var></params></request></notice>"
        ))
    };
    let java = xml("airbrake-java");
    assert_eq!(java.errors[0].message.as_deref(), Some("Überlauf 💥 <b>"));
    assert_eq!(json_of(java.request.as_ref().unwrap().params_json.as_ref()), json!({"a": "ä"}));
    assert_eq!(java.errors.len(), 2);
    assert_eq!(java.errors[0].frames.len(), 1);
    assert_eq!(java.errors[1].message.as_deref(), Some("keine Antwort äh"));
    assert_eq!(java.errors[1].frames[0].function.as_deref(), Some("shop.Gateway.call"));
    assert!(java.notes.iter().any(|note| note.contains("escaped twice")));

    let other = xml("other");
    assert_eq!(other.errors[0].message.as_deref(), Some("&#220;berlauf &#55357;&#56485; &lt;b&gt;"));
    assert_eq!((other.errors.len(), other.errors[0].frames.len()), (1, 3));
}

#[test]
fn a_cause_of_airbrake_java_may_have_quotes_in_its_message() {
    let notice = notice_of(
        "<notice version=\"2.2\"><api-key>k</api-key><notifier><name><![CDATA[airbrake-java]]></name></notifier><error>\
         <class><![CDATA[shop.CheckoutError]]></class><message><![CDATA[checkout failed]]></message><backtrace>\
         <line method=\"shop.Cart.<init>\" file=\"Cart.java\" number=\"17\"/>\
         <line method=\"Caused by Cannot invoke \"shop.Cart.items\" file=\") because &quot;&lt;local1&gt;&quot; is null\" number=\"-1\"/>\
         <line method=\"jdk.Accessor.invoke0\" file=\"null-2)\" number=\"-1\"/>\
         <line method=\"Caused by For input string \"x\".Caused by For input string \"x\"\" file=\"Caused by For input string &quot;x&quot;\" number=\"-1\"/>\
         <line method=\"shop.Gateway.call\" file=\"Gateway.java\" number=\"9\"/></backtrace></error>\
         <server-environment><environment-name><![CDATA[production]]></environment-name></server-environment></notice>",
    );
    let told: Vec<_> = notice.errors.iter().map(|error| (error.message.as_deref(), error.frames.len())).collect();
    let npe = "Cannot invoke \"shop.Cart.items() because \"<local1>\" is null";
    assert_eq!(told, [(Some("checkout failed"), 1), (Some(npe), 1), (Some("For input string \"x\""), 1)]);
    assert_eq!(notice.environment.as_deref(), Some("production"));
    assert_eq!(notice.errors[1].frames[0].file, None);
    assert!(notice.notes.iter().any(|note| note.contains("null-2)")), "{:?}", notice.notes);
}

#[test]
fn causes_have_lines_or_elements_of_their_own() {
    let chain = |notice: &Notice| {
        let told =
            |error: &notice::Error| (error.class.clone().unwrap(), error.message.clone().unwrap(), error.frames.len());
        notice.errors.iter().map(told).collect::<Vec<_>>()
    };
    let wanted =
        [("A".to_owned(), "a".to_owned(), 1), ("java.io.IOException".to_owned(), "no route: none".to_owned(), 1)];
    // As the Android notifier 1.3 and errbit-java write it.
    for (first, cause) in [
        ("", r####"<line file="### CAUSED BY ###: java.io.IOException: no route: none" number=""/>"####),
        ("<line method='Exception A: a'/>", "<line method='Caused by: java.io.IOException: no route: none'/>"),
    ] {
        let notice = notice_of(&format!(
            "<notice version='2.0'><api-key>k</api-key><error><class>A</class><message>a</message><backtrace>{first}\
             <line method='shop.Cart.pay' file='Cart.java' number='3'/>{cause}<line method='shop.Net.call' file='Net.java' number='9'/>\
             </backtrace></error></notice>"
        ));
        assert_eq!(chain(&notice), wanted);
    }
    // As airbrake-java 2.3 does.
    let notice = notice_of(
        "<notice version='2.4'><api-key>k</api-key><error><class>A</class><message>a</message><backtrace>\
         <line method='shop.Cart.pay' file='Cart.java' number='3'/></backtrace></error><error><class>java.io.IOException</class>\
         <message>no route: none</message><backtrace><line method='shop.Net.call' file='Net.java' number='9'/></backtrace></error>\
         <server-environment><environment>production</environment></server-environment></notice>",
    );
    assert_eq!(chain(&notice), wanted);
    assert_eq!(notice.environment.as_deref(), Some("production"));
}

#[test]
fn users_may_be_told_in_vars() {
    let notice = with(
        "<user-attributes><var key='id'>7</var><var key='email'>ann@example.org</var><var key='plan'>gold</var></user-attributes>",
    );
    let user = notice.user.as_ref().unwrap();
    assert_eq!((user.id.as_deref(), user.email.as_deref()), (Some("7"), Some("ann@example.org")));
    assert_eq!(unmapped(&notice)["user-attributes"], json!({"plan": "gold"}));
}

#[test]
fn code_behind_the_functions_of_pythons_handlers_is_code() {
    let of = |notifier: &str| {
        notice_of(&format!(
            "<notice version=\"2.0\"><api-key>k</api-key><notifier><name>{notifier}</name><version>1</version><url/></notifier>\
             <error><class>Declined</class><message>failed: no</message><backtrace>\
             <line file=\"pay.py\" number=\"9\" method=\"&lt;module&gt;: order(cart)\"/>\
             <line file=\"gone.py\" number=\"3\" method=\"order: None\"/>\
             <line file=\"pay.py\" number=\"5\" method=\"charge: raise Declined('no: %s' % card)\"/></backtrace></error></notice>"
        ))
    };
    let frames = |notice: &Notice| -> Vec<(String, Option<String>)> {
        let frames = notice.errors[0].frames.iter();
        frames
            .map(|frame| (frame.function.clone().unwrap(), frame.code.first().map(|code| code.text.clone())))
            .collect()
    };
    let innermost_first = [
        ("charge".to_owned(), Some("raise Declined('no: %s' % card)".to_owned())),
        ("order".to_owned(), None),
        ("<module>".to_owned(), Some("order(cart)".to_owned())),
    ];
    assert_eq!(frames(&of("django-airbrake")), innermost_first);
    assert_eq!(frames(&of("airbrakepy")), innermost_first);
    assert_eq!(frames(&of("another"))[0], ("<module>: order(cart)".to_owned(), None));
}

#[test]
fn the_place_of_an_error_of_php_has_its_function() {
    // As errbit-php writes it.
    let of = |lines: &str| {
        notice_of(&format!(
            "<notice version=\"2.2\"><api-key>k</api-key><notifier><name>errbit-php</name><version>2.0.1</version><url/></notifier>\
             <error><class>Declined</class><message>Declined: no</message><backtrace>{lines}</backtrace></error></notice>"
        ))
    };
    let places = |notice: &Notice| -> Vec<(String, Option<String>)> {
        let frames = notice.errors[0].frames.iter();
        frames.map(|frame| (frame.file.clone().unwrap(), frame.function.clone())).collect()
    };
    let notice = of("<line number=\"8\" file=\"cart.php\" method=\"&lt;unknown&gt;\"/>\
                     <line number=\"22\" file=\"drive.php\" method=\"Shop\\Cart-&gt;charge()\"/>");
    let charge = Some("Shop\\Cart->charge()".to_owned());
    assert_eq!(places(&notice), [("cart.php".to_owned(), charge), ("drive.php".to_owned(), None)]);
    assert_eq!(notice.errors[0].message.as_deref(), Some("no"));
    let notice = of(
        "<line number=\"8\" file=\"cart.php\" method=\"&lt;unknown&gt;\"/><line number=\"\" file=\"\" method=\"\"/>",
    );
    assert_eq!(places(&notice), [("cart.php".to_owned(), None)]);
}

#[test]
fn messages_of_nets_older_client_lose_the_class_and_functions_of_apples_the_address() {
    let of = |notifier: &str, error: &str| {
        notice_of(&format!(
            "<notice version=\"2.0\"><api-key>k</api-key><notifier><name>{notifier}</name></notifier><error>{error}</error></notice>"
        ))
    };
    let notice = of("SharpBrake", "<class>Shop.Declined</class><message>Declined: no funds</message>");
    assert_eq!(notice.errors[0].message.as_deref(), Some("no funds"));
    let line = "<class>NSRangeException</class><backtrace><line number=\"5\" file=\"Shop\" method=\"0x000021ba -[Cart charge] + 48\"/></backtrace>";
    let notice = of("Hoptoad iOS Notifier", line);
    assert_eq!(notice.errors[0].frames[0].function.as_deref(), Some("-[Cart charge]"));
}
