//! Which requests come from a script in a page.

use http::{HeaderMap, HeaderName, HeaderValue};

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The fields that [`is_from_a_script`] reads, as `Vary` lists them.
pub(super) const READ: HeaderValue =
    HeaderValue::from_static("sec-fetch-dest, sec-fetch-mode, x-requested-with");

/// Whether a request says that a script in a page sent it, by `fetch` or `XMLHttpRequest`.
///
/// A browser sends the destination `empty` for scripts alone, and other values for navigations, images and so on
/// (<https://www.w3.org/TR/fetch-metadata/>). A service worker that fetches a navigation sends `empty` too, but the mode
/// tells it. The mode is not enough by itself: the `fetch` of Node.js sends `Sec-Fetch-Mode: cors` and no destination.
/// Browsers that send neither field, as they do to addresses without TLS, are told by the field that libraries such as
/// jQuery set; an Android app's view sends it with navigations, but with another value.
pub(super) fn is_from_a_script(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| {
        let mut fields = headers.get_all(name).iter();
        let matches =
            fields.next().is_some_and(|field| field.as_bytes().eq_ignore_ascii_case(value.as_bytes()));
        matches && fields.next().is_none()
    };
    is(&X_REQUESTED_WITH, "XMLHttpRequest")
        || (is(&SEC_FETCH_DEST, "empty") && !is(&SEC_FETCH_MODE, "navigate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_a_script_is_told_from_a_navigation_and_from_other_clients() {
        let is = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            is_from_a_script(&headers)
        };
        let (dest, mode, with) = ("sec-fetch-dest", "sec-fetch-mode", "x-requested-with");
        for script in [
            &[(dest, "empty"), (mode, "cors"), ("sec-fetch-site", "same-origin")][..],
            &[(dest, "empty"), (mode, "no-cors")],
            &[(dest, "empty"), (mode, "same-origin")],
            &[(dest, "empty")],
            &[(with, "XMLHttpRequest")],
            &[(with, "xmlhttprequest"), ("cookie", "a=b")],
        ] {
            assert!(is(script), "{script:?}");
        }
        for other in [
            &[][..],
            &[(dest, "document"), (mode, "navigate"), ("sec-fetch-user", "?1")],
            &[(dest, "iframe"), (mode, "navigate")],
            &[(dest, "image"), (mode, "no-cors")],
            // A service worker that passes a navigation on.
            &[(dest, "empty"), (mode, "navigate")],
            // The `fetch` of Node.js.
            &[(mode, "cors"), ("user-agent", "node")],
            // A view in an Android app.
            &[(with, "com.example.app")],
            &[("authorization", "Basic !"), ("accept", "application/json")],
            // No browser repeats the field.
            &[(dest, "empty"), (dest, "document"), (mode, "cors")],
        ] {
            assert!(!is(other), "{other:?}");
        }
    }
}
