//! Revocations as they concern Bearer tokens: nothing that was issued before a time is accepted (rule B5).
//!
//! A token that a client holds can't be taken away, and it says itself when it was issued. So a revocation is kept as a
//! time, until every token from before it has expired. The tombstones of [`Revocations`](crate::sessions::Revocations)
//! don't do for this: they are about flights, and are forgotten when no flight can be that old.
//!
//! A revocation that is dropped, since it is old or there is no room, raises the time before which no token of anyone is
//! accepted. That costs nothing if all tokens from before it have expired; otherwise it errs on the safe side.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::claims::Claims;
use crate::clock::{ClerkTime, unix_seconds};
use crate::recent::{Event, Recent};
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

/// The slots of targets. A token that is held is compared with the revocations again when there was one in a slot of
/// its targets, so of a thousand revocations of strangers one or two make it compare. A slot takes eight bytes.
const SLOTS: u64 = 4096;

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
    /// How long a token from before a revocation can live after it.
    life: Duration,
    kept: Mutex<Kept>,
    /// By slot: the generation of the last revocation of a target in it. A token that was checked in the present generation of
    /// its slots needs no other check.
    generations: Box<[AtomicU64]>,
}

struct Kept {
    /// With the time in seconds since the Unix epoch, by Clerk's clock as it was known at the revocation.
    recent: Recent<CutoffTarget, u64>,
    /// The number of revocations.
    generation: u64,
    /// Tokens that were issued before this time are refused, whosever they are.
    floor: u64,
}

/// The slots of the targets that a token belongs to.
pub(crate) type Slots = Box<[u16]>;

impl Cutoffs {
    /// `longest_life` is the longest life of a token.
    pub(crate) fn new(time: Arc<ClerkTime>, longest_life: Duration) -> Self {
        let life = longest_life + Duration::from_secs(SLACK_BY_WALL + LEEWAY);
        Self {
            time,
            life,
            kept: Mutex::new(Kept { recent: Recent::new(life), generation: 0, floor: 0 }),
            generations: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// How long a token from before a revocation can live after it.
    #[cfg(feature = "redis")]
    pub(crate) fn life(&self) -> Duration {
        self.life
    }

    /// Refuses the target's tokens that were issued by now.
    pub(crate) fn revoke(&self, target: CutoffTarget, now: Instant) {
        let slot = slot_of(&target);
        let mut kept = lock(&self.kept);
        let Kept { recent, generation, floor } = &mut *kept;
        let (before, mut concerns_held) = (*floor, false);
        *generation += 1;
        let event = Event { generation: *generation, at: now, value: self.before(now) };
        recent.put(target, event, |dropped| {
            *floor = (*floor).max(dropped.value).max(self.before(dropped.at));
            // A cutoff that is dropped for its age is older than every token that is held.
            concerns_held |= now.saturating_duration_since(dropped.at) <= self.life;
        });
        // Last, and under the lock: a check that sees this generation finds the cutoff.
        if concerns_held && *floor > before {
            self.generations[slot_of(&CutoffTarget::All)].store(*generation, Ordering::Release);
        }
        self.generations[slot].store(*generation, Ordering::Release);
    }

    /// The generation of the last revocation in these slots, to be read before a check. One load for each slot.
    pub(crate) fn generation(&self, slots: &Slots) -> u64 {
        let generation = |slot: &u16| self.generations[usize::from(*slot)].load(Ordering::Acquire);
        slots.iter().map(generation).max().unwrap_or_default()
    }

    /// Whether a revocation concerns the token with these claims.
    pub(crate) fn refuse(&self, claims: &Claims) -> bool {
        let (issued, kept) = (claims.issued_at(), lock(&self.kept));
        let is_from_before = |cutoff: &Event<u64>| issued < cutoff.value.max(self.before(cutoff.at));
        issued < kept.floor
            || targets(claims).iter().filter_map(|target| kept.recent.get(target)).any(is_from_before)
    }

    /// The earliest `iat` of a token that was certainly issued after this instant, by what is known of Clerk's time now.
    /// A better reading may have come since the revocation, so it is computed anew at each check.
    fn before(&self, at: Instant) -> u64 {
        let slack = if self.time.is_told() { SLACK } else { SLACK_BY_WALL };
        unix_seconds(self.time.at(at)).saturating_add(slack)
    }
}

/// The slots of a token with these claims.
pub(crate) fn slots(claims: &Claims) -> Slots {
    targets(claims).iter().map(|target| slot_of(target) as u16).collect()
}

fn slot_of(target: &CutoffTarget) -> usize {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    (hasher.finish() % SLOTS) as usize
}

/// The targets that a token with these claims belongs to.
fn targets(claims: &Claims) -> Vec<CutoffTarget> {
    let user = || claims.subject().into();
    let mut targets = vec![CutoffTarget::All, CutoffTarget::User(user())];
    targets.extend(claims.session_id().map(|id| CutoffTarget::Session(id.into())));
    if let Some(organization) = claims.organization() {
        targets.push(CutoffTarget::Organization(organization.id().into()));
        targets.push(CutoffTarget::Membership(user(), organization.id().into()));
    }
    if claims.expires_at().saturating_sub(claims.issued_at()) > DEFAULT_LIFE {
        targets.push(CutoffTarget::LongLived);
    }
    targets
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Clock;
    use crate::recent::MOST;

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
            let slots = slots(&claims(NOW, &in_acme));
            cutoffs.revoke(target.clone(), Instant::now());
            assert!(cutoffs.generation(&slots) == 1 || !acme, "{target:?} makes a held token compare");
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
        assert_eq!(lock(&cutoffs.kept).recent.len(), 2);
        tokio::time::advance(seconds(1)).await;
        cutoffs.revoke(user("user_2"), Instant::now());
        {
            assert_eq!(lock(&cutoffs.kept).recent.len(), 1, "of a user revoked twice, one cutoff");
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
        // A target takes no more room for being revoked again and again.
        for _ in 0..2 * MOST {
            cutoffs.revoke(user("user-0"), Instant::now());
        }
        let claims = |iat| claims(iat, &json!({"sub": "stranger", "sid": "sess_2"}));
        let stranger = |iat| cutoffs.refuse(&claims(iat));
        assert!(!stranger(NOW), "all are kept");
        let slots = slots(&claims(NOW));
        let checked = cutoffs.generation(&slots);
        cutoffs.revoke(user("one too many"), Instant::now());
        assert!(stranger(NOW + LEEWAY) && !stranger(NOW + SLACK), "the first one is not");
        assert_ne!(cutoffs.generation(&slots), checked, "a held token compares again");
        assert_eq!(lock(&cutoffs.kept).recent.len(), MOST);
    }

    /// A revocation that is forgotten for its age concerned no token that is still held.
    #[tokio::test(start_paused = true)]
    async fn w6_a_steady_stream_of_strangers_revocations_makes_a_held_token_compare_seldom() {
        let (cutoffs, start) = (cutoffs(), Instant::now());
        let held = slots(&claims(NOW, &json!({})));
        let (mut compared, mut checked) = (0, cutoffs.generation(&held));
        for at in 0..3_000 {
            cutoffs.revoke(user(&format!("stranger {at}")), Instant::now());
            if cutoffs.generation(&held) != checked {
                (compared, checked) = (compared + 1, cutoffs.generation(&held));
            }
            tokio::time::advance(seconds(1)).await;
        }
        assert!(start.elapsed() > 4 * LIFE && lock(&cutoffs.kept).recent.len() < 1_000);
        // A token has three slots of 4,096.
        assert!(compared < 30, "{compared} of 3,000");
    }

    #[tokio::test(start_paused = true)]
    async fn w6_revocations_of_strangers_make_few_held_tokens_compare() {
        let cutoffs = cutoffs();
        let held: Vec<_> = (0..1_000)
            .map(|at| {
                let names =
                    json!({"sub": format!("user_{at}"), "sid": format!("sess_{at}"), "org_id": "org_acme"});
                slots(&claims(NOW, &names))
            })
            .collect();
        for at in 0..50 {
            cutoffs.revoke(user(&format!("stranger {at}")), Instant::now());
        }
        // Each of the 50 is in one of 4,096 slots, and a token has six.
        let compare = held.iter().filter(|slots| cutoffs.generation(slots) > 0).count();
        assert!(compare < 250, "{compare} of 1,000");
    }

    /// A check that runs beside a revocation may come to either result, but none that starts after it may miss it.
    #[test]
    fn b5_no_check_that_starts_after_a_revocation_misses_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        for round in 0..200 {
            let cutoffs = cutoffs();
            let token = claims(NOW, &json!({}));
            let slots = slots(&token);
            let (checked, barrier) = (AtomicU64::new(cutoffs.generation(&slots)), std::sync::Barrier::new(2));
            std::thread::scope(|scope| {
                let checker = scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..100 {
                        let generation = cutoffs.generation(&slots);
                        if checked.load(Ordering::Relaxed) != generation && !cutoffs.refuse(&token) {
                            checked.store(generation, Ordering::Relaxed);
                        }
                    }
                });
                barrier.wait();
                cutoffs.revoke(user("user_1"), Instant::now());
                checker.join().unwrap();
            });
            assert_ne!(checked.load(Ordering::Relaxed), cutoffs.generation(&slots), "round {round}");
        }
    }
}
