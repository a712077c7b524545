//! Tokens for a live session: one mint at a time of each kind, and what all mints share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::access::Access;
use crate::clerk_api::{ApiError, ErrorClass, Minted};
use crate::clock::Clock;
use crate::jitter::Jitter;
use crate::limits::{Circuit, CircuitState};
use crate::provider::{MintError, MintRequest, NewToken, Provider, TokenLife, Verifier};
use crate::scope::{OrganizationName, Scope, TemplateName};
use crate::session::ClerkSession;
use crate::sessions::{Generation, HeldToken, Holding, Revocations, Session, Target};

/// Mints at a time, over all sessions (rule P2).
const MAX_MINTS: usize = 32;

/// Renewals begin up to this part of the time until then early.
const RENEWAL_JITTER: f64 = 0.1;

const UNUSABLE_TEMPLATE: &str = "the name of the JWT template is none: [A-Za-z0-9_-]{1,128}";

/// Brings tokens, verified.
pub(crate) struct Minter {
    pub(crate) provider: Arc<Provider>,
    pub(crate) verifier: Verifier,
    pub(crate) clock: Clock,
    /// For all the calls of one mint.
    pub(crate) timeout: Duration,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) limits: MintLimits,
}

/// What limits mints.
pub(crate) struct MintLimits {
    circuit: Arc<Circuit>,
    places: Semaphore,
}

impl Default for MintLimits {
    fn default() -> Self {
        Self { circuit: Arc::default(), places: Semaphore::new(MAX_MINTS) }
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
    ) -> Result<Arc<HeldToken>, MintError> {
        let organization = access.scope.organization.as_ref();
        if organization == Some(&OrganizationName::Malformed) {
            return Err(MintError::Forbidden);
        }
        let template = match &access.scope.template {
            Some(TemplateName::Malformed) => return Err(MintError::Misconfigured(UNUSABLE_TEMPLATE)),
            Some(TemplateName::Usable(name)) => Some(&**name),
            None => None,
        };
        // First what only this holding can be short of, then what all share: no holding may keep others waiting.
        let deadline = self.clock.now() + self.timeout;
        let session = holding.session();
        let own = tokio::time::timeout_at(deadline, async {
            let place = holding.mints.acquire().await;
            (place, self.provider.lock_to_touch(&session, organization, template).await)
        });
        let Ok((Ok(_own), active)) = own.await else { return Err(MintError::lost("session_busy")) };
        let now = self.clock.now();
        let user = &holding.user;
        let is_unknown = organization.is_some_and(|organization| user.member_of(organization).is_none());
        if is_unknown && !user.may_ask_for_unknown(now) {
            return Err(ApiError::coded(ErrorClass::RateLimited, "too_many_unknown_organizations").into());
        }
        let place = tokio::time::timeout_at(deadline, self.limits.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(MintError::lost("mints_full")) };
        let pass = self
            .limits
            .circuit
            .enter(address(holding), self.clock.now())
            .map_err(|wait| ApiError { retry_after: Some(wait), ..ApiError::unavailable("circuit_open") })?;
        let since = self.revocations.now();
        let request = MintRequest {
            holding,
            session: &session,
            access,
            template,
            active,
            timeout: self.timeout,
            deadline,
        };
        let minted = self.provider.mint(request, &self.verifier).await;
        match &minted {
            Err(MintError::Api(error)) if error.is_outage() => pass.failed(self.clock.now()),
            Err(MintError::Api(error)) if error.class == ErrorClass::Unavailable => {
                pass.inconclusive(self.clock.now());
            }
            // No call was made.
            Err(MintError::NoSession) => drop(pass),
            Err(MintError::Api(error)) if error.class == ErrorClass::NoPermit => drop(pass),
            _ => pass.answered(),
        }
        let (token, minted_for) = minted?;
        let held = Arc::new(self.held(&minted_for, token, access, since));
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
        if stored == Some(true) { Ok(held) } else { Err(MintError::Superseded) }
    }

    /// Verifies the token that a sign-in brought along, and says what it is good for: no organization, or the one that
    /// was asked for.
    pub(crate) async fn brought_along(
        &self,
        session: &Session,
        asked: Option<&OrganizationName>,
        minted: Minted,
        since: Generation,
    ) -> Result<Option<(Access, Arc<HeldToken>)>, MintError> {
        let (token, life) = self.verifier.session_token(minted, session).await?;
        let organization = match (token.claims().organization(), asked) {
            (None, _) => None,
            (Some(named), Some(asked))
                if [Some(named.id()), named.slug()].contains(&Some(asked.as_str())) =>
            {
                Some(asked.clone())
            }
            (Some(_), _) => return Ok(None),
        };
        let access = Access { scope: Scope { organization, template: None }, ..Access::default() };
        let token = NewToken { token, life, organization: None };
        let held = self.held(session, token, &access, since);
        Ok(Some((access, Arc::new(held))))
    }

    fn held(&self, session: &Session, token: NewToken, access: &Access, since: Generation) -> HeldToken {
        let NewToken { token, life: TokenLife { left, life }, organization } = token;
        // Three quarters of its life, and before it would be too old to hand on.
        let usable = life.saturating_sub(HeldToken::least_life(life, access));
        let renew = life.mul_f64(0.75).min(usable.mul_f64(0.9));
        let renew_at = left + self.jitter.earlier(renew, RENEWAL_JITTER);
        let session = ClerkSession::new(&session.id, self.provider.api(), token, organization);
        HeldToken::new(session, left + life, life, renew_at, since)
    }
}

/// Tells holdings apart for the circuit: errors must come from several of them.
fn address(holding: &Holding) -> u64 {
    std::ptr::from_ref(holding).addr() as u64
}
