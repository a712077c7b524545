//! The values that an authorization compares: roles, permissions, features, plans, and ages of verified factors.
//!
//! The semantics follow Clerk's `packages/shared/src/authorization.ts` in <https://github.com/clerk/javascript>.

mod entitlement;
mod error;
mod names;
mod reverification;

pub(crate) use self::entitlement::Entitlement;
pub(crate) use self::error::Kind;
pub(crate) use self::names::is_same_name;
pub(crate) use self::reverification::is_fresh;

pub use self::error::RequirementError;
pub use self::names::{Permission, Role};
pub use self::reverification::{Reverification, ReverificationLevel};
