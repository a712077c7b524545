//! Mints tokens for live sessions, within the limits that all mints share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::access::Access;
use crate::clerk_api::{ApiError, ErrorClass, Minted};
use crate::clock::Clock;
use crate::jitter::Jitter;
use crate::limits::{Circuit, CircuitState, Pass};
use crate::provider::{MintError, MintRequest, NewToken, Provider, TokenLife, Verifier};
use crate::scope::{OrganizationName, Scope, TemplateName};
use crate::session::ClerkSession;
use crate::sessions::{Generation, HeldToken, Holding, Revocations, Session, Target, User};

/// Concurrent mints of one engine (rule P2).
const MAX_MINTS: usize = 32;

/// A renewal is due up to this fraction of its delay early, so that tokens minted together are not renewed together.
const RENEWAL_JITTER: f64 = 0.1;

const UNUSABLE_TEMPLATE: &str =
    "the name of the JWT template is not valid: it must match [A-Za-z0-9_-]{1,128}";

/// Mints and verifies tokens.
pub(crate) struct Minter {
    pub(crate) provider: Arc<Provider>,
    pub(crate) verifier: Verifier,
    pub(crate) clock: Clock,
    /// For all calls of one mint together.
    pub(crate) timeout: Duration,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) limits: MintLimits,
}

/// The limits that all mints of an engine share.
pub(crate) struct MintLimits {
    circuit: Arc<Circuit>,
    permits: Semaphore,
}

impl Default for MintLimits {
    fn default() -> Self {
        Self { circuit: Arc::default(), permits: Semaphore::new(MAX_MINTS) }
    }
}

impl Minter {
    pub(crate) fn circuit(&self) -> CircuitState {
        self.limits.circuit.state()
    }

    /// Mints a token of the scope in `access`, and stores it in the holding.
    ///
    /// If the session, its user or the organization is revoked in the meantime, the token is neither stored nor
    /// returned.
    pub(crate) async fn mint(
        &self,
        holding: &Arc<Holding>,
        access: &Access,
    ) -> Result<Arc<HeldToken>, MintError> {
        let organization = access.scope.organization.as_ref();
        if matches!(organization, Some(OrganizationName::Malformed | OrganizationName::Unlisted)) {
            return Err(MintError::Forbidden);
        }
        let template = usable_template(access)?;
        let deadline = self.clock.now() + self.timeout;
        let session = holding.session();
        // The limits of the holding come first: a mint that waits for its own session must not hold a shared permit.
        let own = tokio::time::timeout_at(deadline, async {
            let permit = holding.mints.acquire().await;
            (permit, self.provider.lock_to_touch(&session, organization, template).await)
        });
        let Ok((Ok(_own_permit), active)) = own.await else { return Err(MintError::lost("session_busy")) };
        self.limit_unknown(&holding.user, organization)?;
        let shared = tokio::time::timeout_at(deadline, self.limits.permits.acquire()).await;
        let Ok(Ok(_shared_permit)) = shared else { return Err(MintError::lost("mints_full")) };
        let pass = self.enter_circuit(holding)?;
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
        self.report(pass, minted.as_ref().err());
        let (token, minted_for) = minted?;
        let held = Arc::new(self.held(&minted_for, token, access, since));
        self.store(holding, &minted_for, access, held, since)
    }

    /// Limits the requests for organizations that the user is not known to be a member of, since each costs a call.
    fn limit_unknown(&self, user: &User, organization: Option<&OrganizationName>) -> Result<(), MintError> {
        let now = self.clock.now();
        let is_unknown = organization.is_some_and(|organization| user.member_of(organization).is_none());
        if is_unknown && !user.may_ask_for_unknown(now) {
            return Err(ApiError::coded(ErrorClass::RateLimited, "too_many_unknown_organizations").into());
        }
        Ok(())
    }

    fn enter_circuit(&self, holding: &Holding) -> Result<Pass, ApiError> {
        self.limits
            .circuit
            .enter(address(holding), self.clock.now())
            .map_err(|wait| ApiError { retry_after: Some(wait), ..ApiError::unavailable("circuit_open") })
    }

    /// Reports the outcome of a mint to the circuit.
    fn report(&self, pass: Pass, error: Option<&MintError>) {
        match error {
            Some(MintError::Api(error)) if error.is_outage() => pass.failed(self.clock.now()),
            Some(MintError::Api(error)) if error.class == ErrorClass::Unavailable => {
                pass.inconclusive(self.clock.now());
            }
            // The mint failed before it called Clerk.
            Some(MintError::NoSession) => drop(pass),
            Some(MintError::Api(error)) if error.class == ErrorClass::NoPermit => drop(pass),
            _ => pass.answered(),
        }
    }

    /// Stores a token, unless its user, session or organization was revoked since the mint started, or its session was
    /// displaced.
    fn store(
        &self,
        holding: &Holding,
        minted_for: &Session,
        access: &Access,
        token: Arc<HeldToken>,
        since: Generation,
    ) -> Result<Arc<HeldToken>, MintError> {
        let concerns = |target: &Target| match target {
            Target::Organization(id) => {
                token.session.organization().is_some_and(|organization| organization.id() == &**id)
            }
            target => holding.concerns(target),
        };
        let stored = self.revocations.store_unless_revoked(since, concerns, || {
            let has_session = holding.has_session(&minted_for.id);
            if has_session {
                holding.tokens.put(access, &token, self.clock.now());
            }
            has_session
        });
        if stored == Some(true) { Ok(token) } else { Err(MintError::Superseded) }
    }

    /// Verifies the token that came with a sign-in. Returns it with its access: no organization, or the requested one.
    /// `None` if it is for a third organization.
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
        // After three quarters of the lifetime, and no later than nine tenths of the time in which the token may be
        // handed out (rule K3).
        let usable = life.saturating_sub(access.least_life.of(life));
        let renew = life.mul_f64(0.75).min(usable.mul_f64(0.9));
        let renew_at = left + self.jitter.earlier(renew, RENEWAL_JITTER);
        let api = Some(self.provider.api());
        let session = ClerkSession::new(&session.id, api, token, left + life, organization);
        HeldToken::new(session, life, renew_at, since)
    }
}

/// The template of `access`, if it has one.
fn usable_template(access: &Access) -> Result<Option<&str>, MintError> {
    match &access.scope.template {
        Some(TemplateName::Malformed) => Err(MintError::Misconfigured(UNUSABLE_TEMPLATE)),
        Some(TemplateName::Usable(name)) => Ok(Some(&**name)),
        None => Ok(None),
    }
}

/// Identifies a holding to the circuit, which opens only on errors from several of them (rule P4).
fn address(holding: &Holding) -> u64 {
    std::ptr::from_ref(holding).addr() as u64
}
