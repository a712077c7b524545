//! A Clerk instance in memory.
//!
//! [`FakeClerk`] stands in for a Clerk instance in tests and demos. It implements the parts of the Frontend API that
//! sign-ins by password or ticket need, and the parts of the Backend API that servers use for users, sessions and
//! organizations and API keys, with Clerk's rate limits, lockouts and errors. It signs its tokens, and sends webhooks to
//! each [`WebhookEndpoint`]. A client of Clerk can be tested against it
//! without an account or a network and, with [`no_rate_limit`](FakeClerkBuilder::no_rate_limit), without waiting.
//!
//! - In process, [`FakeClerk::handle`] answers a request. It runs on any executor unless a response is delayed:
//!   [`Fault::Delay`], [`Fault::DelayAnswer`] and
//!   [`verify_password_time`](FakeClerkBuilder::verify_password_time) need tokio's timer. Under `tokio::time::pause`
//!   a simulated day takes no real time.
//! - On a socket, `FakeClerk::serve` (feature `server`) serves clients that have their own HTTP stack.
//! - The program `fake-clerk` (feature `program`; in code, `run`) serves clients in any language.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use bytes::Bytes;
//! use fake_clerk::{Endpoint, Fault, FakeClerk};
//!
//! let clerk = FakeClerk::new();
//! let sign_in = || {
//!     http::Request::post(clerk.fapi_url() + "/v1/client/sign_ins?_is_native=1")
//!         .header("content-type", "application/x-www-form-urlencoded")
//!         .body(Bytes::from("strategy=password&identifier=jane&password=correct+horse+battery+staple"))
//!         .unwrap()
//! };
//! assert_eq!(clerk.handle(sign_in()).await.unwrap().status(), 200);
//! assert_eq!(clerk.live_sessions_of("jane"), 1);
//!
//! clerk.script(Endpoint::SignIns, Fault::Status(503));
//! assert_eq!(clerk.handle(sign_in()).await.unwrap().status(), 503);
//! # }
//! ```
//!
//! # Backend API
//!
//! The Backend API is at [`backend_url`](FakeClerk::backend_url), takes JSON, and requires the instance's [secret
//! key](FakeClerk::secret_key):
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use bytes::Bytes;
//! use fake_clerk::FakeClerk;
//!
//! let clerk = FakeClerk::new();
//! let users = http::Request::get(clerk.backend_url() + "/v1/users?email_address=jane%40example.com")
//!     .header("authorization", format!("Bearer {}", clerk.secret_key()))
//!     .body(Bytes::new())
//!     .unwrap();
//! assert_eq!(clerk.handle(users).await.unwrap().status(), 200);
//! # }
//! ```
//!
//! # Identity providers
//!
//! Beside the instance there is [`FakeIssuer`], an OpenID provider whose assertions a program under test may take. An
//! instance knows nothing of it: [`FakeExternalAccount`] and [`FakeEnterpriseAccount`] link its users to a user.
//!
//! # Demo accounts
//!
//! | identifiers | password | what it shows |
//! |---|---|---|
//! | `jane@example.com`, `jane` | `correct horse battery staple` | admin of `acme`, member of `globex` |
//! | `bob@example.com`, `bob` | `hunter2hunter2` | member of `acme` only |
//! | `carol@example.com` | `personal account only` | in no organization |
//! | `mfa@example.com` | `second factor please` | `needs_second_factor` (TOTP, secret `JBSWY3DPEHPK3PXP`) |
//! | `newdevice@example.com` | `trust me on a device` | `needs_client_trust` from a client never seen before |
//! | `locked@example.com` | `locked out for an hour` | 403 `user_locked` |
//! | `banned@example.com` | `banned for good` | 403 `user_banned` |
//! | `expired@example.com` | `please choose a new one` | `needs_new_password` |
//! | `sso@example.com` | none | 400 `strategy_for_user_invalid` |
//!
//! | API key of | secret | scopes |
//! |---|---|---|
//! | `jane` | `ak_4lluZtXyjjvODUza0zcOo95evMLoJA6Rz20uIbUY` | `invoices:read` |
//! | `acme`, created by `jane` | `ak_KXl3ivYQMZvmjH1cpbhsNLDOTLaJHPMlg91vydUJ` | `invoices:read`, `invoices:manage` |
//!
//! In both organizations, `org:admin` has the permissions `org:invoices:read` and `org:invoices:manage`, and
//! `org:member` has `org:invoices:read`. The ids of the demo users, of the organizations and of the instance are the
//! same at every start: `acme` is `org_ojHFcumdg8ZxYa1pebKSFy9ijB5`, `globex` is `org_CpxsAFCMcsXDrlAYmEZMmGQP3Wf`.
//!
//! # Limitations
//!
//! There are no sign-ups, no sign-ins by OAuth or SAML, no e-mail links and no captchas. Everything is stored in memory, and passwords
//! are stored in plain text. Where Clerk's behavior is undocumented, the stand-in does what Clerk's own clients
//! expect.

#![cfg_attr(docsrs, feature(doc_cfg))]

// In order of dependency. `tests/it/modules.rs` checks that imports go in one direction.
mod clock;
mod endpoint;
mod ids;
mod sync;
mod totp;
#[cfg(feature = "server")]
mod variable;

mod accounts;
mod settings;
mod tokens;
mod webhooks;

mod errors;
mod state;

mod claims;
mod request;
mod views;

mod context;

mod authentication;
mod backend;
mod frontend;

mod faults;
mod hold;
mod hooks;
mod log;

mod fake;
mod issuer;

#[cfg(feature = "program")]
mod program;
#[cfg(feature = "server")]
mod server;

pub use crate::accounts::{
    FakeApiKey, FakeEnterpriseAccount, FakeExternalAccount, FakeOrganization, FakeUser, VerificationStatus,
};
pub use crate::clock::FakeClock;
pub use crate::endpoint::Endpoint;
pub use crate::fake::FakeClerk;
pub use crate::fake::token::FakeToken;
pub use crate::faults::{ConnectionFault, Fault, RetryAfter};
pub use crate::hold::Hold;
pub use crate::issuer::assertion::FakeAssertion;
pub use crate::issuer::{AssertionFlaw, FakeIssuer, IssuerDocument, IssuerFault, SigningAlgorithm};
pub use crate::log::ReceivedRequest;
#[cfg(feature = "program")]
#[cfg_attr(docsrs, doc(cfg(feature = "program")))]
pub use crate::program::run;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub use crate::server::{FakeClerkServer, FakeIssuerServer};
pub use crate::settings::{FakeClerkBuilder, GoneSession, InvalidApiKey, TokenVersion};
pub use crate::state::{FakeSession, SessionStatus};
pub use crate::tokens::TokenFlaw;
pub use crate::webhooks::{
    DeliveryStatus, InvalidWebhook, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookFault,
    WebhookHeaders, WebhookSecret,
};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
