//! Revocations as they concern Bearer tokens: nothing that was issued before a time is accepted (rule B5).
//!
//! A token that a client holds can't be taken away, and it says itself when it was issued. So a revocation is kept as a
//! time, until every token from before it has expired. The tombstones of [`Revocations`](crate::sessions::Revocations)
//! don't do for this: they are about flights, and are forgotten when no flight can be that old.
//!
//! A revocation that is dropped, since it is old or there is no room, raises the time before which no token of anyone is
//! accepted. That costs nothing if all tokens from before it have expired; otherwise it errs on the safe side.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::claims::Claims;
use crate::clock::{ClerkTime, unix_seconds};
use crate::sync::lock;

/// The tolerated difference in seconds between Clerk's clock and ours, as in Clerk's own SDKs (`clockSkewInMs`, 5000).
pub(crate) const LEEWAY: u64 = 5;

/// How long after a revocation a token can have been issued by its `iat` and still have been acceptable before it:
/// [`LEEWAY`], and a second because all times are cut off to seconds. It is also more than the estimate of Clerk's time
/// can be wrong by, which is two seconds and the fraction that `Date` lacks.
const SLACK: u64 = LEEWAY + 1;

/// The same while no answer of Clerk's has had a `Date`, and the time is this machine's. The leeway for tokens that Clerk
/// sends without a `Date` is as long.
const SLACK_BY_WALL: u64 = 60 + 1;

/// The life of Clerk's session tokens by default, in seconds:
/// <https://clerk.com/docs/guides/sessions/session-tokens>.
const DEFAULT_LIFE: u64 = 60;

/// Revocations that are kept. Beyond that the oldest is dropped.
const MOST: usize = 65_536;

/// Whose tokens a revocation concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CutoffTarget {
    Session(Box<str>),
    User(Box<str>),
    Organization(Box<str>),
    /// A user's tokens for an organization.
    Membership(Box<str>, Box<str>),
    /// The tokens that live longer than Clerk's session tokens do by default.
    LongLived,
    All,
}

/// The times before which tokens must not have been issued.
pub(crate) struct Cutoffs {
    time: Arc<ClerkTime>,
    /// For how long after a revocation a token from before it can live.
    needed_for: Duration,
    /// Grows with each revocation. A token that was checked in this generation needs no other check.
    generation: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    of: HashMap<CutoffTarget, Cutoff>,
    /// In the order of the revocations. Of a target that was revoked again, the older entry is void.
    order: VecDeque<(CutoffTarget, u64)>,
    /// Tokens that were issued before this time are refused, whosever they are.
    floor: u64,
}

#[derive(Clone, Copy)]
struct Cutoff {
    at: Instant,
    /// In seconds since the Unix epoch, by Clerk's clock as it was known at the revocation.
    before: u64,
    generation: u64,
}

impl Cutoffs {
    /// `longest_life` is the longest life of a token.
    pub(crate) fn new(time: Arc<ClerkTime>, longest_life: Duration) -> Self {
        Self {
            time,
            needed_for: longest_life + Duration::from_secs(SLACK_BY_WALL + LEEWAY),
            generation: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// Refuses the target's tokens that were issued by now.
    pub(crate) fn revoke(&self, target: CutoffTarget, now: Instant) {
        let mut kept = lock(&self.kept);
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        kept.drop_old(now, self.needed_for, |at| self.before(at));
        let cutoff = Cutoff { at: now, before: self.before(now), generation };
        kept.of.insert(target.clone(), cutoff);
        kept.order.push_back((target, generation));
        // Last, and under the lock: a check that sees this generation finds the cutoff.
        self.generation.store(generation, Ordering::Release);
    }

    /// The number of revocations so far, to be read before a check. One load.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a revocation concerns the token with these claims.
    pub(crate) fn refuse(&self, claims: &Claims) -> bool {
        let user = || claims.subject().into();
        let session = claims.session_id().map(|id| CutoffTarget::Session(id.into()));
        let organization = claims.organization().map(|organization| organization.id());
        let targets = [
            Some(CutoffTarget::All),
            Some(CutoffTarget::User(user())),
            session,
            organization.map(|id| CutoffTarget::Organization(id.into())),
            organization.map(|id| CutoffTarget::Membership(user(), id.into())),
            (claims.expires_at().saturating_sub(claims.issued_at()) > DEFAULT_LIFE)
                .then_some(CutoffTarget::LongLived),
        ];
        let (issued, kept) = (claims.issued_at(), lock(&self.kept));
        let is_from_before = |cutoff: &Cutoff| issued < cutoff.before.max(self.before(cutoff.at));
        issued < kept.floor
            || targets.iter().flatten().filter_map(|target| kept.of.get(target)).any(is_from_before)
    }

    /// The earliest `iat` of a token that was certainly issued after this instant, by what is known of Clerk's time now.
    /// A better reading may have come since the revocation, so it is computed anew at each check.
    fn before(&self, at: Instant) -> u64 {
        let slack = if self.time.is_told() { SLACK } else { SLACK_BY_WALL };
        unix_seconds(self.time.at(at)).saturating_add(slack)
    }
}

impl Kept {
    /// Drops what no living token is from before, and makes room for another entry.
    fn drop_old(&mut self, now: Instant, needed_for: Duration, before: impl Fn(Instant) -> u64) {
        while let Some((target, generation)) = self.order.front() {
            let cutoff = self.of.get(target).filter(|cutoff| cutoff.generation == *generation);
            let is_needed =
                cutoff.is_some_and(|cutoff| now.saturating_duration_since(cutoff.at) <= needed_for);
            if is_needed && self.order.len() < MOST {
                return;
            }
            if let Some(cutoff) = cutoff {
                self.floor = self.floor.max(cutoff.before).max(before(cutoff.at));
                self.of.remove(target);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Clock;

    const NOW: u64 = 1_900_000_000;
    const LIFE: Duration = Duration::from_secs(600);

    fn claims(iat: u64, more: &Value) -> Claims {
        let mut claims = json!({"iss": "x", "sub": "user_1", "sid": "sess_1", "iat": iat, "exp": iat + 600});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        Claims::from_payload(claims.to_string().as_bytes()).unwrap()
    }

    /// Cutoffs at [`NOW`] by Clerk's clock.
    fn cutoffs() -> Cutoffs {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
        let time = Arc::new(ClerkTime::new(clock));
        time.tell(clock.wall(), clock.now());
        Cutoffs::new(time, LIFE)
    }

    fn user(id: &str) -> CutoffTarget {
        CutoffTarget::User(id.into())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn b5_each_target_refuses_its_own_tokens_from_before() {
        let in_acme = json!({"org_id": "org_acme"});
        let member = |user: &str, org: &str| CutoffTarget::Membership(user.into(), org.into());
        for (target, personal, acme) in [
            (user("user_1"), true, true),
            (user("user_2"), false, false),
            (user("sess_1"), false, false),
            (CutoffTarget::Session("sess_1".into()), true, true),
            (CutoffTarget::Session("sess_2".into()), false, false),
            (CutoffTarget::Organization("org_acme".into()), false, true),
            (CutoffTarget::Organization("org_globex".into()), false, false),
            (member("user_1", "org_acme"), false, true),
            (member("user_2", "org_acme"), false, false),
            (member("user_1", "org_globex"), false, false),
            (CutoffTarget::LongLived, true, true),
            (CutoffTarget::All, true, true),
        ] {
            let cutoffs = cutoffs();
            let before = cutoffs.generation();
            cutoffs.revoke(target.clone(), Instant::now());
            assert_ne!(cutoffs.generation(), before);
            let refuses = |iat, more: &Value| cutoffs.refuse(&claims(iat, more));
            assert_eq!(refuses(NOW, &json!({})), personal, "{target:?}");
            assert_eq!(refuses(NOW, &in_acme), acme, "{target:?}");
            assert!(!refuses(NOW + SLACK, &in_acme), "{target:?}");
        }
    }

    /// Before the revocation a token with an `iat` up to five seconds ahead was acceptable.
    #[tokio::test(start_paused = true)]
    async fn b5_a_token_from_a_little_ahead_of_the_revocation_is_refused_and_a_later_one_is_not() {
        let cutoffs = cutoffs();
        tokio::time::advance(Duration::from_millis(999)).await;
        cutoffs.revoke(user("user_1"), Instant::now());
        assert!(cutoffs.refuse(&claims(NOW + LEEWAY, &json!({}))));
        assert!(!cutoffs.refuse(&claims(NOW + LEEWAY + 1, &json!({}))));
    }

    #[tokio::test(start_paused = true)]
    async fn b5_without_a_date_of_clerks_the_slack_is_a_minute() {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + seconds(NOW));
        let time = Arc::new(ClerkTime::new(clock));
        let cutoffs = Cutoffs::new(Arc::clone(&time), LIFE);
        cutoffs.revoke(user("user_1"), clock.now());
        assert!(cutoffs.refuse(&claims(NOW + 60, &json!({}))));
        assert!(!cutoffs.refuse(&claims(NOW + 61, &json!({}))));
        // This machine turns out to be five minutes behind: tokens of these minutes are from before the revocation.
        time.tell(clock.wall() + seconds(300), clock.now());
        assert!(cutoffs.refuse(&claims(NOW + 305, &json!({}))));
        assert!(!cutoffs.refuse(&claims(NOW + 306, &json!({}))));
    }

    /// A token that was acceptable by the time as it was known must not become acceptable by another reading.
    #[tokio::test(start_paused = true)]
    async fn b5_a_correction_of_the_time_lets_no_revoked_token_in() {
        let cutoffs = cutoffs();
        cutoffs.revoke(user("user_1"), Instant::now());
        let behind = SystemTime::UNIX_EPOCH + seconds(NOW - 300);
        cutoffs.time.tell(behind, Instant::now());
        cutoffs.time.tell(behind, Instant::now());
        assert_eq!(cutoffs.time.now(), behind);
        assert!(cutoffs.refuse(&claims(NOW + LEEWAY, &json!({}))));
    }

    #[tokio::test(start_paused = true)]
    async fn b5_a_revocation_is_kept_for_as_long_as_a_token_can_live() {
        let cutoffs = cutoffs();
        cutoffs.revoke(user("user_1"), Instant::now());
        tokio::time::advance(LIFE + seconds(SLACK_BY_WALL + LEEWAY)).await;
        cutoffs.revoke(user("user_2"), Instant::now());
        assert_eq!(lock(&cutoffs.kept).of.len(), 2);
        tokio::time::advance(seconds(1)).await;
        cutoffs.revoke(user("user_2"), Instant::now());
        {
            let kept = lock(&cutoffs.kept);
            assert_eq!((kept.of.len(), kept.order.len()), (1, 2), "of a user revoked twice, one cutoff");
        }
        assert!(cutoffs.refuse(&claims(NOW, &json!({}))), "even if the clock steps back");
        assert!(!cutoffs.refuse(&claims(NOW + SLACK, &json!({}))));
    }

    #[tokio::test(start_paused = true)]
    async fn b5_more_revocations_than_are_kept_refuse_everyones_tokens_from_before() {
        let cutoffs = cutoffs();
        cutoffs.revoke(user("first"), Instant::now());
        tokio::time::advance(seconds(30)).await;
        for count in 0..MOST - 1 {
            cutoffs.revoke(user(&format!("user-{count}")), Instant::now());
        }
        let stranger = |iat| cutoffs.refuse(&claims(iat, &json!({"sub": "stranger", "sid": "sess_2"})));
        assert!(!stranger(NOW), "all are kept");
        cutoffs.revoke(user("one too many"), Instant::now());
        assert!(stranger(NOW + LEEWAY) && !stranger(NOW + SLACK), "the first one is not");
        // A target that is revoked again and again takes no more room than others.
        for _ in 0..2 * MOST {
            cutoffs.revoke(user("again"), Instant::now());
        }
        let kept = lock(&cutoffs.kept);
        assert!(kept.order.len() <= MOST && kept.of.len() == 1);
    }

    /// A check that runs beside a revocation may come to either result, but none that starts after it may miss it.
    #[test]
    fn b5_no_check_that_starts_after_a_revocation_misses_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        for round in 0..200 {
            let cutoffs = cutoffs();
            let token = claims(NOW, &json!({}));
            let (checked, barrier) = (AtomicU64::new(cutoffs.generation()), std::sync::Barrier::new(2));
            std::thread::scope(|scope| {
                let checker = scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..100 {
                        let generation = cutoffs.generation();
                        if checked.load(Ordering::Relaxed) != generation && !cutoffs.refuse(&token) {
                            checked.store(generation, Ordering::Relaxed);
                        }
                    }
                });
                barrier.wait();
                cutoffs.revoke(user("user_1"), Instant::now());
                checker.join().unwrap();
            });
            assert_ne!(checked.load(Ordering::Relaxed), cutoffs.generation(), "round {round}");
        }
    }
}
