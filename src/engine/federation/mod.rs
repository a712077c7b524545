//! The way of an assertion: it is verified by its provider's keys, its user is found and looked at, and a session is opened
//! by ticket (rules X1-X4).
//!
//! An assertion that was accepted has a proof in memory like a password, so hits, tokens and revocations are the same.

mod bearer;
mod exchange;
mod flight;
mod mapping;
mod setup;

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

pub(super) use self::setup::FederationSetup;
use super::sign_in::SignInOutcome;
use crate::api_keys::ProvenKeys;
use crate::assurance::Assurance;
use crate::federation::{Accepted, TrustedProvider, UsedAssertions};
use crate::flight::SingleFlight;
use crate::jwt::Jwks;
use crate::key::{CredentialKey, PassThrough};
use crate::limits::{Circuit, CircuitState, Denials, SignInLimiter, WarnThrottle};
use crate::rejection::Rejection;
use crate::scope::OrganizationName;

/// The parts of an engine that are about providers. There are none without a provider.
pub(super) struct Federation {
    providers: Box<[KnownProvider]>,
    used: UsedAssertions,
    /// The subjects that were found before, whose look-ups go first.
    proven: ProvenKeys,
    /// Refusals of subjects, and of assertions.
    denials: Denials,
    flights: Arc<SingleFlight<CredentialKey, SignInOutcome, PassThrough>>,
    /// Permits to look up subjects that were not found before.
    unproven: Arc<SignInLimiter>,
    /// Permits to look up the others, with each new assertion.
    known: Arc<SignInLimiter>,
    circuit: Arc<Circuit>,
    /// All assertions are rejected until then, since Clerk has answered that the instance is misconfigured (rule K11).
    misconfigured: Mutex<Option<(Instant, Rejection)>>,
    warnings: WarnThrottle,
}

/// A provider with its keys.
struct KnownProvider {
    trusted: Arc<TrustedProvider>,
    jwks: Arc<Jwks>,
}

/// An assertion whose provider has accepted it, whose user has yet to be found.
struct AssertionAttempt {
    /// The key of the assertion.
    key: CredentialKey,
    /// The key of its subject.
    subject: CredentialKey,
    provider: Arc<TrustedProvider>,
    accepted: Arc<Accepted>,
    assurance: Arc<Assurance>,
    /// When it is no longer accepted.
    end: Instant,
    /// Seconds since the Unix epoch at which it was accepted.
    time: u64,
    organization: Option<OrganizationName>,
    source: Option<u64>,
}

/// The numbers of federation in `Stats`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AssertionCounts {
    pub(super) flights: u64,
    pub(super) queue: u64,
    pub(super) denials: u64,
    pub(super) used: u64,
    pub(super) circuit: CircuitState,
}

impl Federation {
    pub(super) fn counts(&self) -> AssertionCounts {
        AssertionCounts {
            flights: self.flights.len() as u64,
            queue: (self.unproven.waiting() + self.known.waiting()) as u64,
            denials: self.denials.len(),
            used: self.used.len() as u64,
            circuit: self.circuit.state(),
        }
    }

    fn provider(&self, issuer: &str) -> Option<&KnownProvider> {
        self.providers.iter().find(|provider| *provider.trusted.issuer == *issuer)
    }

    /// Rejects all assertions from now on.
    pub(super) fn close(&self) {
        self.unproven.close();
        self.known.close();
        self.proven.clear();
    }

    /// Resolves when no flight is under way.
    pub(super) async fn all_finished(&self) {
        self.flights.all_finished().await;
    }
}
