//! A span with an exception as Python's exporter sends it, in protobuf with places for what changes.

use super::template::Template;

/// What the process says of itself.
const RESOURCE: [(&str, &str); 8] = [
    ("telemetry.sdk.language", "python"),
    ("telemetry.sdk.name", "opentelemetry"),
    ("telemetry.sdk.version", "1.30.0"),
    ("service.instance.id", "shop-web-1-7"),
    ("service.name", "shop-web"),
    ("service.version", "1.4.2"),
    ("deployment.environment.name", "production"),
    ("host.name", "shop-web-1"),
];

/// What a server's span says of its request.
const REQUEST: [(&str, &str); 9] = [
    ("http.method", "POST"),
    ("http.scheme", "https"),
    ("http.host", "shop.example"),
    ("http.target", "/orders?ref={parameter}"),
    ("http.route", "/orders"),
    ("http.flavor", "1.1"),
    ("net.peer.ip", "203.0.113.7"),
    (
        "http.user_agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36",
    ),
    ("enduser.id", "{user}"),
];

/// The frames of the application, below those of its framework.
const APPLICATION: &str = r#"  File "/srv/shop/app/shop/orders.py", line 18, in create
    order.payment.charge(request.form["card"])
  File "/srv/shop/app/shop/payment.py", line 31, in charge
    raise error_for(answer)
"#;

/// The request: these frames stand in its stack trace, this text beside it. Each byte of them makes it a byte longer.
pub(super) fn request(frames: &str, note: &str) -> Vec<u8> {
    let class = "shop.errors.Checkout{group}";
    let message = "the payment was declined by the issuer";
    let stack = format!("Traceback (most recent call last):\n{frames}{APPLICATION}{class}: {message}\n");
    let exception = [
        ("exception.type", class),
        ("exception.message", message),
        ("exception.stacktrace", &stack),
        ("exception.escaped", "False"),
    ];
    let event = [at(1), field(2, b"exception"), attributes(3, &exception)].concat();
    let note = [("http.request.header.x-note", note)];
    let span = [
        field(1, b"{trace_id}"),
        field(2, b"{span_id}"),
        field(5, b"POST /orders"),
        vec![6 << 3, 2],
        at(7),
        at(8),
        attributes(9, &REQUEST),
        attributes(9, &note),
        field(11, &event),
        field(15, &[field(2, message.as_bytes()), vec![3 << 3, 2]].concat()),
    ]
    .concat();
    let scope = [field(1, b"opentelemetry.instrumentation.flask"), field(2, b"0.51b0")].concat();
    let spans = [field(1, &scope), field(2, &span)].concat();
    field(1, &[field(1, &attributes(1, &RESOURCE)), field(2, &spans)].concat())
}

/// A text, bytes or a message. Its length takes three bytes however small it is, so that nothing else grows with it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    const LENGTH_MAX: usize = (1 << 21) - 1;
    // Of what changes its place has the length that it will have.
    let length = Template::parse(content).len();
    assert!(length <= LENGTH_MAX, "{length} bytes are more than are ever sent");
    let [low, middle, high] = [length & 0x7f, length >> 7 & 0x7f, length >> 14].map(|bits| bits as u8);
    [&[number << 3 | 2, low | 0x80, middle | 0x80, high][..], content].concat()
}

/// A moment.
fn at(number: u8) -> Vec<u8> {
    [&[number << 3 | 1][..], b"{time_ns}"].concat()
}

fn attributes(number: u8, attributes: &[(&str, &str)]) -> Vec<u8> {
    let one = |(key, value): &(&str, &str)| {
        field(number, &[field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat())
    };
    attributes.iter().flat_map(one).collect()
}
