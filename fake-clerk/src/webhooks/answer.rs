//! The answer of an endpoint.

use http::{HeaderValue, StatusCode};

/// An endpoint's answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The header by which an endpoint controls deliveries: <https://docs.svix.com/receiving/delivery-control>.
    pub(crate) control: Option<HeaderValue>,
}
