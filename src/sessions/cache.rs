//! The proofs in memory, found by credential: moka as an LRU map, and a sweeper for their ends.
//!
//! LRU, because under moka's default policy a warm full cache throws each *new* entry out at once, and only proven
//! credentials get in anyway. Ends are kept here, because moka's clock can't be driven in a test and is a second clock
//! read for each hit: the end is a field of the proof.

use std::sync::{Arc, Mutex, Weak};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::end_queue::EndQueue;
use super::expiry::ExpiryQueue;
use super::holding::Holding;
use super::index::SessionIndex;
use super::proof::Proof;
use super::session::{Session, SessionState};
use super::users::{EndPolicy, HoldingIsOver, Joined, Sharing};
use crate::clock::Clock;
use crate::key::{CredentialKey, PassThrough};
use crate::sync::lock;

/// The proofs of one engine, and the sessions that they are served by.
pub(crate) struct Sessions {
    cache: Cache<CredentialKey, Arc<Proof>, PassThrough>,
    end_queue: Arc<EndQueue>,
    index: Arc<SessionIndex>,
    expiry: Mutex<Expiry>,
    wake: Arc<Notify>,
    clock: Clock,
    most: u64,
}

#[derive(Default)]
struct Expiry {
    queue: ExpiryQueue,
    /// Whether a sweeper runs.
    swept: bool,
}

impl Sessions {
    pub(crate) fn new(most: u64, clock: Clock, end_queue: Arc<EndQueue>) -> Arc<Self> {
        let index: Arc<SessionIndex> = Arc::default();
        let (leaving, listed) = (Arc::clone(&end_queue), Arc::clone(&index));
        let cache = Cache::builder()
            .max_capacity(most)
            .eviction_policy(EvictionPolicy::lru())
            // Runs in the thread that inserts, so it does next to nothing.
            .eviction_listener(move |_, proof: Arc<Proof>, _| {
                proof.mark_over();
                if proof.holding.user.leave(&proof, EndPolicy::UnlessStored, &leaving) {
                    listed.unlist_all(&proof.holding);
                }
            })
            .build_with_hasher(PassThrough::default());
        Arc::new(Self {
            cache,
            end_queue,
            index,
            expiry: Mutex::default(),
            wake: Arc::default(),
            clock,
            most,
        })
    }

    /// The proof of a credential, in whichever state, unless its time is up.
    pub(crate) fn find(&self, key: &CredentialKey, now: Instant) -> Option<Arc<Proof>> {
        self.cache.get(key).filter(|proof| !proof.has_ended(now))
    }

    /// The live proof of a credential. No lock, no upstream call.
    pub(crate) fn get(&self, key: &CredentialKey, now: Instant) -> Option<Arc<Proof>> {
        self.cache.get(key).filter(|proof| proof.is_live(now))
    }

    /// Takes a proof of this session in, in the place of an older one of the same credential. It points at a holding in
    /// use if one fits, and otherwise at `own`.
    ///
    /// # Errors
    ///
    /// The session is being ended.
    pub(crate) fn insert(
        self: &Arc<Self>,
        session: &Arc<Session>,
        own: &Arc<Holding>,
        sharing: Sharing,
        prove: impl FnOnce(Arc<Holding>) -> Arc<Proof>,
    ) -> Result<Arc<Proof>, HoldingIsOver> {
        let Joined { proof, oldest, displaced } = session.user.join(session, own, sharing, prove)?;
        self.release_displaced(displaced);
        proof.holding.sessions().iter().for_each(|session| self.index.list(session));
        self.cache.insert(proof.key, Arc::clone(&proof));
        // moka makes room when it gets round to it; what has to go is ended now. Sign-ins are rare enough for it.
        self.cache.run_pending_tasks();
        if let Some(oldest) = oldest {
            self.remove(&oldest, EndPolicy::UnlessStored);
        }
        let mut expiry = lock(&self.expiry);
        let is_first = expiry.queue.push(&proof, self.most);
        let start = !std::mem::replace(&mut expiry.swept, true);
        drop(expiry);
        if start {
            let sweeping = Sweeping(Arc::downgrade(self));
            tokio::spawn(sweeper(sweeping, Arc::clone(&self.wake)));
        } else if is_first {
            self.wake.notify_one();
        }
        Ok(proof)
    }

    /// Adds a session for another organization to a holding in use.
    ///
    /// # Errors
    ///
    /// The holding has been given up in the meantime.
    pub(crate) fn add(&self, holding: &Holding, session: &Arc<Session>) -> Result<(), HoldingIsOver> {
        self.release_displaced(holding.user.add_session(holding, session)?);
        self.index.list(session);
        Ok(())
    }

    /// Another session has taken the place of this one.
    fn release_displaced(&self, displaced: Option<Arc<Session>>) {
        if let Some(displaced) = displaced {
            self.index.unlist(&displaced);
            self.end_queue.leave(&displaced);
        }
    }

    /// Drops this very proof; one that has taken its place stays. Whether it was the last of its holding.
    pub(crate) fn remove(&self, proof: &Arc<Proof>, policy: EndPolicy) -> bool {
        proof.mark_over();
        let was_last = proof.holding.user.leave(proof, policy, &self.end_queue);
        if was_last {
            self.index.unlist_all(&proof.holding);
        }
        self.cache.entry(proof.key).and_compute_with(|entry| match entry {
            Some(entry) if Arc::ptr_eq(entry.value(), proof) => Op::Remove,
            _ => Op::Nop,
        });
        was_last
    }

    /// Drops all proofs that point at a holding: each password has to be proven again.
    pub(crate) fn void(&self, holding: &Arc<Holding>) {
        for proof in holding.user.proofs_on(holding) {
            self.remove(&proof, EndPolicy::UnlessStored);
        }
    }

    /// Gives up a holding that no proof has joined, and has its sessions ended.
    pub(crate) fn abandon(&self, holding: &Arc<Holding>) -> bool {
        holding.user.abandon(holding, EndPolicy::Always, &self.end_queue)
    }

    /// The session of this id, as long as it is in use here.
    pub(crate) fn by_id(&self, session_id: &str) -> Option<Arc<Session>> {
        self.index.get(session_id)
    }

    /// All that are held.
    pub(crate) fn all(&self) -> Vec<Arc<Proof>> {
        self.cache.iter().map(|(_, proof)| proof).collect()
    }

    /// Takes all proofs out, and returns their sessions, which the caller ends.
    pub(crate) fn drain(&self) -> Vec<Arc<Session>> {
        let mut drained = Vec::new();
        for proof in self.all() {
            for session in proof.holding.sessions() {
                if session.state() == SessionState::Live {
                    session.advance(SessionState::EndedElsewhere);
                    drained.push(session);
                }
            }
            self.remove(&proof, EndPolicy::UnlessStored);
        }
        drained
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
            let due = lock(&self.expiry).queue.pop_due(now);
            let proof = match due {
                Ok(Some(proof)) => proof,
                Ok(None) => continue,
                Err(next) => {
                    self.cache.run_pending_tasks();
                    return next;
                }
            };
            if !proof.has_ended(now) {
                lock(&self.expiry).queue.push(&proof, self.most);
            } else {
                // A proof that was renewed between the look and the removal stays.
                self.cache.entry(proof.key).and_compute_with(|entry| match entry {
                    Some(entry) if Arc::ptr_eq(entry.value(), &proof) && proof.has_ended(now) => Op::Remove,
                    _ => Op::Nop,
                });
            }
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// The sweeper, which may end with its runtime: the next proof that comes in starts another.
struct Sweeping(Weak<Sessions>);

impl Drop for Sweeping {
    fn drop(&mut self) {
        if let Some(sessions) = self.0.upgrade() {
            lock(&sessions.expiry).swept = false;
        }
    }
}

/// Wakes at each end. It holds no proof and no engine: it ends with them.
async fn sweeper(sweeping: Sweeping, wake: Arc<Notify>) {
    loop {
        let next = match sweeping.0.upgrade() {
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

    use super::super::{NewSession, ProofLife, Users};
    use super::*;
    use crate::client_token::{ClientSlot, ClientToken};
    use crate::credentials::Decoding;
    use crate::key::{KeySecret, Strategy};

    const MINUTE: Duration = Duration::from_secs(60);
    /// After the sweeper, where both wake at one instant.
    const TICK: Duration = Duration::from_millis(1);

    struct Bench {
        sessions: Arc<Sessions>,
        end_queue: Arc<EndQueue>,
        users: Users,
        secret: KeySecret,
        made: usize,
    }

    /// Takes in a proof that has its holding already.
    fn insert(sessions: &Arc<Sessions>, proof: &Arc<Proof>) -> Result<(), HoldingIsOver> {
        let (session, own) = (proof.holding.session(), &proof.holding);
        sessions.insert(&session, own, Sharing::OneSession, |_| Arc::clone(proof)).map(drop)
    }

    impl Bench {
        fn new(most: u64) -> Self {
            let end_queue = EndQueue::new(false);
            let sessions = Sessions::new(most, Clock::system(), Arc::clone(&end_queue));
            Self { sessions, end_queue, users: Users::default(), secret: KeySecret::from([7; 32]), made: 0 }
        }

        fn key(&self, credential: &str) -> CredentialKey {
            self.secret.credential(Strategy::Password, Decoding::Plain, credential.as_bytes())
        }

        fn holding(&mut self, user: &str) -> Arc<Holding> {
            self.made += 1;
            Holding::new(Session::new(NewSession {
                id: format!("sess_{}", self.made).into(),
                user: self.users.of(user),
                client: Arc::new(ClientSlot::new(ClientToken::new("token"))),
                organization: None,
                end: None,
                choose_organization: false,
                active_organization: None,
            }))
        }

        fn proof(&self, credential: &str, holding: &Arc<Holding>, stands: Duration) -> Arc<Proof> {
            let life = ProofLife { end: Instant::now() + stands, renew: None };
            Proof::new(self.key(credential), Arc::clone(holding), Instant::now(), life, None)
        }

        /// A proof that stands for so long, of a user of that name.
        fn sign_in(&mut self, credential: &str, stands: Duration) -> Arc<Proof> {
            let holding = self.holding(credential);
            let proof = self.proof(credential, &holding, stands);
            insert(&self.sessions, &proof).unwrap();
            proof
        }

        fn lines(&self) -> (usize, usize) {
            (lock(&self.sessions.expiry).queue.len(), self.sessions.index.len())
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
        short.renew(Instant::now(), ProofLife { end: Instant::now() + MINUTE, renew: None });
        tokio::time::sleep(MINUTE / 2).await;
        assert_eq!((short.is_over(), bench.sessions.len(), bench.end_queue.outstanding()), (false, 2, 1));
        tokio::time::sleep(MINUTE / 2 + TICK).await;
        assert_eq!((short.is_over(), long.is_over(), bench.sessions.len()), (true, false, 1));
        tokio::time::sleep(2 * MINUTE).await;
        drop((short, long, first));
        assert_eq!((bench.sessions.len(), bench.end_queue.outstanding(), bench.lines()), (0, 3, (0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_a_session_that_is_replaced_all_the_time_leaves_few_lines_behind() {
        let mut bench = Bench::new(10);
        // Nobody keeps what has left.
        let mut queue = bench.end_queue.take().unwrap();
        tokio::spawn(async move { while queue.recv().await.is_some() {} });
        for _ in 0..3_000 {
            drop(bench.sign_in("a", MINUTE));
            tokio::time::sleep(MINUTE.mul_f64(0.8)).await;
            let (ends, by_id) = bench.lines();
            assert!(ends <= 3 && by_id == 1, "{ends} and {by_id} lines for one session");
        }
        assert_eq!(bench.sessions.len(), 1);
    }

    /// A sweep of the index would find a line that was left behind on purpose, and take it out.
    #[tokio::test(start_paused = true)]
    async fn k7_adding_a_session_costs_no_look_at_the_lines_of_the_others() {
        let mut bench = Bench::new(10);
        let held = bench.sign_in("a", MINUTE);
        let left_behind = bench.holding("b").session();
        // A session takes itself out where it was listed first.
        Arc::<SessionIndex>::default().list(&left_behind);
        bench.sessions.index.list(&left_behind);
        drop(left_behind);
        assert_eq!((bench.sessions.len(), bench.lines().1), (1, 2));
        let mut added = Vec::new();
        for round in 1..=5_000 {
            // One that comes in the place of another, and one that comes in the place of the proof before.
            let beside = bench.holding("a").session();
            bench.sessions.add(&held.holding, &beside).unwrap();
            let holding = bench.holding("c");
            insert(&bench.sessions, &bench.proof("c", &holding, MINUTE)).unwrap();
            assert_eq!(bench.lines().1, 3, "round {round}: a line is left over, or one was looked at");
            added.push((beside, holding));
        }
        drop(added);
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
        bench.sessions.remove(&old, EndPolicy::UnlessStored);
        assert!(
            bench.sessions.get(&bench.key("a"), Instant::now()).is_some_and(|held| Arc::ptr_eq(&held, &new))
        );
        bench.sessions.remove(&new, EndPolicy::UnlessStored);
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
            sessions.iter().for_each(|proof| _ = bench.sessions.remove(proof, EndPolicy::UnlessStored));
        }
        // A look at each session would be 10^9 of them, minutes in this build.
        assert!(started.elapsed() < Duration::from_secs(20), "{:?} for 10,000 of them", started.elapsed());
        assert_eq!(bench.sessions.len(), 90_000);
    }

    #[tokio::test(start_paused = true)]
    async fn k10_a_session_is_ended_once_with_the_last_of_its_proofs_and_takes_no_other_then() {
        let mut bench = Bench::new(10);
        let holding = bench.holding("jane");
        let (one, other) = (bench.proof("a", &holding, MINUTE), bench.proof("b", &holding, 2 * MINUTE));
        insert(&bench.sessions, &one).unwrap();
        insert(&bench.sessions, &other).unwrap();
        assert!(!bench.sessions.remove(&one, EndPolicy::UnlessStored), "another one uses it");
        assert_eq!((holding.session().state(), bench.end_queue.outstanding()), (SessionState::Live, 0));
        tokio::time::sleep(2 * MINUTE + TICK).await;
        assert_eq!((holding.session().state(), bench.end_queue.outstanding()), (SessionState::Ending, 1));
        let late = bench.proof("c", &holding, MINUTE);
        assert!(insert(&bench.sessions, &late).is_err());
        assert!(!bench.sessions.abandon(&holding), "it was given up before");
        assert_eq!((bench.sessions.len(), bench.end_queue.outstanding()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn k10_a_session_that_somebody_else_ends_or_that_is_gone_is_not_ended_again() {
        for state in [SessionState::EndedElsewhere, SessionState::Gone] {
            let mut bench = Bench::new(10);
            let proof = bench.sign_in("a", MINUTE);
            proof.holding.session().advance(state);
            assert!(bench.sessions.remove(&proof, EndPolicy::Always));
            assert_eq!((proof.holding.session().state(), bench.end_queue.outstanding()), (state, 0));
        }
    }

    /// The last proof leaves in one thread while another one joins in a second thread.
    #[test]
    fn k10_a_proof_that_joins_while_the_last_one_leaves_has_a_session_or_is_told_that_it_has_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut bench = runtime.block_on(async { Bench::new(10) });
        let mut joined = 0;
        for round in 0..2_000 {
            let holding = bench.holding("jane");
            let (last, new) = (bench.proof("a", &holding, MINUTE), bench.proof("b", &holding, MINUTE));
            let (sessions, before) = (Arc::clone(&bench.sessions), bench.end_queue.outstanding());
            let _context = runtime.enter();
            insert(&sessions, &last).unwrap();
            let barrier = std::sync::Barrier::new(2);
            let has_joined = std::thread::scope(|scope| {
                let leaves = scope.spawn(|| {
                    barrier.wait();
                    sessions.remove(&last, EndPolicy::UnlessStored)
                });
                let joins = scope.spawn(|| {
                    let _context = runtime.enter();
                    barrier.wait();
                    (0..round % 50).for_each(|_| std::hint::spin_loop());
                    insert(&sessions, &new).is_ok()
                });
                let (was_last, has_joined) = (leaves.join().unwrap(), joins.join().unwrap());
                assert_ne!(was_last, has_joined, "round {round}");
                has_joined
            });
            let ended = bench.end_queue.outstanding() - before;
            assert_eq!(
                (new.is_live(Instant::now()), ended),
                (true, usize::from(!has_joined)),
                "round {round}"
            );
            joined += usize::from(has_joined);
            sessions.remove(&new, EndPolicy::UnlessStored);
        }
        println!("joined in {joined} of 2,000 rounds");
    }
}
