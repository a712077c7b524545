//! Clerk's users, organizations and memberships, as its lists and its webhooks send them.
//!
//! One set of types for both, so that a program applies an event and an entry of a list by the same code. Fields that are
//! missing or of another type than Clerk describes count as absent. Metadata is kept as text, since a user can set
//! `unsafe_metadata` to JSON of any depth. `private_metadata` is dropped as an object is read.

mod json;
mod membership;
mod organization;
mod scalar;
mod user;

pub use self::json::Json;
pub use self::membership::MembershipData;
pub use self::organization::OrganizationData;
#[cfg(feature = "webhook")]
pub(crate) use self::scalar::Scalar;
pub use self::user::{UserData, VerifiableIdentifier};
