//! A snapshot of an engine (rule O2).

use crate::counters::{Outcome, UpstreamCalls};
use crate::limits::CircuitState;
use crate::session::ClerkApi;

/// A snapshot of an engine. See [`Clerk::stats`](crate::Clerk::stats).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests by outcome. They add up to all requests.
    pub requests: Box<[(Outcome, u64)]>,
    /// Calls to Clerk.
    pub upstream: Box<[UpstreamCalls]>,
    /// Live sessions held.
    pub sessions: u64,
    /// Refused credentials remembered.
    pub denials: u64,
    /// Credentials that Clerk has accepted in the last seven days.
    pub trusted_credentials: u64,
    /// Identifiers and users with failed attempts to their name.
    pub attempts: u64,
    /// Sign-ins under way or waiting for their turn.
    pub sign_in_flights: usize,
    /// Mints under way.
    pub mint_flights: usize,
    /// Sign-ins that wait for their turn.
    pub sign_in_queue: usize,
    /// Sessions that wait to be ended at Clerk.
    pub ending: usize,
    /// Sessions that were too many to be ended one by one; Clerk ends them after their own life.
    pub not_ended: u64,
    /// The circuit for sign-ins.
    pub sign_in_circuit: CircuitState,
    /// The circuit for mints.
    pub mint_circuit: CircuitState,
    /// The road from passwords to sessions.
    pub api: ClerkApi,
    /// How many users one address can carry: sign-in budget times `session_ttl`, or, with the Backend API, times the
    /// life of a Clerk session (7 days). `None` without a budget.
    pub users_per_address: Option<u64>,
    /// How many users can be active at a time if all their tokens are minted by the Backend API: its budget times three
    /// quarters of a token's life (60 s, or what [`ClerkBuilder::token_lifetime`](crate::ClerkBuilder::token_lifetime) says).
    /// `None` without the Backend API.
    pub active_users: Option<u64>,
}

impl Stats {
    /// How many requests had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.requests.iter().find(|(counted, _)| *counted == outcome).map_or(0, |(_, count)| *count)
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.iter().map(|(_, count)| count).sum()
    }
}
