//! Which builds of its scripts a client has loaded.

use serde::Deserialize;
use uuid::Uuid;

use crate::Notice;

/// Most images of a notice that are looked at.
const IMAGES_MAX: usize = 1_000;

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "type")]
    kind: Option<String>,
    code_file: Option<String>,
    debug_id: Option<String>,
}

/// Scripts and their debug ids, as the client lists them among its debug images.
pub fn script_images(notice: &Notice) -> Vec<(String, Uuid)> {
    let Some(json) = &notice.debug_images_json else { return Vec::new() };
    let images: Vec<serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let images = images.into_iter().take(IMAGES_MAX).filter_map(|image| {
        let image = Image::deserialize(image).ok().filter(|image| image.kind.as_deref() == Some("sourcemap"))?;
        let debug_id = Uuid::try_parse(image.debug_id?.trim()).ok().filter(|id| !id.is_nil())?;
        Some((image.code_file?, debug_id))
    });
    images.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_scripts_are_told_from_others() {
        let id = "8a2cc2b5-5de5-4f05-9d5e-0b7a60b7d2c1";
        let json = format!(
            r#"[{{"type":"sourcemap","code_file":"https://a.example/a.js","debug_id":"{id}"}},
                {{"type":"sourcemap","code_file":"b.js","debug_id":"none"}},{{"type":"macho","debug_id":"{id}"}},7]"#
        );
        let notice = Notice { debug_images_json: Some(json), ..Notice::default() };
        let expected = [("https://a.example/a.js".to_owned(), Uuid::parse_str(id).expect("it is one"))];
        assert_eq!(script_images(&notice), expected);
        assert_eq!(script_images(&Notice { debug_images_json: Some("{".into()), ..Notice::default() }), []);
    }
}
