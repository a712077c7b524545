//! The tokens of one holding: one for the personal account, and one each for a few organizations and templates.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::hot::HotSessions;
use super::once_gate::OnceGate;
use super::revocations::{Generation, Mark};
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
    /// Of its organization, its membership and the like: revocations that it can't be found by.
    marks: Box<[Arc<Mark>]>,
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
    pub(crate) fn new(
        session: ClerkSession,
        life: Duration,
        renew_at: Instant,
        since: Generation,
        marks: Box<[Arc<Mark>]>,
    ) -> Self {
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
            marks,
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

    /// Until when requests for this access get the token.
    pub(super) fn good_for(&self, access: &Access) -> Instant {
        self.session.good_until() - access.least_life.of(self.life)
    }

    /// Whether `other` should replace this token. Tokens compare by `oiat`, the time that their claims are from, and
    /// then by `iat`, as in Clerk's own SDKs.
    fn gives_way_to(&self, other: &Self, now: Instant) -> bool {
        if self.freshness(&Access::default(), now) != Freshness::Good || self.is_revoked() {
            return true;
        }
        let fresh = |token: &Self| (token.session.origin_issued_at(), token.session.claims().issued_at());
        fresh(self) <= fresh(other)
    }

    pub(crate) fn life(&self) -> Duration {
        self.life
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

    /// Whether its organization or its membership was revoked since its mint started, or the like.
    pub(super) fn is_revoked(&self) -> bool {
        self.marks.iter().any(|mark| mark.is_after(self.since))
    }
}

/// All tokens of one session. Reading takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    held: ArcSwap<TokenSet>,
    uses: AtomicU64,
    /// The number of changes.
    version: AtomicU64,
    /// Where copies of these tokens are, which a change must clear.
    hot: OnceLock<Weak<HotSessions>>,
}

#[derive(Clone, Debug, Default)]
struct TokenSet {
    plain: Option<Arc<HeldToken>>,
    scoped: Vec<(Scope, Arc<HeldToken>)>,
}

impl Tokens {
    /// The session for a request, if there is a good token for this access; and whether the next token is due, which
    /// only one caller is told.
    pub(crate) fn good(&self, access: &Access, now: Instant) -> Option<(ClerkSession, bool)> {
        let held = self.held.load();
        let token = if access.scope.is_plain() {
            held.plain.as_ref()?
        } else {
            let (_, token) = held.scoped.iter().find(|(key, _)| *key == access.scope)?;
            if token.is_revoked() {
                return None;
            }
            token
        };
        if token.freshness(access, now) != Freshness::Good {
            return None;
        }
        self.note_use(token, access.scope.is_plain());
        let due = token.renewal.is_open(now) && token.renewal.pass(now);
        Some((token.session.clone(), due))
    }

    /// Notes that a request has got this token. Loads first, so that threads that share a token don't contend for its
    /// cache line.
    pub(super) fn note_use(&self, token: &HeldToken, is_plain: bool) {
        if !token.in_use.load(Ordering::Relaxed) {
            token.in_use.store(true, Ordering::Relaxed);
        }
        if !is_plain && token.used.load(Ordering::Relaxed) != self.uses.load(Ordering::Relaxed) {
            token.used.store(self.uses.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// The number of changes of the tokens.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Sets where copies of these tokens may be.
    pub(super) fn copied_in(&self, hot: &Arc<HotSessions>) {
        _ = self.hot.set(Arc::downgrade(hot));
    }

    fn change(&self, change: impl Fn(&mut TokenSet)) {
        self.held.rcu(|held| {
            let mut next = TokenSet::clone(held);
            change(&mut next);
            next
        });
        self.version.fetch_add(1, Ordering::Release);
        if let Some(hot) = self.hot.get().and_then(Weak::upgrade) {
            hot.clear_tokens(self);
        }
    }

    /// The token itself, if it is good. This neither counts as a use nor passes the renewal gate.
    pub(crate) fn good_as_is(&self, access: &Access, now: Instant) -> Option<Arc<HeldToken>> {
        self.held(access)
            .filter(|token| token.freshness(access, now) == Freshness::Good && !token.is_revoked())
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
        self.change(|tokens| {
            if access.scope.is_plain() {
                tokens.plain = None;
            }
            tokens.scoped.retain(|(key, _)| *key != access.scope);
        });
    }

    /// Drops the tokens of a session.
    pub(crate) fn forget_session(&self, session_id: &str) {
        let is_of = |token: &Arc<HeldToken>| token.session.session_id() == session_id;
        self.change(|tokens| {
            tokens.plain = tokens.plain.take().filter(|token| !is_of(token));
            tokens.scoped.retain(|(_, token)| !is_of(token));
        });
    }

    /// Stores a new token, unless the current one is still good and was issued later: answers can overtake each other,
    /// and Clerk's edge may mint from older claims.
    pub(crate) fn put(&self, access: &Access, token: &Arc<HeldToken>, now: Instant) {
        token.used.store(self.uses.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.change(|tokens| {
            if access.scope.is_plain() {
                if tokens.plain.as_ref().is_none_or(|held| held.gives_way_to(token, now)) {
                    tokens.plain = Some(Arc::clone(token));
                }
                return;
            }
            if let Some((_, held)) = tokens.scoped.iter_mut().find(|(key, _)| *key == access.scope) {
                if held.gives_way_to(token, now) {
                    *held = Arc::clone(token);
                }
                return;
            }
            if tokens.scoped.len() >= MAX_SCOPED_TOKENS {
                let last_used = |(_, token): &(Scope, Arc<HeldToken>)| token.used.load(Ordering::Relaxed);
                let oldest = (0..tokens.scoped.len()).min_by_key(|at| last_used(&tokens.scoped[*at]));
                if let Some(oldest) = oldest {
                    tokens.scoped.swap_remove(oldest);
                }
            }
            tokens.scoped.push((access.scope.clone(), Arc::clone(token)));
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::revocations::{Revocations, Target};
    use super::*;
    use crate::claims::Claims;
    use crate::token::VerifiedToken;

    /// While the locks of the revocations are held by this very thread, a hit that takes one of them never returns.
    #[tokio::test(start_paused = true)]
    async fn w6_a_use_of_an_organizations_token_takes_no_lock_of_the_revocations() {
        let (revocations, now) = (Revocations::new(Duration::from_secs(30)), Instant::now());
        let access = Access::new().organization("acme");
        let membership = |user: &str| Target::Membership(user.into(), "org_acme".into());
        let token = |since: Generation| {
            let claims = json!({"iss": "x", "sub": "jane", "iat": 1, "exp": 61, "org_id": "org_acme"});
            let claims = Claims::from_payload(claims.to_string().as_bytes()).unwrap();
            let (token, life) = (VerifiedToken::new("a.b.c", claims), Duration::from_secs(60));
            let session = ClerkSession::new("sess_1", None, token, now + life, None);
            let marks = [Target::Organization("org_acme".into()), membership("jane")];
            let marks = marks.map(|target| revocations.mark(target)).into();
            Arc::new(HeldToken::new(session, life, now + life, since, marks))
        };
        let tokens = Tokens::default();
        tokens.put(&access, &token(revocations.now()), now);
        let strangers =
            [membership("bob"), Target::Organization("globex".into()), Target::LongLived, Target::All];
        strangers.into_iter().for_each(|target| revocations.revoke(target, now));
        let hit = || revocations.while_locked(|| tokens.good(&access, now).is_some());
        assert!(hit());
        for revoked in [membership("jane"), Target::Organization("org_acme".into())] {
            revocations.revoke(revoked, now);
            assert!(!hit());
            assert!(tokens.good_as_is(&access, now).is_none());
            tokens.put(&access, &token(revocations.now()), now);
            assert!(hit(), "a token from after the revocation");
        }
    }
}
