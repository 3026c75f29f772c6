//! What the application was doing, in one text.

use notice::Request;

/// `carts#show` is a component and its action, `/carts/:id` a route. Says whether the text is one of these.
pub(crate) fn set_place(text: &str, request: &mut Request) -> bool {
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    if text.starts_with('/') && request.route.is_none() {
        request.route = Some(text.to_owned());
        return true;
    }
    let is_name = |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '#' || c == '?');
    match text.split_once('#') {
        Some((component, action))
            if is_name(component) && is_name(action) && request.component.is_none() && request.action.is_none() =>
        {
            request.component = Some(component.to_owned());
            request.action = Some(action.to_owned());
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_with_its_action_and_a_route_are_told() {
        for (text, component, action, route) in [
            ("carts#show", Some("carts"), Some("show"), None),
            ("Admin::CartsController#show", Some("Admin::CartsController"), Some("show"), None),
            ("/carts/:id", None, None, Some("/carts/:id")),
            ("/carts#top", None, None, Some("/carts#top")),
        ] {
            let mut request = Request::default();
            assert!(set_place(text, &mut request), "{text}");
            let read = [&request.component, &request.action, &request.route].map(|field| field.as_deref());
            assert_eq!(read, [component, action, route], "{text}");
        }
    }

    #[test]
    fn other_texts_are_left() {
        for text in ["GET /carts", "checkout", "#x", "a#", "a#b#c", "issue #7"] {
            let mut request = Request::default();
            assert!(!set_place(text, &mut request), "{text}");
            assert_eq!(request, Request::default());
        }
    }
}
