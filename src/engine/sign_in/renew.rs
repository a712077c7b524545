//! Renewing a proof: the password of a live session is proven again before the proof ends (rule K12).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ask::{Asked, AskedFor};
use super::open::ProvenSession;
use super::{Attempt, SignInError, SignInOutcome, SignIns};
use crate::flight::Start;
use crate::provider::ProvenPassword;
use crate::sessions::{Generation, Proof};

/// The least time between a renewal that got no permit or no answer and the next one.
pub(crate) const PROOF_RENEWAL_PAUSE: Duration = Duration::from_secs(10);

impl SignIns {
    /// Proves the password of a live session again. Meanwhile the session keeps serving, and if the renewal gets no
    /// permit or no answer, it does so until its proof ends.
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
                self.report_to_circuit(pass, answer.as_ref().err());
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
                            // The identifier belongs to another user now, who must not get this session.
                            Some(proved) if *proved.user_id != *held.holding.user.id => {
                                self.invalidate(held);
                                Err(SignInError::Superseded)
                            }
                            proved => {
                                let identifiers = proved.map(|proved| proved.identifiers).unwrap_or_default();
                                self.extend(&attempt, held, &identifiers, since, started)
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
        // The gate closed when this renewal started. If it did not renew the proof, the gate must open again.
        if held.is_live(self.clock.now()) && !held.renewal.is_waiting(self.clock.now()) {
            let pause = self.jitter.later(PROOF_RENEWAL_PAUSE, 1.0);
            held.renewal.open_at(self.clock.now() + pause);
        }
        SignInOutcome::of(result, deadline)
    }

    /// Extends the proof of a session whose password has been proven again without a new session.
    fn extend(
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
            &holding.concerned().and_proof(&holding.user.id, at),
            || {
                held.renew(at, self.proof_life(at));
                self.trusted.trust(held.key, &holding.user, now);
            },
        );
        renewed.ok_or(SignInError::Superseded)?;
        self.records.write(&attempt.credentials, held, &holding.session());
        Ok(Arc::clone(held))
    }
}
