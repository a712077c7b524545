//! The sessions in memory: moka as an LRU map, and a janitor of our own for their ends.
//!
//! LRU, because under moka's default policy a warm full cache throws each *new* session out at once, and only
//! proven sessions get in anyway. Ends are ours, because moka's clock can't be driven in a test and is a second clock
//! read for each hit: the end is a field of the session.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, Weak};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::leavers::Leavers;
use super::live::LiveSession;
use crate::clock::Clock;
use crate::key::{CredentialKey, PassThrough};
use crate::sync::lock;

/// The live sessions of one engine.
pub(crate) struct Sessions {
    cache: Cache<CredentialKey, Arc<LiveSession>, PassThrough>,
    leavers: Arc<Leavers>,
    by_id: Arc<ById>,
    books: Mutex<Books>,
    wake: Arc<Notify>,
    clock: Clock,
    most: u64,
}

/// Sessions by Clerk's id, for as long as they are in the cache. Two credentials of one user can share one.
type ById = Mutex<HashMap<Box<str>, Vec<Weak<LiveSession>>>>;

/// Takes a holder of a session out. Whether there is another one.
fn unlist(by_id: &ById, live: &Arc<LiveSession>) -> bool {
    for sibling in live.siblings() {
        unlist_id(by_id, &sibling.session_id, live);
    }
    unlist_id(by_id, &live.session_id, live)
}

fn unlist_id(by_id: &ById, session_id: &str, live: &Arc<LiveSession>) -> bool {
    let mut by_id = lock(by_id);
    let Some(holders) = by_id.get_mut(session_id) else { return false };
    holders.retain(|held| held.upgrade().is_some_and(|held| !Arc::ptr_eq(&held, live) && !held.is_over()));
    let shared = !holders.is_empty();
    if !shared {
        by_id.remove(session_id);
    }
    shared
}

/// When the sessions end, in order.
#[derive(Default)]
struct Books {
    ends: BinaryHeap<Reverse<Line>>,
    janitor: bool,
}

/// When a session ends, as far as is known: a proof may have been renewed since.
struct Line {
    end: Instant,
    key: CredentialKey,
    live: Weak<LiveSession>,
}

impl Line {
    fn of(live: &Arc<LiveSession>) -> Reverse<Self> {
        Reverse(Self { end: live.proof_end(), key: live.key, live: Arc::downgrade(live) })
    }
}

impl Ord for Line {
    fn cmp(&self, other: &Self) -> Ordering {
        self.end.cmp(&other.end)
    }
}

impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.end == other.end
    }
}

impl Eq for Line {}

impl Sessions {
    pub(crate) fn new(most: u64, clock: Clock, leavers: Arc<Leavers>) -> Arc<Self> {
        let by_id: Arc<ById> = Arc::default();
        let (leaving, listed) = (Arc::clone(&leavers), Arc::clone(&by_id));
        let cache = Cache::builder()
            .max_capacity(most)
            .eviction_policy(EvictionPolicy::lru())
            // Runs in the thread that inserts, so it does next to nothing.
            .eviction_listener(move |_, live: Arc<LiveSession>, _| {
                live.mark_over();
                live.siblings().iter().filter(|it| it.is_to_end()).for_each(|it| leaving.leave(it));
                // It is ended with the last who uses it.
                if !unlist(&listed, &live) {
                    leaving.leave(&live);
                }
            })
            .build_with_hasher(PassThrough::default());
        Arc::new(Self { cache, leavers, by_id, books: Mutex::default(), wake: Arc::default(), clock, most })
    }

    /// The live session of a credential. No lock, no upstream call.
    pub(crate) fn get(&self, key: &CredentialKey, now: Instant) -> Option<Arc<LiveSession>> {
        self.cache.get(key).filter(|live| live.is_live(now))
    }

    /// Takes a session in, in the place of an older one of the same credential.
    pub(crate) fn insert(self: &Arc<Self>, live: &Arc<LiveSession>) {
        self.list(&live.session_id, live);
        self.cache.insert(live.key, Arc::clone(live));
        // moka makes room when it gets round to it; who has to go is ended now. Sign-ins are rare enough for it.
        self.cache.run_pending_tasks();
        if let Some(oldest) = live.user.add(live) {
            self.remove(&oldest);
        }
        let end = live.proof_end();
        let mut books = lock(&self.books);
        books.ends.push(Line::of(live));
        // What was replaced, evicted or revoked leaves its lines behind; so many of them are not worth keeping.
        if books.ends.len() as u64 > self.most.saturating_mul(2).saturating_add(1024) {
            books.ends.retain(|Reverse(line)| line.live.upgrade().is_some_and(|live| !live.is_over()));
        }
        let first = books.ends.peek().is_some_and(|Reverse(line)| line.end == end);
        let start = !std::mem::replace(&mut books.janitor, true);
        drop(books);
        if start {
            let here = AtWork(Arc::downgrade(self));
            tokio::spawn(janitor(here, Arc::clone(&self.wake)));
        } else if first {
            self.wake.notify_one();
        }
    }

    /// The same, and has it ended at Clerk also where sessions are kept.
    pub(crate) fn remove_and_end(&self, live: &Arc<LiveSession>) {
        live.mark_to_end();
        self.remove(live);
    }

    /// Drops this very session; one that has taken its place stays.
    pub(crate) fn remove(&self, live: &Arc<LiveSession>) {
        live.mark_over();
        self.cache.entry(live.key).and_compute_with(|entry| match entry {
            Some(entry) if Arc::ptr_eq(entry.value(), live) => Op::Remove,
            _ => Op::Nop,
        });
    }

    /// Makes a session known by an id: its own, or that of a sibling.
    pub(crate) fn list(&self, session_id: &str, live: &Arc<LiveSession>) {
        let mut by_id = lock(&self.by_id);
        // Siblings are dropped without a word here.
        if by_id.len() as u64 > self.most.saturating_mul(2).saturating_add(1024) {
            by_id.retain(|id, holders| {
                holders.retain(|held| held.upgrade().is_some_and(|held| held.goes_by(id)));
                !holders.is_empty()
            });
        }
        by_id.entry(session_id.into()).or_default().push(Arc::downgrade(live));
    }

    /// Those who use a session of this id.
    pub(crate) fn by_id(&self, session_id: &str) -> Vec<Arc<LiveSession>> {
        lock(&self.by_id).get(session_id).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Whether another one uses the same session.
    pub(crate) fn is_shared(&self, live: &Arc<LiveSession>) -> bool {
        self.by_id(&live.session_id).iter().any(|held| !Arc::ptr_eq(held, live) && !held.is_over())
    }

    /// All that are held.
    pub(crate) fn all(&self) -> Vec<Arc<LiveSession>> {
        self.cache.iter().map(|(_, live)| live).collect()
    }

    /// Takes all sessions out, for whom else but the leavers to deal with.
    pub(crate) fn drain(&self) -> Vec<Arc<LiveSession>> {
        let all = self.all();
        for live in &all {
            self.leavers.taken_by_hand(live);
            self.remove(live);
        }
        all
    }

    /// How many are held.
    pub(crate) fn len(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    /// Removes what has ended, and says when the next end is.
    fn sweep(&self) -> Option<Instant> {
        let now = self.clock.now();
        loop {
            let line = {
                let mut books = lock(&self.books);
                match books.ends.peek() {
                    Some(Reverse(line)) if line.end <= now => {}
                    next => {
                        let next = next.map(|Reverse(line)| line.end);
                        drop(books);
                        self.cache.run_pending_tasks();
                        return next;
                    }
                }
                books.ends.pop()
            };
            let Some(Reverse(line)) = line else { continue };
            // A session that has come in its place has a line of its own.
            let Some(live) = line.live.upgrade() else { continue };
            if live.is_live(now) {
                lock(&self.books).ends.push(Line::of(&live));
                continue;
            }
            // The cache's own, or one that was dropped in the meantime and is still in somebody's hands.
            self.cache.entry(line.key).and_compute_with(|entry| match entry {
                Some(entry) if Arc::ptr_eq(entry.value(), &live) && !live.is_live(now) => Op::Remove,
                _ => Op::Nop,
            });
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// The janitor, which may end with its runtime: the next session that comes in starts another.
struct AtWork(Weak<Sessions>);

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(sessions) = self.0.upgrade() {
            lock(&sessions.books).janitor = false;
        }
    }
}

/// Wakes at each end. It holds no session and no engine: it ends with them.
async fn janitor(sessions: AtWork, wake: Arc<Notify>) {
    loop {
        let next = match sessions.0.upgrade() {
            Some(sessions) => sessions.sweep(),
            None => return,
        };
        match next {
            Some(at) => _ = tokio::time::timeout_at(at, wake.notified()).await,
            None => wake.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Generation, Parts, Proof, Revocations, Tokens, Users};
    use super::*;
    use crate::credentials::Decoding;
    use crate::fapi::{ClientSlot, ClientToken};
    use crate::key::{KeySecret, Strategy};

    const MINUTE: Duration = Duration::from_secs(60);
    /// After the janitor, where both wake at one instant.
    const TICK: Duration = Duration::from_millis(1);

    struct Bench {
        sessions: Arc<Sessions>,
        leavers: Arc<Leavers>,
        users: Users,
        secret: KeySecret,
        since: Generation,
        made: usize,
    }

    impl Bench {
        fn new(most: u64) -> Self {
            let leavers = Leavers::new(false);
            let sessions = Sessions::new(most, Clock::system(), Arc::clone(&leavers));
            let since = Revocations::new(MINUTE).now();
            Self {
                sessions,
                leavers,
                users: Users::default(),
                secret: KeySecret::from([7; 32]),
                since,
                made: 0,
            }
        }

        fn key(&self, credential: &str) -> CredentialKey {
            self.secret.credential(Strategy::Password, Decoding::Plain, credential.as_bytes())
        }

        /// A session whose proof stands for so long.
        fn sign_in(&mut self, credential: &str, stands: Duration) -> Arc<LiveSession> {
            self.made += 1;
            let live = Arc::new(LiveSession::new(Parts {
                key: self.key(credential),
                user: self.users.of(credential),
                session_id: format!("sess_{}", self.made).into(),
                client: Arc::new(ClientSlot::new(ClientToken::new("token"))),
                tokens: Tokens::default(),
                memberships: None,
                opened_for: None,
                start: Instant::now(),
                proof: Proof { end: Instant::now() + stands, renew: None },
                session_end: None,
                choose_organization: false,
                active_organization: None,
                since: self.since,
            }));
            self.sessions.insert(&live);
            live
        }

        fn lines(&self) -> (usize, usize) {
            (lock(&self.sessions.books).ends.len(), lock(&self.sessions.by_id).len())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k10_the_janitor_removes_on_time_what_has_ended_and_nothing_else() {
        let mut bench = Bench::new(10);
        let (short, long) = (bench.sign_in("a", MINUTE), bench.sign_in("b", 3 * MINUTE));
        let first = bench.sign_in("c", MINUTE / 2);
        tokio::time::sleep(MINUTE / 2 + TICK).await;
        assert!(first.is_over() && !short.is_over());
        // Renewed ahead of its end.
        short.renew_proof(Proof { end: Instant::now() + MINUTE, renew: None });
        tokio::time::sleep(MINUTE / 2).await;
        assert_eq!((short.is_over(), bench.sessions.len(), bench.leavers.outstanding()), (false, 2, 1));
        tokio::time::sleep(MINUTE / 2 + TICK).await;
        assert_eq!((short.is_over(), long.is_over(), bench.sessions.len()), (true, false, 1));
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!((bench.sessions.len(), bench.leavers.outstanding(), bench.lines()), (0, 3, (0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_a_session_that_is_replaced_all_the_time_leaves_few_lines_behind() {
        let mut bench = Bench::new(10);
        // Nobody keeps what has left.
        let mut queue = bench.leavers.take().unwrap();
        tokio::spawn(async move { while queue.recv().await.is_some() {} });
        for _ in 0..3_000 {
            drop(bench.sign_in("a", MINUTE));
            tokio::time::sleep(MINUTE.mul_f64(0.8)).await;
            let (ends, by_id) = bench.lines();
            assert!(ends <= 3 && by_id == 1, "{ends} and {by_id} lines for one session");
        }
        assert_eq!(bench.sessions.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn k7_the_least_recently_used_goes_and_never_who_has_just_come() {
        let mut bench = Bench::new(2);
        let (a, b) = (bench.sign_in("a", MINUTE), bench.sign_in("b", MINUTE));
        assert!(bench.sessions.get(&bench.key("a"), Instant::now()).is_some());
        let c = bench.sign_in("c", MINUTE);
        assert_eq!((a.is_over(), b.is_over(), c.is_over()), (false, true, false));
        for at in 0..100 {
            let live = bench.sign_in(&format!("another {at}"), MINUTE);
            assert!(!live.is_over() && bench.sessions.len() == 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_a_session_leaves_its_successor_alone() {
        let mut bench = Bench::new(2);
        let (old, new) = (bench.sign_in("a", MINUTE), bench.sign_in("a", MINUTE));
        assert!(old.is_over(), "who is replaced is over");
        bench.sessions.remove(&old);
        assert!(
            bench.sessions.get(&bench.key("a"), Instant::now()).is_some_and(|held| Arc::ptr_eq(&held, &new))
        );
        bench.sessions.remove(&new);
        assert!(bench.sessions.get(&bench.key("a"), Instant::now()).is_none());
    }

    /// No scan: a hundred thousand users are revoked in about the time that it takes to look each up.
    #[tokio::test(start_paused = true)]
    async fn k9_revoking_one_of_a_hundred_thousand_touches_that_one_alone() {
        let mut bench = Bench::new(100_000);
        for at in 0..100_000 {
            bench.sign_in(&format!("user {at}"), MINUTE);
        }
        assert_eq!(bench.sessions.len(), 100_000);
        let started = std::time::Instant::now();
        for at in 0..10_000 {
            let sessions = bench.users.revoke(&format!("user {at}"));
            assert_eq!(sessions.len(), 1);
            sessions.iter().for_each(|live| bench.sessions.remove(live));
        }
        // A look at each session would be 10^9 of them, minutes in this build.
        assert!(started.elapsed() < Duration::from_secs(20), "{:?} for 10,000 of them", started.elapsed());
        assert_eq!(bench.sessions.len(), 90_000);
    }
}
