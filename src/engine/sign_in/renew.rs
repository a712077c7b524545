//! Proving the password of a live session anew, ahead of the proof's end (rule K12).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ask::{Asked, AskedFor};
use super::open::ProvenSession;
use super::{Attempt, SignInError, SignInOutcome, SignIns};
use crate::flight::Start;
use crate::provider::ProvenPassword;
use crate::sessions::{Generation, Proof, Target};

/// After a renewal that found no room or no Clerk, the next one is tried no sooner.
const PROOF_RENEWAL_PAUSE: Duration = Duration::from_secs(10);

impl SignIns {
    /// Proves the password of a live session anew, ahead of the proof's end. The session serves on meanwhile, and if
    /// there is no room or no answer, to its end.
    pub(crate) async fn renew_proof(
        &self,
        attempt: Attempt,
        held: &Arc<Proof>,
        start: &Start<SignInOutcome>,
    ) -> SignInOutcome {
        let left = held.end().saturating_duration_since(self.clock.now());
        let time = left.saturating_sub(self.settings.upstream_timeout);
        let asked = self.ask(&attempt, AskedFor::Renewal { time }, start, held.ended()).await;
        let mut deadline = self.clock.now();
        let result = match asked {
            Ok(Asked { answer, permit, pass, since, started, time }) => {
                self.tell(pass, answer.as_ref().err());
                let proved = match answer {
                    Ok(proved) => Ok(Some(proved)),
                    Err(error) if error.proves_password => Ok(None),
                    Err(error) => Err(error),
                };
                match proved {
                    Ok(proved) => {
                        permit.proved();
                        drop(permit);
                        deadline = self.clock.now() + time.left();
                        match proved {
                            Some(ProvenPassword { session: Some(opened), identifiers, at, .. }) => {
                                let proven = ProvenSession { opened, identifiers, at };
                                self.replace(&attempt, held, proven, since, deadline).await
                            }
                            // The identifier has passed to another user: this session is none of theirs.
                            Some(proved) if proved.user_id != held.holding.user.id => {
                                self.invalidate(held);
                                Err(SignInError::Superseded)
                            }
                            proved => {
                                let identifiers = proved.map(|proved| proved.identifiers).unwrap_or_default();
                                self.proven_anew(&attempt, held, &identifiers, since, started)
                            }
                        }
                    }
                    Err(error) => {
                        let rejection = self.on_failure(&attempt, &error);
                        if error.class.is_final() {
                            self.invalidate(held);
                        }
                        Err(rejection.into())
                    }
                }
            }
            Err(rejection) => Err(rejection.into()),
        };
        // Whether it helped or not: a session that stays is tried again after a pause.
        if held.is_live(self.clock.now()) && !held.renewal.is_waiting(self.clock.now()) {
            let pause = self.jitter.later(PROOF_RENEWAL_PAUSE, 1.0);
            held.renewal.open_at(self.clock.now() + pause);
        }
        SignInOutcome { result, deadline }
    }

    /// The password of this session has been proven, and the session serves on.
    fn proven_anew(
        &self,
        attempt: &Attempt,
        held: &Arc<Proof>,
        identifiers: &[String],
        since: Generation,
        at: Instant,
    ) -> Result<Arc<Proof>, SignInError> {
        let holding = &held.holding;
        self.clear_failures(attempt, &holding.user, identifiers);
        let now = self.clock.now();
        let renewed = self.revocations.store_unless_revoked(
            since,
            |target| match target {
                Target::Proofs(user, before) => *user == holding.user.id && at < *before,
                target => holding.concerns(target),
            },
            || {
                held.renew(at, self.proof_life(at));
                self.trusted.trust(held.key, &holding.user, now);
            },
        );
        renewed.map(|()| Arc::clone(held)).ok_or(SignInError::Superseded)
    }
}
