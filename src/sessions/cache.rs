//! The proofs in memory, found by credential: a moka cache with LRU eviction, and a sweeper that removes expired
//! proofs.
//!
//! Eviction is LRU because moka's default policy, TinyLFU, evicts each *new* entry at once when the cache is warm and
//! full; a scan cannot flush the cache, since only accepted credentials get in. The expiry is a field of the proof
//! rather than moka's, because tests cannot drive moka's clock, and because moka would read the clock again on each
//! hit.

use std::sync::{Arc, Mutex, Weak};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::end_queue::EndQueue;
use super::expiry::ExpiryQueue;
use super::holding::Holding;
use super::hot::HotSessions;
use super::index::SessionIndex;
use super::proof::Proof;
use super::session::{Session, SessionState};
use super::users::{EndPolicy, HoldingIsOver, Joined, Sharing};
use crate::access::Access;
use crate::clock::Clock;
use crate::key::{CredentialKey, PassThrough};
use crate::session::ClerkSession;
use crate::sync::lock;

/// The proofs of one engine, and the sessions that serve them.
pub(crate) struct Sessions {
    cache: Cache<CredentialKey, Arc<Proof>, PassThrough>,
    end_queue: Arc<EndQueue>,
    index: Arc<SessionIndex>,
    hot: Arc<HotSessions>,
    expiry: Mutex<Expiry>,
    wake: Arc<Notify>,
    clock: Clock,
    most: u64,
}

#[derive(Default)]
struct Expiry {
    queue: ExpiryQueue,
    has_sweeper: bool,
}

impl Sessions {
    pub(crate) fn new(most: u64, clock: Clock, end_queue: Arc<EndQueue>) -> Arc<Self> {
        let index: Arc<SessionIndex> = Arc::default();
        let hot: Arc<HotSessions> = Arc::default();
        let (leaving, listed, cleared) = (Arc::clone(&end_queue), Arc::clone(&index), Arc::clone(&hot));
        let cache = Cache::builder()
            .max_capacity(most)
            .eviction_policy(EvictionPolicy::lru())
            // Runs on the inserting thread, so it must be cheap.
            .eviction_listener(move |_, proof: Arc<Proof>, _| {
                proof.mark_over();
                cleared.clear(&proof.key);
                if proof.holding.user.leave(&proof, EndPolicy::UnlessStored, &leaving) {
                    listed.unlist_all(&proof.holding);
                }
            })
            .build_with_hasher(PassThrough::default());
        Arc::new(Self {
            cache,
            end_queue,
            index,
            hot,
            expiry: Mutex::default(),
            wake: Arc::default(),
            clock,
            most,
        })
    }

    /// The proof of a credential, unless it has ended. Its password may have to be proven again.
    pub(crate) fn find(&self, key: &CredentialKey, now: Instant) -> Option<Arc<Proof>> {
        self.cache.get(key).filter(|proof| !proof.has_ended(now))
    }

    /// The live proof of a credential. Takes no lock and makes no upstream call.
    pub(crate) fn get(&self, key: &CredentialKey, now: Instant) -> Option<Arc<Proof>> {
        self.cache.get(key).filter(|proof| proof.is_live(now))
    }

    /// The session of a credential that is in use on the thread with this stripe: what [`get`](Self::get) and the
    /// proof's tokens would give, without a look at what all threads share. Otherwise `None`, and they have to be asked.
    pub(crate) fn hot(
        &self,
        stripe: usize,
        key: &CredentialKey,
        access: &Access,
        now: Instant,
    ) -> Option<ClerkSession> {
        self.hot.get(stripe, key, access, now)
    }

    /// Offers a proof from [`get`](Self::get) for [`hot`](Self::hot), with its token for this access.
    pub(crate) fn offer(&self, proof: &Arc<Proof>, access: &Access, now: Instant) {
        self.hot.offer(proof, access, now);
    }

    /// Inserts a proof of this session, replacing an older one of the same credential. The proof points at a holding
    /// already in use if one fits, and otherwise at `own`. Returns the session as that holding has it, too: another flight
    /// may have brought the same one in the meantime.
    ///
    /// # Errors
    ///
    /// Returns an error if the session is being ended.
    pub(crate) fn insert(
        self: &Arc<Self>,
        session: &Arc<Session>,
        own: &Arc<Holding>,
        sharing: Sharing,
        prove: impl FnOnce(Arc<Holding>) -> Arc<Proof>,
    ) -> Result<(Arc<Proof>, Arc<Session>), HoldingIsOver> {
        let Joined { proof, oldest, displaced } = session.user.join(session, own, sharing, prove)?;
        let session = proof.holding.session_with(&session.id).unwrap_or_else(|| Arc::clone(session));
        self.release_displaced(displaced);
        proof.holding.sessions().iter().for_each(|session| self.index.list(session));
        proof.holding.tokens.copied_in(&self.hot);
        self.cache.insert(proof.key, Arc::clone(&proof));
        // moka evicts lazily. The sessions of evicted proofs should end now, and sign-ins are rare enough to pay for
        // it.
        self.cache.run_pending_tasks();
        if let Some(oldest) = oldest {
            self.remove(&oldest, EndPolicy::UnlessStored);
        }
        let mut expiry = lock(&self.expiry);
        let is_first = expiry.queue.push(&proof, self.most);
        let start = !std::mem::replace(&mut expiry.has_sweeper, true);
        drop(expiry);
        if start {
            let sweeping = Sweeping(Arc::downgrade(self));
            tokio::spawn(sweeper(sweeping, Arc::clone(&self.wake)));
        } else if is_first {
            self.wake.notify_one();
        }
        Ok((proof, session))
    }

    /// Adds a session for another organization to a holding in use.
    ///
    /// # Errors
    ///
    /// Returns an error if the last proof of the holding has left in the meantime.
    pub(crate) fn add(&self, holding: &Holding, session: &Arc<Session>) -> Result<(), HoldingIsOver> {
        self.release_displaced(holding.user.add_session(holding, session)?);
        self.index.list(session);
        Ok(())
    }

    /// Unlists a session that another one has displaced, and queues its end unless a store holds it.
    fn release_displaced(&self, displaced: Option<Arc<Session>>) {
        if let Some(displaced) = displaced {
            self.index.unlist(&displaced);
            self.end_queue.leave(&displaced);
        }
    }

    /// Removes exactly this proof; a proof that has replaced it stays. Returns whether it was the last of its holding.
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

    /// Removes all proofs that point at a holding, so that each password must be proven again.
    pub(crate) fn void(&self, holding: &Arc<Holding>) {
        for proof in holding.user.proofs_on(holding) {
            self.remove(&proof, EndPolicy::UnlessStored);
        }
    }

    /// Gives up a holding that no proof has joined, and releases its sessions. Returns whether it did.
    pub(crate) fn abandon(&self, holding: &Arc<Holding>, policy: EndPolicy) -> bool {
        holding.user.abandon(holding, policy, &self.end_queue)
    }

    /// The session with this id, while it is in use here.
    pub(crate) fn by_id(&self, session_id: &str) -> Option<Arc<Session>> {
        self.index.get(session_id)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Proof>> {
        self.cache.iter().map(|(_, proof)| proof).collect()
    }

    /// Removes all proofs, and returns their live sessions, which the caller must end. Sessions that a login record keeps
    /// for the next process stay as they are.
    pub(crate) fn drain(&self) -> Vec<Arc<Session>> {
        let (mut drained, now) = (Vec::new(), self.clock.now());
        for proof in self.all() {
            for session in proof.holding.sessions() {
                if session.state() == SessionState::Live && !session.is_kept(now) {
                    session.advance(SessionState::EndedElsewhere);
                    drained.push(session);
                }
            }
            self.remove(&proof, EndPolicy::UnlessStored);
        }
        drained
    }

    pub(crate) fn len(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    /// Removes the proofs that have ended. Returns when the next one ends.
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
            self.cache.entry(proof.key).and_compute_with(|entry| match entry {
                Some(entry) if Arc::ptr_eq(entry.value(), &proof) && proof.has_ended(now) => Op::Remove,
                _ => Op::Nop,
            });
            // It was renewed, maybe a moment ago in another thread.
            if !proof.has_ended(now) {
                lock(&self.expiry).queue.push(&proof, self.most);
            }
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Clears `has_sweeper` when the task is dropped, as it is when its runtime ends. The next insert starts another.
struct Sweeping(Weak<Sessions>);

impl Drop for Sweeping {
    fn drop(&mut self) {
        if let Some(sessions) = self.0.upgrade() {
            lock(&sessions.expiry).has_sweeper = false;
        }
    }
}

/// Wakes whenever a proof ends. It holds only a weak reference, so that it stops with its `Sessions`.
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

    use super::super::{Active, Kept, NewSession, ProofLife, Users};
    use super::*;
    use crate::client_token::{ClientSlot, ClientToken};
    use crate::credentials::Decoding;
    use crate::key::{KeySecret, Strategy};
    use crate::store::LoginName;

    const MINUTE: Duration = Duration::from_secs(60);
    /// Added to a sleep, so that the test wakes after a sweeper that is due at the same instant.
    const TICK: Duration = Duration::from_millis(1);

    struct Bench {
        sessions: Arc<Sessions>,
        end_queue: Arc<EndQueue>,
        users: Users,
        secret: KeySecret,
        made: usize,
    }

    /// Inserts a proof that already has its holding.
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
            self.secret.credential(Strategy::Password, Decoding::PLAIN, credential.as_bytes())
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
                active_organization: Active::Personal,
            }))
        }

        fn proof(&self, credential: &str, holding: &Arc<Holding>, lifetime: Duration) -> Arc<Proof> {
            let life = ProofLife { end: Instant::now() + lifetime, renew: None };
            Proof::new(self.key(credential), Arc::clone(holding), Instant::now(), life, None)
        }

        /// Inserts a proof with this lifetime, of a user named like the credential.
        fn sign_in(&mut self, credential: &str, lifetime: Duration) -> Arc<Proof> {
            let holding = self.holding(credential);
            let proof = self.proof(credential, &holding, lifetime);
            insert(&self.sessions, &proof).unwrap();
            proof
        }

        /// How many entries the expiry queue and the index have.
        fn entries(&self) -> (usize, usize) {
            (lock(&self.sessions.expiry).queue.len(), self.sessions.index.len())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k10_the_sweeper_removes_ended_proofs_on_time_and_no_others() {
        let mut bench = Bench::new(10);
        let (short, long) = (bench.sign_in("a", MINUTE), bench.sign_in("b", 3 * MINUTE));
        let first = bench.sign_in("c", MINUTE / 2);
        tokio::time::sleep(MINUTE / 2 + TICK).await;
        assert!(first.is_over() && !short.is_over());
        // Renew it before it ends.
        short.renew(Instant::now(), ProofLife { end: Instant::now() + MINUTE, renew: None });
        tokio::time::sleep(MINUTE / 2).await;
        assert_eq!((short.is_over(), bench.sessions.len(), bench.end_queue.outstanding()), (false, 2, 1));
        tokio::time::sleep(MINUTE / 2 + TICK).await;
        assert_eq!((short.is_over(), long.is_over(), bench.sessions.len()), (true, false, 1));
        tokio::time::sleep(2 * MINUTE).await;
        drop((short, long, first));
        assert_eq!((bench.sessions.len(), bench.end_queue.outstanding(), bench.entries()), (0, 3, (0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_a_session_that_is_replaced_repeatedly_leaves_few_entries_behind() {
        let mut bench = Bench::new(10);
        // Drop the end requests, which hold client tokens.
        let mut queue = bench.end_queue.take().unwrap();
        tokio::spawn(async move { while queue.recv().await.is_some() {} });
        for _ in 0..3_000 {
            drop(bench.sign_in("a", MINUTE));
            tokio::time::sleep(MINUTE.mul_f64(0.8)).await;
            let (ends, by_id) = bench.entries();
            assert!(ends <= 3 && by_id == 1, "{ends} and {by_id} entries for one session");
        }
        assert_eq!(bench.sessions.len(), 1);
    }

    /// A scan of the index would find the dead entry that this test leaves behind, and remove it.
    #[tokio::test(start_paused = true)]
    async fn k7_adding_a_session_does_not_scan_the_index() {
        let mut bench = Bench::new(10);
        let held = bench.sign_in("a", MINUTE);
        let left_behind = bench.holding("b").session();
        // On drop, a session unlists itself only from the index that listed it first.
        Arc::<SessionIndex>::default().list(&left_behind);
        bench.sessions.index.list(&left_behind);
        drop(left_behind);
        assert_eq!((bench.sessions.len(), bench.entries().1), (1, 2));
        let mut added = Vec::new();
        for round in 1..=5_000 {
            // The first session replaces another one, and the second replaces the proof of the previous round.
            let added_session = bench.holding("a").session();
            bench.sessions.add(&held.holding, &added_session).unwrap();
            let holding = bench.holding("c");
            insert(&bench.sessions, &bench.proof("c", &holding, MINUTE)).unwrap();
            assert_eq!(
                bench.entries().1,
                3,
                "round {round}: an entry is left over, or the dead one was found"
            );
            added.push((added_session, holding));
        }
        drop(added);
    }

    #[tokio::test(start_paused = true)]
    async fn k7_the_least_recently_used_proof_is_evicted_and_never_the_newest() {
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
        assert!(old.is_over(), "the replaced proof is over");
        bench.sessions.remove(&old, EndPolicy::UnlessStored);
        assert!(
            bench.sessions.get(&bench.key("a"), Instant::now()).is_some_and(|held| Arc::ptr_eq(&held, &new))
        );
        bench.sessions.remove(&new, EndPolicy::UnlessStored);
        assert!(bench.sessions.get(&bench.key("a"), Instant::now()).is_none());
    }

    /// Revoking a user takes about one look-up, not a scan of all users.
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
        // Scans would look at 10^9 sessions, which takes minutes in a debug build.
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?} for 10,000 revocations",
            started.elapsed()
        );
        assert_eq!(bench.sessions.len(), 90_000);
    }

    #[tokio::test(start_paused = true)]
    async fn k10_a_session_is_ended_once_with_its_last_proof_and_then_accepts_no_other() {
        let mut bench = Bench::new(10);
        let holding = bench.holding("jane");
        let (one, other) = (bench.proof("a", &holding, MINUTE), bench.proof("b", &holding, 2 * MINUTE));
        insert(&bench.sessions, &one).unwrap();
        insert(&bench.sessions, &other).unwrap();
        assert!(!bench.sessions.remove(&one, EndPolicy::UnlessStored), "another proof uses the session");
        assert_eq!((holding.session().state(), bench.end_queue.outstanding()), (SessionState::Live, 0));
        tokio::time::sleep(2 * MINUTE + TICK).await;
        assert_eq!((holding.session().state(), bench.end_queue.outstanding()), (SessionState::Ending, 1));
        let late = bench.proof("c", &holding, MINUTE);
        assert!(insert(&bench.sessions, &late).is_err());
        assert!(!bench.sessions.abandon(&holding, EndPolicy::Always), "the holding was given up before");
        assert_eq!((bench.sessions.len(), bench.end_queue.outstanding()), (0, 1));
    }

    /// The record with a live proof is the first one that the session forgets.
    #[tokio::test(start_paused = true)]
    async fn k7_a_session_knows_as_many_records_as_a_store_has_of_its_user() {
        let (session, now) = (Bench::new(1).holding("jane").session(), Instant::now());
        for spelling in 0..17 {
            let until = if spelling == 0 { now + MINUTE } else { now };
            for revision in 0..2 {
                session.keep(Kept { name: LoginName::numbered(spelling), revision, until });
            }
            assert_eq!(session.is_kept(now), spelling < 16, "{spelling}");
        }
    }

    /// Two flights have made an object each of one session, and the first one's is in use.
    #[tokio::test(start_paused = true)]
    async fn s8_a_flight_that_comes_second_goes_on_with_the_session_object_in_use() {
        let mut bench = Bench::new(10);
        let first = bench.holding("jane");
        insert(&bench.sessions, &bench.proof("a", &first, MINUTE)).unwrap();
        bench.made -= 1;
        let second = bench.holding("jane");
        assert_eq!(first.session().id, second.session().id);
        let prove = |holding: Arc<Holding>| bench.proof("b", &holding, MINUTE);
        let inserted = bench.sessions.insert(&second.session(), &second, Sharing::OneSession, prove);
        let (proof, session) = inserted.unwrap();
        assert!(Arc::ptr_eq(&proof.holding, &first) && Arc::ptr_eq(&session, &first.session()));
    }

    #[tokio::test(start_paused = true)]
    async fn k10_a_session_that_is_ended_elsewhere_or_gone_is_not_ended_again() {
        for state in [SessionState::EndedElsewhere, SessionState::Gone] {
            let mut bench = Bench::new(10);
            let proof = bench.sign_in("a", MINUTE);
            proof.holding.session().advance(state);
            assert!(bench.sessions.remove(&proof, EndPolicy::Always));
            assert_eq!((proof.holding.session().state(), bench.end_queue.outstanding()), (state, 0));
        }
    }

    /// The last proof leaves on one thread while another proof joins on a second thread.
    #[test]
    fn k10_a_proof_that_joins_while_the_last_one_leaves_gets_a_session_or_an_error() {
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
