//! The tokens of one holding: one for the personal account, and one each for a few organizations and templates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::once_gate::OnceGate;
use super::revocations::{Generation, Revocations};
use crate::access::Access;
use crate::scope::Scope;
use crate::session::ClerkSession;

/// Tokens per holding besides the plain one (rule K7). The least recently used one makes room.
pub(crate) const MAX_SCOPED_TOKENS: usize = 16;

/// A verified token, and how long it is valid on the monotonic clock.
#[derive(Debug)]
pub(crate) struct HeldToken {
    pub(crate) session: ClerkSession,
    life: Duration,
    /// In milliseconds after the mint started. A `u32` saves memory, and a token lives for at most a day.
    renew_after: u32,
    /// Opens when the next token is due to be minted.
    pub(crate) renewal: OnceGate,
    /// Set on use; cleared by [`take_use`](Self::take_use).
    in_use: AtomicBool,
    /// The generation in which its mint started.
    since: Generation,
    /// When it was last used, as a count of uses of the holding's scoped tokens.
    used: AtomicU64,
}

/// Whether a request may still get a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Good,
    /// Even a new token wouldn't live as long as the access asks for.
    NeverGood,
    Stale,
}

impl HeldToken {
    pub(crate) fn new(session: ClerkSession, life: Duration, renew_at: Instant, since: Generation) -> Self {
        let renewal = OnceGate::new(Some(renew_at));
        let renew_after = renew_at.saturating_duration_since(session.good_until() - life);
        Self {
            session,
            life,
            // Never before the gate opens.
            renew_after: u32::try_from(renew_after.as_millis() + 1).unwrap_or(u32::MAX),
            renewal,
            in_use: AtomicBool::new(false),
            since,
            used: AtomicU64::new(0),
        }
    }

    pub(crate) fn freshness(&self, access: &Access, now: Instant) -> Freshness {
        let (least, good_until) = (access.least_life.of(self.life), self.session.good_until());
        if good_until.saturating_duration_since(now) >= least && now < good_until {
            Freshness::Good
        } else if least > self.life {
            Freshness::NeverGood
        } else {
            Freshness::Stale
        }
    }

    /// Whether `other` should replace this token. Tokens compare by `oiat`, the time that their claims are from, and
    /// then by `iat`, as in Clerk's own SDKs.
    fn gives_way_to(&self, other: &Self, now: Instant) -> bool {
        if self.freshness(&Access::default(), now) != Freshness::Good || self.since < other.since {
            return true;
        }
        let fresh = |token: &Self| (token.session.origin_issued_at(), token.session.claims().issued_at());
        fresh(self) <= fresh(other)
    }

    /// When its mint started.
    pub(crate) fn minted_at(&self) -> Instant {
        self.session.good_until() - self.life
    }

    pub(crate) fn renew_at(&self) -> Instant {
        self.minted_at() + Duration::from_millis(self.renew_after.into())
    }

    /// Whether the token was used since the last call of this method.
    pub(crate) fn take_use(&self) -> bool {
        self.in_use.swap(false, Ordering::Relaxed)
    }

    /// Whether its organization was revoked since it was minted.
    fn is_revoked(&self, revocations: &Revocations) -> bool {
        revocations.organizations_since(self.since)
            && self
                .session
                .organization()
                .is_some_and(|organization| revocations.organization_since(organization.id(), self.since))
    }
}

/// All tokens of one session. Reading takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    held: ArcSwap<TokenSet>,
    uses: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct TokenSet {
    plain: Option<Arc<HeldToken>>,
    scoped: Vec<(Scope, Arc<HeldToken>)>,
}

impl Tokens {
    /// The session for a request, if there is a good token for this access; and whether the next token is due, which
    /// only one caller is told.
    pub(crate) fn good(
        &self,
        access: &Access,
        now: Instant,
        revocations: &Revocations,
    ) -> Option<(ClerkSession, bool)> {
        let held = self.held.load();
        let token = if access.scope.is_plain() {
            held.plain.as_ref()?
        } else {
            let (_, token) = held.scoped.iter().find(|(key, _)| *key == access.scope)?;
            token.used.store(self.uses.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            if token.is_revoked(revocations) {
                return None;
            }
            token
        };
        if token.freshness(access, now) != Freshness::Good {
            return None;
        }
        // Load first, so that threads that share a token don't contend for its cache line.
        if !token.in_use.load(Ordering::Relaxed) {
            token.in_use.store(true, Ordering::Relaxed);
        }
        let due = token.renewal.is_open(now) && token.renewal.pass(now);
        Some((token.session.clone(), due))
    }

    /// The token itself, if it is good. This neither counts as a use nor passes the renewal gate.
    pub(crate) fn good_as_is(
        &self,
        access: &Access,
        now: Instant,
        revocations: &Revocations,
    ) -> Option<Arc<HeldToken>> {
        self.held(access)
            .filter(|token| token.freshness(access, now) == Freshness::Good && !token.is_revoked(revocations))
    }

    /// The scopes, other than the plain one, that have a token which has not expired.
    pub(crate) fn scopes(&self, now: Instant) -> Vec<Scope> {
        let held = self.held.load();
        held.scoped
            .iter()
            .filter(|(_, token)| now < token.session.good_until())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// The token for this access, even if it has expired.
    pub(crate) fn held(&self, access: &Access) -> Option<Arc<HeldToken>> {
        let held = self.held.load();
        if access.scope.is_plain() {
            return held.plain.clone();
        }
        held.scoped.iter().find(|(key, _)| *key == access.scope).map(|(_, token)| Arc::clone(token))
    }

    /// Drops the token for this access.
    pub(crate) fn forget(&self, access: &Access) {
        self.held.rcu(|held| {
            let mut next = TokenSet::clone(held);
            if access.scope.is_plain() {
                next.plain = None;
            }
            next.scoped.retain(|(key, _)| *key != access.scope);
            next
        });
    }

    /// Drops the tokens of a session.
    pub(super) fn forget_session(&self, session_id: &str) {
        let is_of = |token: &Arc<HeldToken>| token.session.session_id() == session_id;
        self.held.rcu(|held| {
            let mut next = TokenSet::clone(held);
            next.plain = next.plain.filter(|token| !is_of(token));
            next.scoped.retain(|(_, token)| !is_of(token));
            next
        });
    }

    /// Stores a new token, unless the current one is still good and was issued later: answers can overtake each other,
    /// and Clerk's edge may mint from older claims.
    pub(crate) fn put(&self, access: &Access, token: &Arc<HeldToken>, now: Instant) {
        token.used.store(self.uses.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.held.rcu(|held| {
            let mut next = TokenSet::clone(held);
            if access.scope.is_plain() {
                if next.plain.as_ref().is_none_or(|held| held.gives_way_to(token, now)) {
                    next.plain = Some(Arc::clone(token));
                }
                return next;
            }
            if let Some((_, held)) = next.scoped.iter_mut().find(|(key, _)| *key == access.scope) {
                if held.gives_way_to(token, now) {
                    *held = Arc::clone(token);
                }
                return next;
            }
            if next.scoped.len() >= MAX_SCOPED_TOKENS {
                let last_used = |(_, token): &(Scope, Arc<HeldToken>)| token.used.load(Ordering::Relaxed);
                let oldest = (0..next.scoped.len()).min_by_key(|at| last_used(&next.scoped[*at]));
                if let Some(oldest) = oldest {
                    next.scoped.swap_remove(oldest);
                }
            }
            next.scoped.push((access.scope.clone(), Arc::clone(token)));
            next
        });
    }
}
