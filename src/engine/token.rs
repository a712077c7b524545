//! A token of a holding: a good one, or a mint that the request starts or joins (rules K2, K8).

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Inner;
use crate::access::Access;
use crate::engine::Clerk;
use crate::flight::{Join, Priority};
use crate::provider::MintError;
use crate::session::ClerkSession;
use crate::sessions::{
    Concerned, Freshness, Generation, HeldToken, Holding, HoldingKey, Target, TokenRefusal,
};

const TOO_SHORT_LIVED: &str = "the lifetime of the tokens that Clerk issues is shorter than min_token_lifetime: lower \
                               min_token_lifetime, or raise the token lifetime in Clerk's dashboard";

impl Inner {
    /// A good token of this holding, held or newly minted.
    pub(super) async fn token(
        self: &Arc<Self>,
        holding: &Arc<Holding>,
        access: &Access,
    ) -> Result<ClerkSession, MintError> {
        let now = self.clock.now();
        if let Some((session, due)) = holding.tokens.good(access, now) {
            if due {
                Clerk(Arc::clone(self)).renew_token(holding, access, now);
            }
            return Ok(session);
        }
        let kind = &access.scope;
        if let Some(refused) = holding.refused(kind, now) {
            return Err(refused.into());
        }
        // A new token would have the same lifetime. The held one is recent enough to conclude that without another
        // mint.
        if let Some(held) = holding.tokens.held(access)
            && held.freshness(access, now) == Freshness::NeverGood
            && now.saturating_duration_since(held.minted_at()) < self.settings.negative_ttl
        {
            return Err(self.too_short_lived());
        }
        let good = || holding.tokens.good_as_is(access, self.clock.now()).map(Ok);
        let join = self.join_mint(holding, access, now, good);
        let held = match join {
            Join::Ready(held) => held?,
            Join::Waiter(waiter, _) => {
                waiter.outcome().await.unwrap_or_else(|_| Err(MintError::lost("mint_lost")))?
            }
            Join::Full => return Err(MintError::lost("mints_full")),
        };
        match held.freshness(access, self.clock.now()) {
            Freshness::Good => Ok(held.session.clone()),
            Freshness::NeverGood => Err(self.too_short_lived()),
            // The answer took most of the token's lifetime.
            Freshness::Stale => Err(MintError::lost("token_stale_on_arrival")),
        }
    }

    fn too_short_lived(&self) -> MintError {
        if self.sign_ins.warnings.is_due("min_token_lifetime", self.clock.now()) {
            tracing::error!("{TOO_SHORT_LIVED}");
        }
        MintError::Misconfigured(TOO_SHORT_LIVED)
    }

    /// Joins the mint flight of this holding and scope, or starts one.
    pub(super) fn join_mint(
        self: &Arc<Self>,
        holding: &Arc<Holding>,
        access: &Access,
        last_use: Instant,
        already: impl FnOnce() -> Option<Result<Arc<HeldToken>, MintError>>,
    ) -> Join<Result<Arc<HeldToken>, MintError>> {
        let key = (HoldingKey(Arc::clone(holding)), access.scope.clone());
        self.mint_flights.join(key, Priority::Request, already, |_| {
            let (engine, holding, access) = (Arc::clone(self), Arc::clone(holding), access.clone());
            let api = self.sign_ins.provider.api().name();
            let span = tracing::debug_span!("mint", session_id = &*holding.session().id, api);
            let mint = async move {
                let since = engine.sign_ins.revocations.now();
                let minted = engine.sign_ins.minter.mint(&holding, &access).await;
                match &minted {
                    Ok(token) => engine.keep_warm(&holding, &access, token, last_use),
                    Err(error) => engine.remember_refusal(&holding, &access, error, since),
                }
                minted
            };
            mint.instrument(span)
        })
    }

    /// Remembers a refusal that another mint would only repeat, and logs it if the operator can act on it.
    fn remember_refusal(&self, holding: &Holding, access: &Access, error: &MintError, since: Generation) {
        let Some(refusal) = error.lasting() else { return };
        match (refusal, error) {
            (TokenRefusal::Misconfigured(advice), _) => tracing::error!("{advice}"),
            (TokenRefusal::Unknown, MintError::Api(error)) => self.sign_ins.warn_of_unknown(error),
            _ => {}
        }
        self.refuse(holding, access, refusal, since);
    }

    /// Remembers a refusal by a flight that started at `since`, unless the user's refusals were lifted meanwhile.
    pub(super) fn refuse(
        &self,
        holding: &Holding,
        access: &Access,
        refusal: TokenRefusal,
        since: Generation,
    ) {
        let user = &*holding.user.id;
        let refusals = Concerned::user(user).and(Target::Refusals(user.into()));
        self.sign_ins.revocations.store_unless_revoked(since, &refusals, || {
            holding.refuse(access.scope.clone(), refusal, self.clock.now(), self.settings.negative_ttl);
        });
    }
}
