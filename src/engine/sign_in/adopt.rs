//! Going on with a sign-in of an earlier process, or of another one on this host, by its login record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::open::PROOF_RENEWAL;
use super::{Attempt, SignInOutcome, SignIns};
use crate::engine::rejections;
use crate::flight::Start;
use crate::key::device_name;
use crate::sessions::{Active, Concerned, Generation, Holding, NewSession, Proof, ProofLife, Session, User};
use crate::store::{LoginRecord, LoginSession};
use crate::sync::{Either, either};

/// How long the password function is waited for if requests don't wait for permits.
const LEAST_WAIT: Duration = Duration::from_secs(1);

impl SignIns {
    /// Adopts the proof and the session in the credential's login record. Clerk isn't asked: the next mint tells whether
    /// the session is still open there.
    ///
    /// If the proof has ended, the record still tells that Clerk has accepted the credential (rule K13), and the sign-in
    /// goes on as that of a trusted credential.
    pub(super) async fn adopt(
        &self,
        attempt: &Attempt,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> Option<SignInOutcome> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        // First, so that a revocation from here on supersedes the adoption. One from before has removed the record.
        let since = self.revocations.now();
        // The wait for the password function is one for a turn, like that for a permit.
        let turn_by = self.clock.now() + self.settings.sign_in_wait.max(LEAST_WAIT);
        let find = self.records.find(&attempt.key, &attempt.credentials, &self.sessions, turn_by);
        let (name, found) = match either(find, gone).await {
            Either::First(found) => found?,
            // No request waits for the outcome any more.
            Either::Second(()) => {
                let rejection = rejections::unavailable("sign_in_lost");
                return Some(SignInOutcome::of(Err(rejection.into()), self.clock.now()));
            }
        };
        let (record, revision) = (found.record, found.revision);
        let proven_at = self.records.instant_of(record.proven_at)?;
        let user = self.users.of(&record.user_id);
        let adopted = self.adopt_proof(attempt, &record, &user, proven_at, since).await;
        let Some((session, proof)) = adopted else {
            self.adopt_trust(attempt, &user, proven_at, since);
            self.records.adopted(attempt.key, name, revision, None);
            return None;
        };
        start.start(self.clock.now());
        self.reaper.start();
        self.records.adopted(attempt.key, name, revision, Some((&session, &proof)));
        self.provider.use_session(&device_name(attempt.credentials.identifier()), &session);
        self.sign_in_limiter.set_trusted(self.trusted.len());
        tracing::debug!(user_id = &*user.id, session_id = &*session.id, "a login record was adopted");
        let deadline = self.clock.now() + self.settings.upstream_timeout;
        Some(SignInOutcome { result: Ok(proof), deadline, is_adopted: true })
    }

    async fn adopt_proof(
        &self,
        attempt: &Attempt,
        record: &LoginRecord,
        user: &Arc<User>,
        proven_at: Instant,
        since: Generation,
    ) -> Option<(Arc<Session>, Arc<Proof>)> {
        let left = self.records.left_until(record.proof_end);
        // The setting may have been lowered since the record was written.
        let end = (self.clock.now() + left).min(proven_at + self.settings.session_ttl);
        let recorded = record.session.as_ref()?;
        if end <= self.clock.now() {
            return None;
        }
        let (session, holding) = self.session_of_record(attempt, record, recorded, user).await?;
        let ttl = self.settings.session_ttl;
        let (latest, spread) = PROOF_RENEWAL;
        let renew =
            self.settings.proof_renewal.then(|| proven_at + self.jitter.earlier(ttl.mul_f64(latest), spread));
        let concerned = holding.concerned().and_proof(&user.id, proven_at);
        let adopted = self.revocations.store_unless_revoked(since, &concerned, || {
            if self.closed.load(Ordering::Acquire) || user.has_expired(proven_at) {
                return None;
            }
            let life = ProofLife { end, renew };
            let prove = |holding| Proof::new(attempt.key, holding, proven_at, life, session.end);
            let inserted = self.sessions.insert(&session, &holding, self.provider.sharing(), prove);
            let (proof, session) = inserted.ok()?;
            self.trusted.trust(proof.key, user, proven_at);
            Some((session, proof))
        });
        adopted.flatten()
    }

    /// The session in use that a record names, or a new one, with its holding.
    async fn session_of_record(
        &self,
        attempt: &Attempt,
        record: &LoginRecord,
        recorded: &LoginSession,
        user: &Arc<User>,
    ) -> Option<(Arc<Session>, Arc<Holding>)> {
        let device_name = device_name(attempt.credentials.identifier());
        let token = recorded.client_token.clone();
        let client = self.provider.client_of(&device_name, &recorded.id, token).await?;
        if let Some(holding) = user.holding_with(&recorded.id)
            && let Some(session) = holding.session_with(&recorded.id)
        {
            return Some((session, holding));
        }
        if user.memberships().is_empty() {
            user.set_memberships(record.memberships.clone());
        }
        let left = |end| self.records.left_until(end);
        let session = Session::new(NewSession {
            id: Arc::from(&*recorded.id),
            user: Arc::clone(user),
            client,
            organization: recorded.organization.clone(),
            end: recorded.end.map(|end| self.clock.now() + left(end)),
            choose_organization: recorded.choose_organization,
            // It may have been touched after the record was written.
            active_organization: Active::Unknown,
        });
        let holding = Holding::new(Arc::clone(&session));
        Some((session, holding))
    }

    /// Adopts what the record tells about the credential, without its session.
    fn adopt_trust(&self, attempt: &Attempt, user: &Arc<User>, proven_at: Instant, since: Generation) {
        let concerned = Concerned::user(&user.id);
        self.revocations.store_unless_revoked(since, &concerned, || {
            self.trusted.trust(attempt.key, user, proven_at);
        });
        self.sign_in_limiter.set_trusted(self.trusted.len());
    }
}
