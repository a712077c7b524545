//! From a finished sign-in to a session that is held, in the place of an older one where there is one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, SignInFault, SignInOutcome, SignIns};
use crate::api::{Fault, Meaning, TimeLeft};
use crate::exchange::road::Opened;
use crate::exchange::verdict;
use crate::fapi::{ClientSlot, SignedIn};
use crate::kept::StoredSession;
use crate::key::{CredentialKey, device_name, normalize_identifier};
use crate::limits::Repeats;
use crate::store::{Generation, LiveSession, Parts, Proof, Tokens};

/// Proofs end up to this part of `session_ttl` early, so that what began together doesn't end together.
const PROOF_JITTER: f64 = 0.05;

/// Proofs are renewed in the last fifth of their life: at 0.8 to 0.9 of it (rule K12).
const PROOF_RENEWAL: (f64, f64) = (0.9, 1.0 / 9.0);

/// A session for a password that was proven.
pub(super) struct Proven {
    pub(super) opened: Opened,
    /// What else its user can sign in with.
    pub(super) identifiers: Vec<String>,
    /// What the life of the proof counts from.
    pub(super) at: Instant,
}

impl SignIns {
    /// Makes a live session of a finished sign-in.
    pub(super) async fn open(
        &self,
        attempt: &Attempt,
        proven: Proven,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        let live = self.opened(attempt, proven, since, time).await?;
        self.settle(attempt, &live, since)?;
        Ok(live)
    }

    /// Opens a session of the same user for another organization, or for none.
    pub(crate) async fn open_beside(
        &self,
        live: &Arc<LiveSession>,
        organization: Option<&str>,
        left: Duration,
    ) -> SignInOutcome {
        let since = self.revocations.now();
        let mut time = TimeLeft::new(left, self.clock);
        let opened = match self.road.backend() {
            Some(road) => road.open_for(&live.user.id, organization, &mut time).await,
            None => Err(Fault::unavailable("no_session_for_organization")),
        };
        let result = match opened {
            Err(fault) => Err(verdict::of_fault(&fault).into()),
            Ok(opened) => {
                let now = self.clock.now();
                let sibling = match &opened {
                    Opened::New(signed_in) => self.live_of(live.key, signed_in, organization, now, since),
                    Opened::Kept(kept) => self.live_of_kept(live.key, kept, now, since),
                };
                let stored = self.revocations.store_unless_revoked(
                    since,
                    |target| live.concerns(target) || sibling.concerns(target),
                    || {
                        self.sessions.list(&sibling.session_id, live);
                        live.add_sibling(Arc::clone(&sibling));
                    },
                );
                if stored.is_none() {
                    self.discard(&sibling);
                }
                stored.map(|()| sibling).ok_or(SignInFault::Superseded)
            }
        };
        SignInOutcome { result, deadline: self.clock.now() + time.left() }
    }

    /// Puts a new session in the place of one that is still live, with the tokens that this one had, so that nobody
    /// has to wait for them.
    pub(super) async fn replace(
        &self,
        attempt: &Attempt,
        old: &Arc<LiveSession>,
        proven: Proven,
        since: Generation,
        deadline: Instant,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        let left = deadline.saturating_duration_since(self.clock.now());
        let live = match self.opened(attempt, proven, since, left).await {
            Ok(live) => live,
            // The user has something to do first: no session of theirs serves on.
            Err(fault) => {
                self.expel(old);
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
        self.settle(attempt, &live, since)?;
        Ok(live)
    }

    /// Stores a session, unless it was revoked before it could be; then it is ended.
    fn settle(
        &self,
        attempt: &Attempt,
        live: &Arc<LiveSession>,
        since: Generation,
    ) -> Result<(), SignInFault> {
        let device_name = device_name(attempt.credentials.identifier());
        let stored = self.revocations.store_unless_revoked(
            since,
            |target| live.concerns(target),
            || {
                self.sessions.insert(live);
                self.road.remember(&device_name, live);
                self.proven.mark(live.key, &live.user, self.clock.now());
            },
        );
        if stored.is_none() {
            self.discard(live);
            return Err(SignInFault::Superseded);
        }
        self.pacing.set_proven(self.proven.len());
        let road = self.road.name().name();
        tracing::debug!(user_id = &*live.user.id, session_id = &*live.session_id, road, "signed in");
        Ok(())
    }

    async fn opened(
        &self,
        attempt: &Attempt,
        proven: Proven,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        self.ender.start();
        let Proven { opened, identifiers, at } = proven;
        let (live, signed_in) = match opened {
            Opened::New(signed_in) => (
                self.live_of(attempt.key, &signed_in, attempt.organization.as_deref(), at, since),
                Some(signed_in),
            ),
            Opened::Kept(kept) => (self.live_of_kept(attempt.key, &kept, at, since), None),
        };
        self.vouch(attempt, &live, &identifiers);
        let pending = signed_in.as_ref().and_then(|signed_in| signed_in.pending.as_deref());
        if pending.is_some() && !live.choose_organization.load(Ordering::Relaxed) {
            let rejection = verdict::of_fault(&Fault::coded(Meaning::ActionRequired, "pending"));
            self.remember(attempt.key, &rejection, Repeats::Lengthen);
            self.discard(&live);
            return Err(rejection.into());
        }
        self.denials.forget(&attempt.key);
        let token = signed_in.and_then(|signed_in| signed_in.token);
        // What the sign-in brought along saves a mint where it fits. Of a pending session it never does; and one that
        // can't be verified now is no reason to lose the session: the request mints another.
        if let Some(minted) = token.filter(|_| !live.choose_organization.load(Ordering::Relaxed)) {
            let taken = tokio::time::timeout(time, self.minter.take_plain(&live, minted)).await;
            if !matches!(taken, Ok(Ok(()))) {
                tracing::debug!("the token that a sign-in brought along could not be taken");
            }
        }
        Ok(live)
    }

    /// The session that a sign-in has made.
    pub(crate) fn live_of(
        &self,
        key: CredentialKey,
        signed_in: &SignedIn,
        organization: Option<&str>,
        proven_at: Instant,
        since: Generation,
    ) -> Arc<LiveSession> {
        let left = signed_in.timing.left;
        let choose_organization = signed_in.pending.as_ref().is_some_and(|tasks| {
            !tasks.is_empty() && tasks.iter().all(|task| &**task == "choose-organization")
        });
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.at(left));
        let session_end =
            signed_in.expire_at.and_then(|expire_at| Some(left + expire_at.duration_since(seen).ok()?));
        // What was asked for, by id or slug, if that is what Clerk has made active.
        let is_active = |asked: &&str| {
            let active = signed_in.active_organization.as_deref();
            let slug = signed_in.memberships.iter().find(|it| Some(&*it.id) == active);
            active == Some(asked) || slug.is_some_and(|it| it.slug.as_deref() == Some(asked))
        };
        let opened_for = organization.filter(is_active);
        Arc::new(LiveSession::new(Parts {
            key,
            user: self.users.of(&signed_in.user_id),
            session_id: signed_in.session_id.clone(),
            client: Arc::clone(&signed_in.client),
            tokens: Tokens::default(),
            memberships: Some(signed_in.memberships.clone()),
            opened_for: opened_for.map(Into::into),
            start: left,
            proof: self.proof(proven_at),
            session_end,
            choose_organization,
            active_organization: signed_in.active_organization.clone(),
            since,
        }))
    }

    /// A session that a sign-in of before has made; its client is known if that sign-in was this process'.
    pub(crate) fn live_of_kept(
        &self,
        key: CredentialKey,
        kept: &StoredSession,
        proven_at: Instant,
        since: Generation,
    ) -> Arc<LiveSession> {
        let known = self.road.backend().map(|road| road.known(kept.session_id())).unwrap_or_default();
        let now = self.clock.now();
        let left = kept.expire_at().duration_since(self.time.now()).unwrap_or_default();
        Arc::new(LiveSession::new(Parts {
            key,
            user: self.users.of(kept.user_id()),
            session_id: kept.session_id().into(),
            client: known.client.unwrap_or_else(|| Arc::new(ClientSlot::none())),
            tokens: Tokens::default(),
            memberships: known.memberships,
            opened_for: kept.organization().map(Into::into),
            start: now,
            proof: self.proof(proven_at),
            session_end: Some(now + left),
            choose_organization: false,
            active_organization: None,
            since,
        }))
    }

    /// Clerk has accepted the password: what was held against the credential and its user is void.
    pub(super) fn vouch(&self, attempt: &Attempt, live: &LiveSession, identifiers: &[String]) {
        let key = |identifier: &str| self.secret.identifier(&normalize_identifier(identifier));
        let others = identifiers.iter().map(|identifier| key(identifier));
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
