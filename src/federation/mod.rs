//! Federation: an identity provider's assertion for a Clerk session.
//!
//! CI jobs, Kubernetes workloads and partners with an identity provider of their own hold an assertion already: a JWT that
//! the provider has signed. [`Clerk::exchange`](crate::Clerk::exchange) gives a Clerk session for it, without ever making an
//! account or taking one over. It needs a [`secret_key`](crate::ClerkBuilder::secret_key).
//!
//! ```
//! use tower_clerk::Clerk;
//! use tower_clerk::federation::{Provider, WorkloadRule};
//!
//! # fn secret_key() -> String { "sk_live_abcdefghijklmnopqrstuvwxyz".to_owned() }
//! let deploys = WorkloadRule::new("repo:acme/app:ref:refs/heads/main", "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug")
//!     .owner_id("1234567");
//! let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")
//!     .secret_key(secret_key())
//!     .provider(Provider::github_actions("https://api.example.com").rule(deploys))
//!     .build()?;
//! # Ok::<(), tower_clerk::ConfigError>(())
//! ```
//!
//! # People and workloads
//!
//! A [`Provider`] is for people or for workloads, by what maps its subjects to users:
//!
//! - *People* are found by a link that exists at Clerk already: a linked external account
//!   ([`link_oauth`](Provider::link_oauth)), an account of an enterprise connection
//!   ([`link_enterprise`](Provider::link_enterprise)), or, where it is turned on, a verified e-mail address
//!   ([`link_verified_email`](Provider::link_verified_email)). An assertion is exchanged once, at most 10 min after it was
//!   issued, and with the nonce of the sign-in that it is the answer to.
//! - *Workloads* are mapped by [rules](Provider::rule): a pattern on `sub` to the id of a user. Their assertions are
//!   credentials, so a session is kept for each until it expires.
//!
//! # Second factors
//!
//! A person whose user has a second factor at Clerk needs an assertion that attests one, in words that are
//! [trusted](Provider::trust_amr) by opt-in; otherwise the answer is
//! [`SecondFactorRequired`](crate::RejectionKind::SecondFactorRequired).
//! [`require_second_factor`](Provider::require_second_factor) asks it of every person. Workloads have none. Clerk may ask for
//! a second factor itself; then the exchange is refused, and not tried again.

mod assertion;
mod check;
mod check_rule;
mod claims;
mod error;
mod keys;
mod link;
mod pattern;
mod presets;
mod provider;
mod refusal;
mod rule;
mod second_factor;
mod trusted;
mod used;

pub use self::assertion::Assertion;
pub use self::error::{ProviderError, ProviderErrorKind};
pub use self::provider::Provider;
pub use self::rule::WorkloadRule;
pub use crate::assurance::Assurance;
pub use crate::jwt::Algorithm;

pub(crate) use self::keys::fetcher;
pub(crate) use self::link::{Link, VerifiedEmail};
pub(crate) use self::refusal::AssertionRefusal;
pub(crate) use self::trusted::{Accepted, Mapping, Presented, TrustedProvider};
pub(crate) use self::used::{Use, UsedAssertions};
pub(crate) use crate::jwt::claimed_issuer;
