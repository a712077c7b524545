//! API keys of Clerk in the place of a password: which of them a layer accepts, the verified ones, and what revocations
//! do to them (rules T1-T6).

mod key;
mod prefix;
mod principal;
mod revocations;
mod settings;
mod verified;

pub use self::key::ClerkApiKey;
pub use self::principal::ClerkPrincipal;
pub(crate) use self::revocations::KeyRevocations;
pub use self::settings::ApiKeys;
pub(crate) use self::settings::{LONGEST_TTL, SHORTEST_TTL};
pub(crate) use self::verified::{Needs, ProvenKeys, VerifiedKey, VerifiedKeys, WantedOrganization};
