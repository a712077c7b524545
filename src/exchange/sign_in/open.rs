//! From a finished sign-in to a session that is held, in the place of an older one where there is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, SignInFault, SignIns};
use crate::exchange::denials::Repeats;
use crate::exchange::verdict;
use crate::fapi::{ClientSlot, Fault, Meaning, SignedIn};
use crate::key::normalize_identifier;
use crate::store::{Generation, LiveSession, Parts, Proof, Tokens};

/// Proofs end up to this part of `session_ttl` early, so that what began together doesn't end together.
const PROOF_JITTER: f64 = 0.05;

/// Proofs are renewed in the last fifth of their life: at 0.8 to 0.9 of it (rule K12).
const PROOF_RENEWAL: (f64, f64) = (0.9, 1.0 / 9.0);

impl SignIns {
    /// Makes a live session of a finished sign-in.
    pub(super) async fn open(
        &self,
        attempt: &Attempt,
        signed_in: SignedIn,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        let live = self.opened(attempt, signed_in, since, time).await?;
        self.settle(&live, since)?;
        Ok(live)
    }

    /// Puts a new session in the place of one that is still live, with the tokens that this one had, so that nobody
    /// has to wait for them.
    pub(super) async fn replace(
        &self,
        attempt: &Attempt,
        old: &Arc<LiveSession>,
        signed_in: SignedIn,
        since: Generation,
        deadline: Instant,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        let left = deadline.saturating_duration_since(self.clock.now());
        let live = match self.opened(attempt, signed_in, since, left).await {
            Ok(live) => live,
            // The user has something to do first: no session of theirs serves on.
            Err(fault) => {
                self.sessions.remove(old);
                return Err(fault);
            }
        };
        let now = self.clock.now();
        // One that can't be had in time is had when it is asked for.
        let tokens = async {
            for scope in old.tokens.scopes(now) {
                _ = self.minter.mint(&live, &scope.access()).await;
            }
        };
        _ = tokio::time::timeout_at(deadline, tokens).await;
        self.settle(&live, since)?;
        Ok(live)
    }

    /// Stores a session, unless it was revoked before it could be; then it is ended.
    fn settle(&self, live: &Arc<LiveSession>, since: Generation) -> Result<(), SignInFault> {
        let stored = self.revocations.store_unless_revoked(
            since,
            |target| live.concerns(target),
            || {
                self.sessions.insert(live);
                self.proven.mark(live.key, &live.user, self.clock.now());
            },
        );
        if stored.is_none() {
            self.leavers.leave(Arc::clone(live));
            return Err(SignInFault::Superseded);
        }
        self.pacing.set_proven(self.proven.len());
        tracing::debug!(user_id = &*live.user.id, session_id = &*live.session_id, "signed in");
        Ok(())
    }

    async fn opened(
        &self,
        attempt: &Attempt,
        signed_in: SignedIn,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        self.ender.start();
        let left = signed_in.timing.left;
        let choose_organization = signed_in.pending.as_ref().is_some_and(|tasks| {
            !tasks.is_empty() && tasks.iter().all(|task| &**task == "choose-organization")
        });
        let other_task = signed_in.pending.is_some() && !choose_organization;
        let seen = signed_in.timing.date.unwrap_or_else(|| self.clock.wall_at(left));
        let session_end =
            signed_in.expire_at.and_then(|expire_at| Some(left + expire_at.duration_since(seen).ok()?));
        let live = Arc::new(LiveSession::new(Parts {
            key: attempt.key,
            user: self.users.of(&signed_in.user_id),
            session_id: signed_in.session_id,
            client: ClientSlot::new(signed_in.client_token),
            tokens: Tokens::default(),
            memberships: signed_in.memberships,
            start: left,
            proof: self.proof(left),
            session_end,
            choose_organization,
            active_organization: signed_in.active_organization,
            since,
        }));
        self.vouch(attempt, &live, Some(&signed_in.identifiers));
        if other_task {
            let rejection = verdict::of_fault(&Fault::coded(Meaning::ActionRequired, "pending"));
            self.remember(attempt.key, &rejection, Repeats::Lengthen);
            self.leavers.leave(live);
            return Err(rejection.into());
        }
        self.denials.forget(&attempt.key);
        // What the sign-in brought along saves a mint where it fits. Of a pending session it never does; and one that
        // can't be verified now is no reason to lose the session: the request mints another.
        if let Some(minted) = signed_in.token.filter(|_| !choose_organization) {
            let taken = tokio::time::timeout(time, self.minter.take_plain(&live, minted)).await;
            if !matches!(taken, Ok(Ok(()))) {
                tracing::debug!("the token that a sign-in brought along could not be taken");
            }
        }
        Ok(live)
    }

    /// Clerk has accepted the password: what was held against the credential and its user is void.
    pub(super) fn vouch(&self, attempt: &Attempt, live: &LiveSession, identifiers: Option<&[String]>) {
        let key = |identifier: &str| self.secret.identifier(&normalize_identifier(identifier));
        let others = identifiers.unwrap_or_default().iter().map(|identifier| key(identifier));
        self.attempts.succeeded(
            key(attempt.credentials.identifier()),
            self.secret.user(&live.user.id),
            others,
        );
    }

    pub(super) fn proof(&self, from: Instant) -> Proof {
        let ttl = self.settings.session_ttl;
        let (latest, spread) = PROOF_RENEWAL;
        let renew =
            self.settings.proof_renewal.then(|| from + self.jitter.earlier(ttl.mul_f64(latest), spread));
        Proof { end: from + self.jitter.earlier(ttl, PROOF_JITTER), renew }
    }
}
