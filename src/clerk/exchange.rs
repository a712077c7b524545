//! The way of a miss: a sign-in where there is no live session, then a token where there is no good one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Clerk, Inner};
use crate::access::{Access, OrganizationRef};
use crate::credentials::Credentials;
use crate::exchange::{Attempt, MintFault, SignInFault, SignInOutcome, of_mint, unavailable};
use crate::flight::Join;
use crate::key::CredentialKey;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::ClerkSession;
use crate::stats::Outcome;
use crate::store::{Freshness, HeldToken, LiveSession, Refused, TokenKey};
use crate::sync::{Either, either};

const TOO_SHORT_LIVED: &str = "the tokens that Clerk issues live shorter than the least life asked of them: lower \
                               min_token_life, or raise the token lifetime in Clerk's dashboard";

impl Clerk {
    /// Asks Clerk for what isn't held, and counts how it ended.
    pub(crate) async fn exchange(
        &self,
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        let attempt = Attempt::new(key, credentials, source, access.organization.clone());
        // A session that is live already needs a token at most.
        let mut how = Outcome::Minted;
        let result = self.exchange_for(&attempt, access, &mut how).await;
        counted.outcome = match &result {
            Ok(_) => how,
            Err(_) if how == Outcome::Denied => Outcome::Denied,
            Err(rejection) => Outcome::of(rejection.kind()),
        };
        result
    }

    async fn exchange_for(
        &self,
        attempt: &Attempt,
        access: &Access,
        how: &mut Outcome,
    ) -> Result<ClerkSession, Rejection> {
        let inner = &self.0;
        if inner.sign_ins.closed.load(Ordering::Acquire) {
            return Err(unavailable("shut_down"));
        }
        if access.organization.as_deref().is_some_and(|name| OrganizationRef::parse(name).is_none()) {
            return Err(Rejection::new(RejectionKind::OrganizationForbidden));
        }
        // A further sign-in may follow from an answer once: a session that turned out to be over, or a revocation
        // that came in between (rules S5, K4).
        let mut again = false;
        // What is left of the one deadline for the further sign-in (rule S6).
        let mut left = None;
        loop {
            let now = inner.clock.now();
            let (live, deadline) = match inner.sign_ins.sessions.get(&attempt.key, now) {
                Some(live) => (live, now + left.unwrap_or(inner.settings.upstream_timeout)),
                None => {
                    let SignInOutcome { result, deadline } = self.sign_in(attempt, how, left).await?;
                    // One may follow, whatever from (rule S5).
                    again |= attempt.followed.load(Ordering::Relaxed);
                    let spent = left
                        .map_or(Duration::ZERO, |left| inner.settings.upstream_timeout.saturating_sub(left));
                    match result {
                        Ok(live) => (live, deadline - spent),
                        Err(SignInFault::Rejected(rejection)) => return Err(rejection),
                        Err(SignInFault::Superseded) if !again => {
                            again = true;
                            left = Some(deadline.saturating_duration_since(inner.clock.now()));
                            continue;
                        }
                        Err(SignInFault::Superseded) => return Err(unavailable("revoked_meanwhile")),
                    }
                }
            };
            let fault = match tokio::time::timeout_at(deadline, inner.token(&live, access)).await {
                Ok(Ok(session)) if !live.is_over() => {
                    // Who comes more seldom than tokens run out never has a hit, and renews the proof all the same.
                    if live.proof_renewal.is_open(now) && live.proof_renewal.pass(now) {
                        self.renew_proof(Arc::clone(&live), attempt.credentials.clone());
                    }
                    if *how == Outcome::SignedIn
                        && let Some(token) = live.tokens.held(access)
                    {
                        inner.keep_warm(&live, access, &token, now);
                    }
                    return Ok(session);
                }
                Ok(Ok(_)) => MintFault::Superseded,
                Ok(Err(fault)) => fault,
                Err(_) => MintFault::lost("timeout"),
            };
            match &fault {
                // The user is signed in, but not for this organization: another session is opened for it.
                MintFault::NoCarrier if !again => {
                    again = true;
                    left = Some(self.open_for(&live, access, deadline).await?);
                    continue;
                }
                // The password is at hand, so it may open another session.
                MintFault::Gone | MintFault::Superseded if !again => {
                    again = true;
                    left = Some(deadline.saturating_duration_since(inner.clock.now()));
                    inner.drop_if_gone(&live, &fault);
                    continue;
                }
                _ => inner.drop_if_gone(&live, &fault),
            }
            return Err(of_mint(&fault));
        }
    }

    /// Signs in, or joins who does. `left` is what the request has left for it once it departs.
    async fn sign_in(
        &self,
        attempt: &Attempt,
        how: &mut Outcome,
        left: Option<Duration>,
    ) -> Result<SignInOutcome, Rejection> {
        let inner = &self.0;
        if let Some(rejection) = inner.sign_ins.refused_already(attempt, inner.clock.now()) {
            *how = Outcome::Denied;
            return Err(rejection);
        }
        let already = || {
            let now = inner.clock.now();
            let live = inner.sign_ins.sessions.get(&attempt.key, now)?;
            Some(SignInOutcome { result: Ok(live), deadline: now + inner.settings.upstream_timeout })
        };
        let join = inner.sign_in_flights.join(attempt.key, already, |passengers| {
            let attempt = Attempt { follows: left.is_some(), ..attempt.again() };
            let sign_ins = Arc::clone(&inner.sign_ins);
            let span = tracing::debug_span!("sign_in", road = sign_ins.road.name().name());
            async move { sign_ins.fly(attempt, passengers.gone()).await }.instrument(span)
        });
        match join {
            Join::Ready(outcome) => Ok(outcome),
            Join::Seat(seat, led) => {
                *how = if led { Outcome::SignedIn } else { Outcome::Joined };
                let time_is_up = async {
                    match left {
                        Some(left) => {
                            attempt.departed.notified().await;
                            tokio::time::sleep(left).await;
                        }
                        // No flight of a request takes longer. One that renews a proof may wait for longer.
                        None => {
                            // On the Backend API's road there are two turns to wait for.
                            let patience =
                                2 * (inner.settings.sign_in_wait + inner.settings.upstream_timeout);
                            tokio::time::sleep(patience).await;
                        }
                    }
                };
                match either(seat.outcome(), time_is_up).await {
                    Either::First(outcome) => outcome.map_err(|_| unavailable("sign_in_lost")),
                    Either::Second(()) => Err(unavailable("timeout")),
                }
            }
            Join::Full => Err(Rejection::new(RejectionKind::UpstreamRateLimited)
                .retry_after_at_least(inner.settings.upstream_timeout)),
        }
    }
}

impl Inner {
    /// A token of this live session, minted where none is good.
    async fn token(
        self: &Arc<Self>,
        live: &Arc<LiveSession>,
        access: &Access,
    ) -> Result<ClerkSession, MintFault> {
        let now = self.clock.now();
        if let Some((session, due)) = live.tokens.good(access, now, &self.sign_ins.revocations) {
            if due {
                Clerk(Arc::clone(self)).renew_token(live, access, now);
            }
            return Ok(session);
        }
        let kind = TokenKey::of(access);
        if let Some(refused) = live.refused(&kind, now) {
            return Err(refused.into());
        }
        // A token just minted would live no longer: what is held tells as much without another mint.
        if let Some(held) = live.tokens.held(access)
            && held.freshness(access, now) == Freshness::NeverGood
            && now.saturating_duration_since(held.minted_at()) < self.settings.negative_ttl
        {
            return Err(self.too_short_lived());
        }
        let good = || live.tokens.good_as_is(access, self.clock.now(), &self.sign_ins.revocations).map(Ok);
        let join = self.join_mint(live, access, now, good);
        let held = match join {
            Join::Ready(held) => held?,
            Join::Seat(seat, _) => {
                seat.outcome().await.unwrap_or_else(|_| Err(MintFault::lost("mint_lost")))?
            }
            Join::Full => return Err(MintFault::lost("mints_full")),
        };
        match held.freshness(access, self.clock.now()) {
            Freshness::Good => Ok(held.session.clone()),
            Freshness::NeverGood => Err(self.too_short_lived()),
            // The answer took most of its life.
            Freshness::Stale => Err(MintFault::lost("token_stale_on_arrival")),
        }
    }

    fn too_short_lived(&self) -> MintFault {
        if self.sign_ins.notices.is_due("min_token_life", self.clock.now()) {
            tracing::error!("{TOO_SHORT_LIVED}");
        }
        MintFault::Misconfigured(TOO_SHORT_LIVED)
    }

    /// Joins the mint of this kind of token, or starts one.
    pub(super) fn join_mint(
        self: &Arc<Self>,
        live: &Arc<LiveSession>,
        access: &Access,
        last_use: Instant,
        already: impl FnOnce() -> Option<Result<Arc<HeldToken>, MintFault>>,
    ) -> Join<Result<Arc<HeldToken>, MintFault>> {
        let key = (live.session_id.clone(), TokenKey::of(access));
        self.mint_flights.join(key, already, |_| {
            let (engine, live, access) = (Arc::clone(self), Arc::clone(live), access.clone());
            let road = self.sign_ins.road.name().name();
            let span = tracing::debug_span!("mint", session_id = &*live.session_id, road);
            let mint = async move {
                let minted = engine.sign_ins.minter.mint(&live, &access).await;
                if let Some(why) = minted.as_ref().err().and_then(MintFault::lasting) {
                    if let Refused::Misconfigured(what) = why {
                        tracing::error!("{what}");
                    }
                    let now = engine.clock.now();
                    live.refuse(TokenKey::of(&access), why, now, engine.settings.negative_ttl);
                }
                if let Ok(token) = &minted {
                    engine.keep_warm(&live, &access, token, last_use);
                }
                minted
            };
            mint.instrument(span)
        })
    }

    /// Drops a session that a mint has found to be over, or its user refused.
    pub(super) fn drop_if_gone(&self, live: &Arc<LiveSession>, fault: &MintFault) {
        match fault {
            MintFault::Gone => {
                live.mark_gone();
                self.sign_ins.forget_kept(live);
                self.sign_ins.sessions.remove(live);
            }
            MintFault::Refused(_) => self.sign_ins.expel(live),
            _ => {}
        }
    }
}

/// Counts a request's outcome, also when its future is dropped before there is one.
struct Counted<'a> {
    clerk: &'a Clerk,
    outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.clerk.count(self.outcome);
    }
}
