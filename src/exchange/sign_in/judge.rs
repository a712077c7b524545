//! What a failed sign-in means for its credential, and for all others.

use std::time::Duration;

use super::{Attempt, SignIns};
use crate::api::{Fault, Meaning};
use crate::exchange::denials::Repeats;
use crate::exchange::verdict;
use crate::key::CredentialKey;
use crate::rejection::Rejection;
use crate::session::Road;
use crate::sync::lock;

/// A wrong set-up is remembered for the whole engine this long (rule K11).
const MISCONFIGURED_FOR: Duration = Duration::from_secs(10);

impl SignIns {
    /// What a failed sign-in means for this credential, and for all others.
    pub(super) fn judge(&self, attempt: &Attempt, fault: &Fault) -> Rejection {
        let rejection = verdict::of_fault(fault);
        match fault.meaning {
            meaning if meaning.is_verdict() || meaning == Meaning::DeviceNotTrusted => {
                self.proven.forget(&attempt.key);
                self.remember(attempt.key, &rejection, Repeats::Lengthen);
            }
            Meaning::Unknown => {
                if self.notices.is_due(fault.code.as_deref().unwrap_or_default(), self.clock.now()) {
                    tracing::warn!(
                        code = fault.code.as_deref(),
                        "Clerk answered a sign-in with an error that this version doesn't know"
                    );
                }
                // Asked again sooner, it would be told the same from memory.
                let rejection = rejection.retry_after_at_least(self.settings.negative_ttl);
                self.remember(attempt.key, &rejection, Repeats::Same);
                return rejection;
            }
            // On the other road the budget that was spent is paused where the call was made.
            Meaning::RateLimited if self.road.name() == Road::Frontend => {
                let pause = fault.retry_after.unwrap_or(verdict::RETRY_RATE_LIMITED);
                tracing::warn!(
                    pause_secs = pause.as_secs(),
                    "Clerk's sign-in quota is spent: nobody signs in until the pause is over"
                );
                self.pacing.pause_until(self.clock.now() + pause);
            }
            Meaning::Misconfigured => {
                tracing::error!(
                    code = fault.code.as_deref(),
                    "sign-ins cannot work: {}",
                    verdict::advice(fault)
                );
                let until = self.clock.now() + MISCONFIGURED_FOR;
                *lock(&self.misconfigured) = Some((until, rejection.clone()));
            }
            _ => {}
        }
        rejection
    }

    pub(super) fn remember(&self, key: CredentialKey, rejection: &Rejection, repeats: Repeats) {
        self.denials.remember(key, rejection.clone(), repeats, self.clock.now());
    }
}
