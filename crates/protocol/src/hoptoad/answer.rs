//! What XML clients want to hear.

use notice::NoticeId;

/// The answer to a notice that was accepted.
///
/// Each gem looks for another element by a regular expression: hoptoad 2.x for `<error-id>`,
/// airbrake 3 and 4 for the first `<id>`, airbrake 4 for `<url>` as well.
pub fn accepted(id: &NoticeId, url: &str) -> String {
    let url = escape(url);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <notice><error-id type=\"integer\">{id}</error-id><url>{url}</url><id type=\"integer\">{id}</id></notice>\n"
    )
}

/// The answer to what was refused: one element per reason.
pub fn refused(messages: &[impl AsRef<str>]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<errors>");
    for message in messages {
        out.push_str("<error>");
        out.push_str(&escape(message.as_ref()));
        out.push_str("</error>");
    }
    out.push_str("</errors>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gem_finds_the_id() {
        let id = NoticeId::new(1_795_316_388_564_789, 3, 7);
        let answer = accepted(&id, "https://croak.example/locate/1?a=1&b=2");
        let (_, first) = answer.split_once("<id").expect("there is an id");
        assert!(first.contains(&id.to_string()));
        assert!(answer.contains(&format!("<error-id type=\"integer\">{id}</error-id>")));
        assert!(answer.contains("<url>https://croak.example/locate/1?a=1&amp;b=2</url>"));
    }

    #[test]
    fn reasons_are_escaped() {
        assert!(refused(&["a < b"]).ends_with("<errors><error>a &lt; b</error></errors>\n"));
    }
}
