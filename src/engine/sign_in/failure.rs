//! The consequences of a failed sign-in for its credential and for the engine.

use std::time::Duration;

use super::{Attempt, SignIns};
use crate::clerk_api::{ApiError, ErrorClass};
use crate::engine::rejections;
use crate::key::normalize_identifier;
use crate::limits::{Ground, Refusal, Repeats};
use crate::rejection::Rejection;
use crate::sync::lock;

/// How long all sign-ins are rejected after Clerk has answered that the instance is misconfigured (rule K11).
const MISCONFIGURED_FOR: Duration = Duration::from_secs(10);

impl SignIns {
    /// Classifies a failed sign-in, remembers the rejection as far as it would repeat, and returns it.
    pub(super) fn on_failure(&self, attempt: &Attempt, error: &ApiError) -> Rejection {
        let rejection = rejections::from_api_error(error);
        match error.class {
            class if class.is_final() || class == ErrorClass::DeviceNotTrusted => {
                if class == ErrorClass::DeviceNotTrusted
                    && self.warnings.is_due("device_not_trusted", self.clock.now())
                {
                    tracing::warn!("{}", rejections::DEVICE_ADVICE);
                }
                self.trusted.forget(&attempt.key);
                self.remember(attempt, &rejection, rejections::ground_of(class), Repeats::Lengthen);
            }
            ErrorClass::Unknown => {
                self.warn_of_unknown(error);
                // An earlier retry would only get the remembered rejection.
                let rejection = rejection.with_retry_after(self.settings.negative_ttl);
                self.remember(attempt, &rejection, Ground::Other, Repeats::Same);
                return rejection;
            }
            ErrorClass::Misconfigured => {
                tracing::error!(
                    code = error.code.as_deref(),
                    "sign-ins cannot work: {}",
                    rejections::advice(error)
                );
                let until = self.clock.now() + MISCONFIGURED_FOR;
                *lock(&self.misconfigured) = Some((until, rejection.clone()));
            }
            _ => {}
        }
        rejection
    }

    /// Warns about an answer that this version cannot act on, once a minute for each code (rule S3).
    pub(crate) fn warn_of_unknown(&self, error: &ApiError) {
        if self.warnings.is_due(error.code.as_deref().unwrap_or_default(), self.clock.now()) {
            tracing::warn!(
                code = error.code.as_deref(),
                "Clerk answered with something that this version cannot act on"
            );
        }
    }

    pub(super) fn remember(
        &self,
        attempt: &Attempt,
        rejection: &Rejection,
        ground: Ground,
        repeats: Repeats,
    ) {
        let identifier = self.secret.identifier(&normalize_identifier(attempt.credentials.identifier()));
        let refusal = Refusal { rejection: rejection.clone(), identifier, ground, since: attempt.since };
        self.denials.remember(attempt.key, refusal, repeats, self.clock.now());
    }
}
