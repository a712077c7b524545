//! Where a path selector finds the path before a nested router has cut it.

use http::Uri;
use http::request::Parts;

/// A function that finds the whole URI of a request.
pub(super) type WholeUriFn = fn(&Parts) -> Option<&Uri>;

pub(super) const UNKNOWN_URI: &str = "a path selector has to know the path before a nested router cuts it: call \
                                      `original_uri` with a function that finds it, or `never_nested` if no router \
                                      around the layer cuts paths (the crate's feature `axum` finds it for routers of \
                                      axum)";

/// The whole URI, as far as routers of axum cut it.
#[cfg(feature = "axum")]
pub(super) fn of_framework() -> Option<WholeUriFn> {
    Some(|parts| Some(crate::original_uri::original_uri(&parts.extensions, &parts.uri)))
}

/// Without a framework that is known, the program has to say where the whole URI is.
#[cfg(not(feature = "axum"))]
pub(super) fn of_framework() -> Option<WholeUriFn> {
    None
}

pub(super) fn of_request(parts: &Parts) -> Option<&Uri> {
    Some(&parts.uri)
}
