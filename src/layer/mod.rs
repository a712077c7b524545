//! The tower layer: HTTP Basic in front of any `tower::Service<http::Request<B>>`.
//!
//! It knows nothing of Clerk's wire; the engine does the work. What it adds is HTTP: which header is read, what
//! becomes of it, what a rejection looks like, and tower's contract of readiness.

mod future;
#[allow(clippy::module_inception)]
mod layer;
mod organization;
mod policy;
mod reject;
mod service;

pub use self::future::ResponseFuture;
pub use self::layer::ClerkBasicAuthLayer;
pub use self::organization::RequestOrganization;
pub use self::policy::AuthorizationHeader;
pub use self::reject::{EmptyBody, ProblemJson, RejectionResponse};
pub use self::service::ClerkBasicAuth;
