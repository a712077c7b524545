//! The two providers of Clerk sessions. They differ in the calls that they make, and in whether sessions are stored.
//!
//! - *Frontend API*: `sign_ins` with the password, like a browser. Needs no secret key. Each proof of a password is a
//!   sign-in, and Clerk allows an IP address five of them in ten seconds
//!   (<https://clerk.com/docs/guides/how-clerk-works/system-limits>).
//! - *Backend API*: the secret key finds the user and verifies the password, and a ticket opens the session, once in
//!   days.
//!
//! The engine decides for both when Clerk may be asked, how an answer is classified, and when a session is ended.

mod backend;
mod devices;
mod forget;
mod frontend;
mod identifier_index;
mod mint;
mod open_sessions;
mod opening;
mod passwords;
mod timing_equalizer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::backend::{Backend, BackendOptions};
pub(crate) use self::devices::Devices;
pub(crate) use self::forget::Taken;
pub(crate) use self::frontend::Frontend;
pub(crate) use self::mint::{MintError, MintRequest, NewToken, TokenLife, Verifier};
pub(crate) use self::open_sessions::OpenSessions;
pub(crate) use self::passwords::Passwords;
pub(crate) use self::timing_equalizer::TimingEqualizer;
use crate::clerk_api::bapi::Bapi;
use crate::clerk_api::fapi::SignedIn;
use crate::clerk_api::{ApiError, TimeLeft};
use crate::client_token::{ClientSlot, ClientToken};
use crate::credentials::Credentials;
use crate::key::IdentifierKey;
use crate::limits::{FailureCounts, PermitRequest, SignInLimiter, SignInPermit};
use crate::scope::OrganizationName;
use crate::session::ClerkApi;
use crate::sessions::{EndRequest, Generation, Session, Sharing, User};
use crate::store::StoredSession;

/// Clerk's default life of a session, 7 days: <https://clerk.com/docs/guides/secure/session-options>.
const CLERK_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Clerk's default life of a session token, 60 s: <https://clerk.com/docs/guides/sessions/session-tokens>.
pub(crate) const CLERK_TOKEN: Duration = Duration::from_secs(60);

/// The provider of one engine.
pub(crate) enum Provider {
    Frontend(Frontend),
    Backend(Box<Backend>),
}

/// The code of a refusal without a call to Clerk, while the user's failures pause its sign-ins (rule P3).
pub(crate) const PAUSED: &str = "user_paused";

/// A password to be proven.
pub(crate) struct PasswordCheck<'a> {
    pub(crate) credentials: &'a Credentials,
    /// The key of the identifier's known device.
    pub(crate) device_name: &'a str,
    /// The key of the identifier's failures.
    pub(crate) identifier: IdentifierKey,
    /// The credential of a request is not trusted, so the failures of the user's other identifiers pause it, too (rule
    /// P3).
    pub(crate) untrusted: bool,
    pub(crate) failures: &'a FailureCounts,
    /// A live session is to keep serving, and only its proof is renewed.
    pub(crate) renewal: bool,
    /// This sign-in was caused by an earlier answer, so it must not cause another one (rule S5).
    pub(crate) follows: bool,
    /// Set when the answer to this sign-in causes another one.
    pub(crate) followed: &'a AtomicBool,
    /// Permits for the sign-in that this one causes.
    pub(crate) sign_in_limiter: &'a Arc<SignInLimiter>,
    pub(crate) permit_request: PermitRequest,
}

/// A password that Clerk has accepted.
pub(crate) struct ProvenPassword {
    pub(crate) user_id: Box<str>,
    /// The start of the proof's life. Clerk has compared the password no earlier.
    pub(crate) at: Instant,
    /// The user's verified identifiers.
    pub(crate) identifiers: Vec<String>,
    /// The session that the proof has brought, which is always there with the Frontend API.
    pub(crate) session: Option<OpenedSession>,
}

/// An open session at Clerk.
pub(crate) enum OpenedSession {
    /// From the sign-in just made.
    New {
        signed_in: SignedIn,
        /// The id of the organization that it is for, with the Backend API.
        organization: Option<Box<str>>,
    },
    /// From an earlier sign-in, found in the store.
    Stored(StoredSession),
}

impl Provider {
    pub(crate) fn api(&self) -> ClerkApi {
        match self {
            Self::Frontend(_) => ClerkApi::Frontend,
            Self::Backend(_) => ClerkApi::Backend,
        }
    }

    /// The Backend API, if there is a secret key.
    pub(crate) fn bapi(&self) -> Option<&Arc<Bapi>> {
        match self {
            Self::Frontend(_) => None,
            Self::Backend(backend) => Some(&backend.bapi),
        }
    }

    /// Proves a password at Clerk.
    pub(crate) async fn prove(
        &self,
        check: PasswordCheck<'_>,
        permit: &mut SignInPermit,
        time: &mut TimeLeft,
    ) -> Result<ProvenPassword, ApiError> {
        match self {
            Self::Frontend(frontend) => frontend.prove(check, permit, time).await,
            Self::Backend(backend) => backend.passwords.prove(check, time).await,
        }
    }

    /// Returns the session that the proof has brought. If there is none, returns one for the organization, or for the
    /// personal account if the user is not a member.
    pub(crate) async fn open(
        &self,
        proved: ProvenPassword,
        user: &User,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<OpenedSession, ApiError> {
        match (self, proved.session) {
            (_, Some(session)) => Ok(session),
            (Self::Backend(backend), None) => backend.first_session(user, organization, since, time).await,
            // Unreachable: with the Frontend API each proof brings a session.
            (Self::Frontend(_), None) => Err(ApiError::unavailable("no_session")),
        }
    }

    /// Stores the client of a session as the identifier's known device. A removal that follows comes after it.
    pub(crate) fn remember(&self, device_name: &str, session: &Arc<Session>) {
        if let Self::Frontend(frontend) = self {
            frontend.devices.put(device_name, session);
        }
    }

    /// Ends a session at Clerk.
    pub(crate) async fn end(&self, request: &EndRequest, mut time: TimeLeft) -> Result<(), ApiError> {
        match self {
            Self::Frontend(frontend) => {
                time.run(frontend.fapi.end(&request.session_id, &request.client)).await
            }
            Self::Backend(backend) => backend.bapi.revoke(&request.session_id, &mut time).await,
        }
    }

    /// Returns a session of the user for an organization, or for the personal account: a stored one or a new one.
    pub(crate) async fn session_for(
        &self,
        user: &User,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<OpenedSession, ApiError> {
        match self {
            // One session mints for all organizations, so this is not called.
            Self::Frontend(_) => Err(ApiError::unavailable("no_session_for_organization")),
            Self::Backend(backend) => backend.session_for(user, organization, since, time).await,
        }
    }

    /// The client of a session in a login record. `None` with the Frontend API if its token isn't known, so that no token
    /// can be minted for the session.
    pub(crate) async fn client_of(
        &self,
        device_name: &str,
        session_id: &str,
        recorded: Option<Arc<ClientToken>>,
    ) -> Option<Arc<ClientSlot>> {
        match self {
            Self::Frontend(frontend) => match frontend.devices.client_of(device_name, session_id).await {
                Some(client) => Some(client),
                None => recorded.map(|token| Arc::new(ClientSlot::of(token))),
            },
            Self::Backend(backend) => {
                let client = backend.open_sessions.client(session_id);
                Some(client.unwrap_or_else(|| Arc::new(ClientSlot::none())))
            }
        }
    }

    /// Registers a session from a login record as the one in use on the identifier's known device.
    pub(crate) fn use_session(&self, device_name: &str, session: &Arc<Session>) {
        if let Self::Frontend(frontend) = self {
            frontend.devices.use_session(device_name, session);
        }
    }

    /// The client of a stored session, if this process has opened the session.
    pub(crate) fn known_client(&self, session_id: &str) -> Option<Arc<ClientSlot>> {
        match self {
            Self::Frontend(_) => None,
            Self::Backend(backend) => backend.open_sessions.client(session_id),
        }
    }

    /// Whether the identifier has a known device.
    pub(crate) async fn knows_device(&self, device_name: &str) -> bool {
        match self {
            Self::Frontend(frontend) => frontend.devices.get(device_name).await.is_some(),
            Self::Backend(_) => false,
        }
    }

    /// Whether sessions are stored, and so outlive the proofs that point at them.
    pub(crate) fn keeps_sessions(&self) -> bool {
        matches!(self, Self::Backend(_))
    }

    /// Which credentials of a user share a holding.
    pub(crate) fn sharing(&self) -> Sharing {
        match self {
            Self::Frontend(_) => Sharing::OneSession,
            Self::Backend(_) => Sharing::AllSessions,
        }
    }

    /// How often a user needs a sign-in: for each proof (Frontend API), or for each Clerk session (Backend API).
    pub(crate) fn sign_in_life(&self, session_ttl: Duration) -> Duration {
        match self {
            Self::Frontend(_) => session_ttl,
            Self::Backend(_) => CLERK_SESSION,
        }
    }

    /// The life of the session tokens that are minted.
    pub(crate) fn token_life(&self) -> Duration {
        self.backend().and_then(|backend| backend.token_lifetime).unwrap_or(CLERK_TOKEN)
    }

    /// Number of sign-ins by ticket that wait for a permit. Proofs of passwords have a limiter of their own.
    pub(crate) fn waiting(&self) -> usize {
        self.backend().map_or(0, |backend| backend.sign_ins.waiting())
    }

    pub(crate) fn backend(&self) -> Option<&Backend> {
        match self {
            Self::Frontend(_) => None,
            Self::Backend(backend) => Some(backend),
        }
    }

    pub(crate) fn frontend(&self) -> Option<&Frontend> {
        match self {
            Self::Frontend(frontend) => Some(frontend),
            Self::Backend(_) => None,
        }
    }

    /// The limiter of calls to `sign_ins`, by password or by ticket.
    pub(crate) fn sign_ins(&self) -> &Arc<SignInLimiter> {
        match self {
            Self::Frontend(frontend) => &frontend.sign_in_limiter,
            Self::Backend(backend) => &backend.sign_ins,
        }
    }
}
