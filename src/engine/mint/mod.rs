//! Tokens for a live session: one mint at a time of each kind, and what all mints share.

mod backend;
mod calls;
mod fault;
mod verified;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::Semaphore;

pub(crate) use self::fault::MintFault;
use crate::access::Access;
use crate::clerk_api::fapi::Fapi;
use crate::clerk_api::{Fault, Meaning};
use crate::clock::{ClerkTime, Clock};
use crate::jitter::Jitter;
use crate::jwt::Jwks;
use crate::limits::{CallKind, Circuit, CircuitState, SharedBackoff};
use crate::provider::Roads;
use crate::scope::{OrganizationName, TemplateName};
use crate::sessions::{HeldToken, Holding, Revocations, Session, SessionState, Target};

/// Mints at a time, over all sessions (rule P2).
const MAX_MINTS: usize = 32;

/// Brings tokens, verified.
pub(crate) struct Minter {
    pub(crate) fapi: Arc<Fapi>,
    pub(crate) road: Arc<Roads>,
    pub(crate) jwks: Arc<Jwks>,
    pub(crate) clock: Clock,
    pub(crate) time: Arc<ClerkTime>,
    pub(crate) issuer: Box<str>,
    /// For all the calls of one mint.
    pub(crate) timeout: Duration,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) limits: MintLimits,
    pub(crate) warned_of_clock: AtomicBool,
}

/// What limits mints.
pub(crate) struct MintLimits {
    circuit: Arc<Circuit>,
    places: Semaphore,
    /// Of mints by the Frontend API.
    backoff: SharedBackoff,
}

impl Default for MintLimits {
    fn default() -> Self {
        Self {
            circuit: Arc::default(),
            places: Semaphore::new(MAX_MINTS),
            backoff: SharedBackoff::new(CallKind::Mint),
        }
    }
}

impl Minter {
    pub(crate) fn circuit(&self) -> CircuitState {
        self.limits.circuit.state()
    }

    /// Brings a new token of the kind that `access` asks for, and stores it with its holding.
    ///
    /// Unless the session, its user or the organization was revoked meanwhile: then it is neither stored nor
    /// returned.
    pub(crate) async fn mint(
        &self,
        holding: &Arc<Holding>,
        access: &Access,
    ) -> Result<Arc<HeldToken>, MintFault> {
        let organization = access.scope.organization.as_ref();
        if organization == Some(&OrganizationName::Malformed) {
            return Err(MintFault::Forbidden);
        }
        let template = match &access.scope.template {
            Some(TemplateName::Malformed) => return Err(MintFault::Misconfigured(calls::UNUSABLE_TEMPLATE)),
            Some(TemplateName::Usable(name)) => Some(&**name),
            None => None,
        };
        // First what only this holding can be short of, then what all share: no holding may keep others waiting.
        let deadline = self.clock.now() + self.timeout;
        let session = holding.session();
        // With the secret key no session is touched, and each call has a budget and a deadline of its own.
        let backend = self.road.backend();
        let own = tokio::time::timeout_at(deadline, async {
            let place = holding.mints.acquire().await;
            let touches =
                backend.is_none() && (template.is_some() || self.needs_touch(&session, organization));
            let active = if touches { Some(session.active_organization.lock().await) } else { None };
            (place, active)
        });
        let Ok((Ok(_own), mut active)) = own.await else { return Err(MintFault::lost("session_busy")) };
        let now = self.clock.now();
        let is_unknown = organization.is_some_and(|organization| session.member_of(organization).is_none());
        if is_unknown && !holding.user.may_ask_for_unknown(now) {
            let fault = Fault::coded(Meaning::RateLimited, "too_many_unknown_organizations");
            return Err(fault.into());
        }
        let place = tokio::time::timeout_at(deadline, self.limits.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(MintFault::lost("mints_full")) };
        let now = self.clock.now();
        let left = self.limits.backoff.left(now).filter(|_| backend.is_none());
        if left.is_some() {
            return Err(Fault { retry_after: left, ..Fault::coded(Meaning::RateLimited, "paused") }.into());
        }
        let pass = self
            .limits
            .circuit
            .enter(address(holding), now)
            .map_err(|wait| Fault { retry_after: Some(wait), ..Fault::unavailable("circuit_open") })?;
        let since = self.revocations.now();
        let calls = async {
            if let Some(backend) = backend {
                return self.mint_on_backend(backend, holding, access, template).await;
            }
            let active = active.as_deref_mut();
            let minted = match template {
                Some(template) => self.mint_template(&session, organization, template, active).await,
                None => {
                    let last = holding.last_token(access);
                    self.mint_session_token(&session, organization, active, last.as_deref()).await
                }
            };
            minted.inspect_err(|fault| gone(&session, fault)).map(|token| (token, Arc::clone(&session)))
        };
        let deadline = if backend.is_some() { deadline + 2 * self.timeout } else { deadline };
        let minted = tokio::time::timeout_at(deadline, calls).await;
        let minted = minted.unwrap_or_else(|_| Err(MintFault::lost("timeout")));
        match &minted {
            Err(MintFault::Fault(fault)) if fault.meaning == Meaning::RateLimited && backend.is_none() => {
                self.limits.backoff.begin(fault.retry_after, self.clock.now());
                pass.answered();
            }
            Err(MintFault::Fault(fault)) if fault.is_outage() => {
                pass.failed(self.clock.now());
            }
            Err(MintFault::Fault(fault)) if fault.meaning == Meaning::Unavailable => {
                pass.inconclusive(self.clock.now());
            }
            // No call was made.
            Err(MintFault::NoSession) => drop(pass),
            Err(MintFault::Fault(fault)) if fault.meaning == Meaning::NoTurn => drop(pass),
            _ => pass.answered(),
        }
        let ((token, life, member), minted_for) = minted?;
        let held = Arc::new(self.held(&minted_for, token, life, member, access, since));
        let concerns = |target: &Target| match target {
            Target::Organization(id) => {
                held.session.organization().is_some_and(|organization| organization.id() == &**id)
            }
            target => holding.concerns(target),
        };
        let stored = self.revocations.store_unless_revoked(since, concerns, || {
            // Another session may have taken the place of this one meanwhile.
            let is_had = holding.has_session(&minted_for.id);
            if is_had {
                holding.tokens.put(access, &held, self.clock.now());
            }
            is_had
        });
        if stored == Some(true) { Ok(held) } else { Err(MintFault::Superseded) }
    }
}

/// Tells holdings apart for the circuit: faults must come from several of them.
fn address(holding: &Holding) -> u64 {
    std::ptr::from_ref(holding).addr() as u64
}

/// Clerk has said of this very session that it is over.
fn gone(session: &Session, fault: &MintFault) {
    if matches!(fault, MintFault::Gone) {
        session.advance(SessionState::Gone);
    }
}
