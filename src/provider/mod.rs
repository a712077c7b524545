//! The two roads from a password to a Clerk session: which calls they are is all that the roads differ in. When Clerk
//! may be asked, what its answers mean for a credential, and what becomes of a session is the same for both.
//!
//! - *Frontend*: `sign_ins` with the password, as a browser would. Takes no secret. Each proof of a password is a
//!   sign-in, and Clerk allows an address five of them in ten seconds.
//! - *Backend*: the secret key finds the user and verifies the password; a ticket opens the session, once in days.

mod backend;
mod devices;
mod forget;
mod frontend;
mod identifier_index;
mod mint;
mod open_sessions;
mod opening;
mod passwords;
mod removals;
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
use crate::clerk_api::fapi::SignedIn;
use crate::clerk_api::{ApiError, TimeLeft};
use crate::client_token::ClientSlot;
use crate::credentials::Credentials;
use crate::key::IdentifierKey;
use crate::limits::{Attempts, PermitRequest, SignInLimiter, SignInPermit};
use crate::scope::OrganizationName;
use crate::session::ClerkApi;
use crate::sessions::{EndRequest, Generation, Session, Sharing, User};
use crate::store::StoredSession;

/// How long a Clerk session lives, by default: <https://clerk.com/docs/guides/secure/session-options>.
const CLERK_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a session token lives, by default: <https://clerk.com/docs/guides/sessions/session-tokens>.
const CLERK_TOKEN: Duration = Duration::from_secs(60);

/// The road that an engine takes.
pub(crate) enum Provider {
    Frontend(Frontend),
    Backend(Box<Backend>),
}

/// The code of a refusal that Clerk wasn't asked for: the user's failures forbid it for a while.
pub(crate) const PAUSED: &str = "user_paused";

/// Whose password is to be proven.
pub(crate) struct PasswordCheck<'a> {
    pub(crate) credentials: &'a Credentials,
    /// What the identifier's device is known by, and what it is counted under.
    pub(crate) device_name: &'a str,
    pub(crate) identifier: IdentifierKey,
    /// A guess, as far as anybody knows: what its user's other identifiers have failed counts against it (rule P3).
    pub(crate) untrusted: bool,
    pub(crate) attempts: &'a Attempts,
    /// The session at hand is to serve on: it only has to be proven anew.
    pub(crate) renewal: bool,
    /// It follows from an answer already, so that no other sign-in may follow from it (rule S5).
    pub(crate) follows: bool,
    /// To be set when one does.
    pub(crate) followed: &'a AtomicBool,
    /// For a further sign-in that follows from an answer (rule S5).
    pub(crate) sign_in_limiter: &'a Arc<SignInLimiter>,
    pub(crate) permit_request: PermitRequest,
}

/// A password that is right.
pub(crate) struct ProvenPassword {
    pub(crate) user_id: Box<str>,
    /// When it was shown, at the latest: what the life of the proof counts from.
    pub(crate) at: Instant,
    /// What else the user can sign in with, verified.
    pub(crate) identifiers: Vec<String>,
    /// The session that came with the proof.
    pub(crate) session: Option<OpenedSession>,
}

/// A session to go on with.
pub(crate) enum OpenedSession {
    /// A sign-in has made it.
    New(SignedIn),
    /// A sign-in of before has made it, which has been kept.
    Stored(StoredSession),
}

impl Provider {
    pub(crate) fn api(&self) -> ClerkApi {
        match self {
            Self::Frontend(_) => ClerkApi::Frontend,
            Self::Backend(_) => ClerkApi::Backend,
        }
    }

    /// Asks Clerk whether the password is right.
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

    /// Opens a session for a user whose password has been proven.
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
            (Self::Backend(backend), None) => backend.open(user, organization, since, time).await,
            // Not reached: on this road the proof is a session.
            (Self::Frontend(_), None) => Err(ApiError::unavailable("no_session")),
        }
    }

    /// Remembers what the next sign-in of this credential can make use of.
    pub(crate) fn remember(&self, device_name: &str, session: &Arc<Session>) {
        if let Self::Frontend(frontend) = self {
            frontend.devices.put(device_name, session);
        }
    }

    /// Takes back what was remembered of a credential.
    pub(crate) fn forget_device(&self, device_name: &str) {
        if let Self::Frontend(frontend) = self {
            frontend.devices.forget(device_name);
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

    /// Opens a session of a user for another organization, or for none.
    pub(crate) async fn open_for(
        &self,
        user: &User,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<OpenedSession, ApiError> {
        match self {
            // One session mints for all organizations.
            Self::Frontend(_) => Err(ApiError::unavailable("no_session_for_organization")),
            Self::Backend(backend) => backend.open_for(user, organization, since, time).await,
        }
    }

    /// The client of a session that was kept, if this process has opened it.
    pub(crate) fn known_client(&self, session_id: &str) -> Option<Arc<ClientSlot>> {
        match self {
            Self::Frontend(_) => None,
            Self::Backend(backend) => backend.open_sessions.client(session_id),
        }
    }

    /// Whether a device of this name is known, which a refusal may have been waiting for.
    pub(crate) fn knows_device(&self, device_name: &str) -> bool {
        matches!(self, Self::Frontend(frontend) if frontend.devices.get(device_name).is_some())
    }

    /// Whether sessions outlive the proofs that point at them.
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

    /// How long a sign-in is good for: a proof of the password, or all of a Clerk session.
    pub(crate) fn sign_in_life(&self, session_ttl: Duration) -> Duration {
        match self {
            Self::Frontend(_) => session_ttl,
            Self::Backend(_) => CLERK_SESSION,
        }
    }

    /// How long a token lives.
    pub(crate) fn token_life(&self) -> Duration {
        self.backend().and_then(|frontend| frontend.token_lifetime).unwrap_or(CLERK_TOKEN)
    }

    /// How many sign-ins wait for a turn beside the proofs of passwords.
    pub(crate) fn waiting(&self) -> usize {
        self.backend().map_or(0, |frontend| frontend.sign_ins.waiting())
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

    /// The budget of sign-ins.
    pub(crate) fn sign_ins(&self) -> &Arc<SignInLimiter> {
        match self {
            Self::Frontend(frontend) => &frontend.sign_in_limiter,
            Self::Backend(backend) => &backend.sign_ins,
        }
    }
}
