//! Proving the password of a live session anew, ahead of the proof's end (rule K12).

use std::sync::Arc;
use std::time::Duration;

use super::ask::{Asked, Purpose};
use super::open::Proven;
use super::{Attempt, SignInFault, SignInOutcome, SignIns};
use crate::exchange::road::Proved;
use crate::store::{Generation, LiveSession};

/// After a renewal that found no room or no Clerk, the next one is tried no sooner.
const PROOF_RENEWAL_PAUSE: Duration = Duration::from_secs(10);

impl SignIns {
    /// Proves the password of a live session anew, ahead of the proof's end. The session serves on meanwhile, and if
    /// there is no room or no answer, to its end.
    pub(crate) async fn renew_proof(&self, attempt: Attempt, live: &Arc<LiveSession>) -> SignInOutcome {
        let left = live.proof_end().saturating_duration_since(self.clock.now());
        let time = left.saturating_sub(self.settings.upstream_timeout);
        let asked = self.ask(&attempt, Purpose::Renewal { time }, std::future::pending()).await;
        let mut deadline = self.clock.now();
        let result = match asked {
            Ok(Asked { answer, permit, pass, since, time }) => {
                self.tell(pass, answer.as_ref().err());
                let proved = match answer {
                    Ok(proved) => Ok(Some(proved)),
                    Err(fault) if fault.proves_password => Ok(None),
                    Err(fault) => Err(fault),
                };
                match proved {
                    Ok(proved) => {
                        permit.proved();
                        drop(permit);
                        deadline = self.clock.now() + time.left();
                        match proved {
                            Some(Proved { session: Some(opened), identifiers, at, .. }) => {
                                let proven = Proven { opened, identifiers, at };
                                self.replace(&attempt, live, proven, since, deadline).await
                            }
                            // The identifier has passed to another user: this session is none of theirs.
                            Some(proved) if proved.user_id != live.user.id => {
                                self.expel(live);
                                Err(SignInFault::Superseded)
                            }
                            proved => {
                                let identifiers = proved.map(|proved| proved.identifiers).unwrap_or_default();
                                self.proven_anew(&attempt, live, &identifiers, since)
                            }
                        }
                    }
                    Err(fault) => {
                        let rejection = self.judge(&attempt, &fault);
                        if fault.meaning.is_verdict() {
                            self.expel(live);
                        }
                        Err(rejection.into())
                    }
                }
            }
            Err(rejection) => Err(rejection.into()),
        };
        // Whether it helped or not: a session that stays is tried again after a pause.
        if live.is_live(self.clock.now()) && !live.proof_renewal.is_waiting(self.clock.now()) {
            let pause = self.jitter.later(PROOF_RENEWAL_PAUSE, 1.0);
            live.proof_renewal.open_at(self.clock.now() + pause);
        }
        SignInOutcome { result, deadline }
    }

    /// The password of this session has been proven, and the session serves on.
    fn proven_anew(
        &self,
        attempt: &Attempt,
        live: &Arc<LiveSession>,
        identifiers: &[String],
        since: Generation,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        self.vouch(attempt, live, identifiers);
        let now = self.clock.now();
        let renewed = self.revocations.store_unless_revoked(
            since,
            |target| live.concerns(target),
            || {
                live.renew_proof(self.proof(now));
                self.proven.mark(live.key, &live.user, now);
            },
        );
        renewed.map(|()| Arc::clone(live)).ok_or(SignInFault::Superseded)
    }
}
