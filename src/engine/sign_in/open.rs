//! From a proven password to a proof that is stored, and the sessions that it points at.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, OpenOutcome, SignInFault, SignIns};
use crate::access::Access;
use crate::clerk_api::fapi::SignedIn;
use crate::clerk_api::{Fault, Meaning, TimeLeft};
use crate::client_token::ClientSlot;
use crate::engine::verdict;
use crate::kept::StoredSession;
use crate::key::{device_name, normalize_identifier};
use crate::limits::Repeats;
use crate::membership::Membership;
use crate::provider::Opened;
use crate::scope::OrganizationName;
use crate::sessions::{Generation, Holding, NewSession, Proof, ProofLife, Session, Target, User};

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
    /// Makes a proof of a finished sign-in, and stores it.
    pub(super) async fn open(
        &self,
        attempt: &Attempt,
        proven: Proven,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<Proof>, SignInFault> {
        let proof = self.opened(attempt, proven, since, time).await?;
        self.settle(attempt, &proof, since)?;
        Ok(proof)
    }

    /// Opens a session of the same user for another organization, or for none.
    pub(crate) async fn open_for(
        &self,
        holding: &Arc<Holding>,
        organization: Option<&OrganizationName>,
        left: Duration,
    ) -> OpenOutcome {
        let since = self.revocations.now();
        let mut time = TimeLeft::new(left, self.clock);
        let result = match self.road.open_for(&holding.user.id, organization, &mut time).await {
            Err(fault) => Err(verdict::of_fault(&fault).into()),
            Ok(opened) => {
                let session = self.session_of(&opened, organization);
                // A revocation is about the sessions that the holding has, or about this one.
                let concerns = |target: &Target| {
                    holding.concerns(target) || matches!(target, Target::Session(id) if **id == *session.id)
                };
                let stored = self
                    .revocations
                    .store_unless_revoked(since, concerns, || self.sessions.add(holding, &session).is_ok());
                if stored != Some(true) {
                    self.discard(&Holding::new(session));
                    Err(SignInFault::Superseded)
                } else {
                    Ok(())
                }
            }
        };
        OpenOutcome { result, deadline: self.clock.now() + time.left() }
    }

    /// Puts a new session in the place of one that is still live, with the tokens that this one had, so that no request
    /// has to wait for them.
    pub(super) async fn replace(
        &self,
        attempt: &Attempt,
        old: &Arc<Proof>,
        proven: Proven,
        since: Generation,
        deadline: Instant,
    ) -> Result<Arc<Proof>, SignInFault> {
        let left = deadline.saturating_duration_since(self.clock.now());
        let proof = match self.opened(attempt, proven, since, left).await {
            Ok(proof) => proof,
            // The user has something to do first: no session of theirs serves on.
            Err(fault) => {
                self.expel(old);
                return Err(fault);
            }
        };
        let now = self.clock.now();
        // One that can't be had in time is had when it is asked for.
        let tokens = async {
            for scope in old.holding.tokens.scopes(now) {
                _ = self.minter.mint(&proof.holding, &Access { scope, ..Access::default() }).await;
            }
        };
        _ = tokio::time::timeout_at(deadline, tokens).await;
        self.settle(attempt, &proof, since)?;
        Ok(proof)
    }

    /// Stores a proof, unless its user or session was revoked before it could be, or the last proof of the holding has
    /// left meanwhile; then the sessions are ended.
    fn settle(&self, attempt: &Attempt, proof: &Arc<Proof>, since: Generation) -> Result<(), SignInFault> {
        let holding = &proof.holding;
        let concerns = |target: &Target| holding.concerns(target);
        let stored = self.revocations.store_unless_revoked(since, concerns, || {
            let joined = self.sessions.insert(proof).is_ok();
            if joined {
                self.proven.mark(proof.key, &holding.user, self.clock.now());
            }
            joined
        });
        if stored != Some(true) {
            self.discard(holding);
            return Err(SignInFault::Superseded);
        }
        // Not under the lock of the revocations: a store may write to a disk. A revocation that came in between has not
        // found the device, so it is taken back.
        let (session, device_name) = (holding.session(), device_name(attempt.credentials.identifier()));
        self.road.remember(&device_name, &session);
        let revokes_user = |target: &Target| matches!(target, Target::User(id) if *id == holding.user.id);
        if self.revocations.store_unless_revoked(since, revokes_user, || ()).is_none() {
            self.road.forget_device(&device_name);
        }
        self.pacing.set_proven(self.proven.len());
        let road = self.road.name().name();
        tracing::debug!(user_id = &*holding.user.id, session_id = &*session.id, road, "signed in");
        Ok(())
    }

    async fn opened(
        &self,
        attempt: &Attempt,
        proven: Proven,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<Proof>, SignInFault> {
        self.ender.start();
        let Proven { opened, identifiers, at } = proven;
        let (holding, session) = self.holding_of(&opened, attempt.organization.as_ref());
        self.vouch(attempt, &holding.user, &identifiers);
        let signed_in = match opened {
            Opened::New(signed_in) => Some(signed_in),
            Opened::Kept(_) => None,
        };
        let pending = signed_in.as_ref().and_then(|signed_in| signed_in.pending.as_deref());
        if pending.is_some() && !session.choose_organization.load(Ordering::Relaxed) {
            let rejection = verdict::of_fault(&Fault::coded(Meaning::ActionRequired, "pending"));
            self.remember(attempt.key, &rejection, Repeats::Lengthen);
            self.discard(&holding);
            return Err(rejection.into());
        }
        self.denials.forget(&attempt.key);
        let token = signed_in.and_then(|signed_in| signed_in.token);
        // What the sign-in brought along saves a mint where it fits. Of a pending session it never does; and one that
        // can't be verified now is no reason to lose the session: the request mints another.
        if let Some(minted) = token.filter(|_| !session.choose_organization.load(Ordering::Relaxed)) {
            let taken = self.minter.take_plain(&holding, &session, minted, since);
            if !matches!(tokio::time::timeout(time, taken).await, Ok(Ok(()))) {
                tracing::debug!("the token that a sign-in brought along could not be taken");
            }
        }
        Ok(Proof::new(attempt.key, holding, at, self.proof_life(at), session.end))
    }

    /// The holding that a proof points at: one in use that has the session already, or is the user's anyway, or a new
    /// one. There is one live object per Clerk session.
    fn holding_of(
        &self,
        opened: &Opened,
        organization: Option<&OrganizationName>,
    ) -> (Arc<Holding>, Arc<Session>) {
        let id = match opened {
            Opened::New(signed_in) => &*signed_in.session_id,
            Opened::Kept(kept) => kept.session_id(),
        };
        let user = self.user_of(opened);
        let known = |holding: &Holding| holding.sessions().into_iter().find(|session| *session.id == *id);
        if let Some(holding) = user.holding_with(id)
            && let Some(session) = known(&holding)
        {
            return (holding, session);
        }
        let session = self.session_of(opened, organization);
        // By the Backend API a user's sessions are one set, whichever credential has opened them.
        if self.road.has_one_holding_per_user()
            && let Some(holding) = user.holding(|_| true)
            && self.sessions.add(&holding, &session).is_ok()
        {
            return (holding, session);
        }
        (Holding::new(Arc::clone(&session)), session)
    }

    fn user_of(&self, opened: &Opened) -> Arc<User> {
        self.users.of(match opened {
            Opened::New(signed_in) => &signed_in.user_id,
            Opened::Kept(kept) => kept.user_id(),
        })
    }

    fn session_of(&self, opened: &Opened, organization: Option<&OrganizationName>) -> Arc<Session> {
        match opened {
            Opened::New(signed_in) => self.new_session(signed_in, organization),
            Opened::Kept(kept) => self.kept_session(kept),
        }
    }

    /// The session that a sign-in has made.
    fn new_session(&self, signed_in: &SignedIn, organization: Option<&OrganizationName>) -> Arc<Session> {
        let left = signed_in.timing.left;
        let choose_organization = signed_in.pending.as_ref().is_some_and(|tasks| {
            !tasks.is_empty() && tasks.iter().all(|task| &**task == "choose-organization")
        });
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.at(left));
        let end = signed_in.expire_at.and_then(|expire_at| Some(left + expire_at.duration_since(seen).ok()?));
        // What was asked for, by id or slug, if that is what Clerk has made active.
        let active = signed_in.active_organization.as_deref();
        let is_active = |asked: &&OrganizationName| {
            active.is_some()
                && (active == Some(asked.as_str())
                    || active == Membership::find(&signed_in.memberships, asked))
        };
        Session::new(NewSession {
            id: Arc::from(&*signed_in.session_id),
            user: self.users.of(&signed_in.user_id),
            client: Arc::clone(&signed_in.client),
            memberships: signed_in.memberships.clone(),
            opened_for: organization.filter(is_active).cloned(),
            end,
            choose_organization,
            active_organization: signed_in.active_organization.clone(),
        })
    }

    /// A session that a sign-in of before has made; its client is known if that sign-in was this process'.
    fn kept_session(&self, kept: &StoredSession) -> Arc<Session> {
        let known = self.road.known(kept.session_id());
        let left = kept.expire_at().duration_since(self.time.now()).unwrap_or_default();
        Session::new(NewSession {
            id: kept.session_id().into(),
            user: self.users.of(kept.user_id()),
            client: known.client.unwrap_or_else(|| Arc::new(ClientSlot::none())),
            memberships: known.memberships.unwrap_or_default(),
            opened_for: kept.organization().map(OrganizationName::parse),
            end: Some(self.clock.now() + left),
            choose_organization: false,
            active_organization: None,
        })
    }

    /// Clerk has accepted the password: what was held against the credential and its user is void.
    pub(super) fn vouch(&self, attempt: &Attempt, user: &User, identifiers: &[String]) {
        let key = |identifier: &str| self.secret.identifier(&normalize_identifier(identifier));
        let others = identifiers.iter().map(|identifier| key(identifier));
        self.attempts.succeeded(key(attempt.credentials.identifier()), self.secret.user(&user.id), others);
    }

    pub(super) fn proof_life(&self, from: Instant) -> ProofLife {
        let ttl = self.settings.session_ttl;
        let (latest, spread) = PROOF_RENEWAL;
        let renew =
            self.settings.proof_renewal.then(|| from + self.jitter.earlier(ttl.mul_f64(latest), spread));
        ProofLife { end: from + self.jitter.earlier(ttl, PROOF_JITTER), renew }
    }
}
