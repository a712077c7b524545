//! What a failed sign-in means for its credential, and for all others.

use std::time::Duration;

use super::{Attempt, SignIns};
use crate::clerk_api::{Fault, Meaning};
use crate::engine::verdict;
use crate::key::CredentialKey;
use crate::limits::Repeats;
use crate::rejection::Rejection;
use crate::sync::lock;

/// A wrong set-up is remembered for the whole engine this long (rule K11).
const MISCONFIGURED_FOR: Duration = Duration::from_secs(10);

impl SignIns {
    /// What a failed sign-in means for this credential, and for all others.
    pub(super) fn judge(&self, attempt: &Attempt, fault: &Fault) -> Rejection {
        let rejection = verdict::of_fault(fault);
        match fault.meaning {
            meaning if meaning.is_verdict() || meaning == Meaning::DeviceNotTrusted => {
                if meaning == Meaning::DeviceNotTrusted
                    && self.notices.is_due("device_not_trusted", self.clock.now())
                {
                    tracing::warn!("{}", verdict::DEVICE_ADVICE);
                }
                self.proven.forget(&attempt.key);
                self.remember(attempt.key, &rejection, Repeats::Lengthen);
            }
            Meaning::Unknown => {
                self.warn_of_unknown(fault);
                // Asked again sooner, it would be told the same from memory.
                let rejection = rejection.retry_after_at_least(self.settings.negative_ttl);
                self.remember(attempt.key, &rejection, Repeats::Same);
                return rejection;
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

    /// Warns of an answer that this version cannot act on, once a minute for each code (rule S3).
    pub(crate) fn warn_of_unknown(&self, fault: &Fault) {
        if self.notices.is_due(fault.code.as_deref().unwrap_or_default(), self.clock.now()) {
            tracing::warn!(
                code = fault.code.as_deref(),
                "Clerk answered with something that this version cannot act on"
            );
        }
    }

    pub(super) fn remember(&self, key: CredentialKey, rejection: &Rejection, repeats: Repeats) {
        self.denials.remember(key, rejection.clone(), repeats, self.clock.now());
    }
}
