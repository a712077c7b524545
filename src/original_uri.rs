//! The URI of a request before nested routers have cut its path.

use http::{Extensions, Uri};

/// The original URI, which axum leaves in the extensions, or that of the request if it left none: no router of axum has cut
/// that one. Without the feature `axum`, a nested router may have cut it.
pub(crate) fn original_uri<'r>(extensions: &'r Extensions, uri: &'r Uri) -> &'r Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    _ = extensions;
    uri
}
