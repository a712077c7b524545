//! The sessions that a thread uses right now, in front of the cache of proofs.
//!
//! A look-up in moka and a clone of an `Arc` write to words that all threads share, so that two threads with one
//! credential are slower than one. Here each thread has a stripe of slots, and each slot holds a clone that counts its
//! own references.
//!
//! A slot is no source of truth. It serves for a second at most, and not beyond the next instant at which a look-up in
//! the cache would do more than return the session: the end of the proof or of the token, or a renewal. Each use
//! compares the state of the proof, the version of the holding's tokens, and the token's marks, so a revocation takes
//! effect on the next request. A proof that leaves the cache is cleared from all slots, and a token that is replaced as
//! well, so that no slot keeps a secret alive.

use std::array;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::proof::{Proof, ProofState};
use super::tokens::{HeldToken, Tokens};
use crate::access::Access;
use crate::key::CredentialKey;
use crate::session::ClerkSession;
use crate::sync::{STRIPES, lock, stripe, try_lock};

/// The sessions per stripe. Each credential has two slots in it, for the plain token and for one of another scope.
const SLOTS: usize = 64;

/// How long a slot serves without a look-up in the cache, which evicts the proof that was looked up longest ago.
const SERVES: Duration = Duration::from_secs(1);

/// The sessions in use. Its locks are never held over another one, and a request doesn't wait for them.
#[derive(Debug, Default)]
pub(super) struct HotSessions {
    stripes: [OnceLock<Box<[Mutex<Slot>; SLOTS]>>; STRIPES],
}

#[derive(Debug, Default)]
struct Slot {
    /// The last credential that the slot was offered. Only the second offer in a row is taken, so that credentials
    /// which are used once in a while push nothing out.
    candidate: u64,
    hot: Option<Box<HotSession>>,
}

#[derive(Debug)]
struct HotSession {
    access: Access,
    until: Instant,
    proof: Arc<Proof>,
    token: Arc<HeldToken>,
    version: u64,
    session: ClerkSession,
}

impl HotSession {
    /// The session as the cache has it now, if there is a good token for this access.
    fn new(proof: &Arc<Proof>, access: &Access, now: Instant) -> Option<Self> {
        // Before the token is read: a change in between has a later version.
        let version = proof.holding.tokens.version();
        let token = proof.holding.tokens.good_as_is(access, now)?;
        let until = [Some(now + SERVES), Some(proof.end()), proof.renewal.opens(), token.renewal.opens()]
            .into_iter()
            .flatten()
            .fold(token.good_for(access), Instant::min);
        let session = (now < until).then(|| token.session.counted_apart())?;
        Some(Self { access: access.clone(), until, proof: Arc::clone(proof), token, version, session })
    }

    /// Whether nothing has changed since it was made.
    fn is_current(&self) -> bool {
        self.proof.state() == ProofState::Live
            && self.proof.holding.tokens.version() == self.version
            && !self.token.is_revoked()
    }
}

impl HotSessions {
    /// The session of a credential for this access, if it is in use on the thread with this stripe.
    pub(super) fn get(
        &self,
        stripe: usize,
        key: &CredentialKey,
        access: &Access,
        now: Instant,
    ) -> Option<ClerkSession> {
        let is_plain = access.scope.is_plain();
        let slot = try_lock(&self.stripes[stripe].get()?[place(key, is_plain)])?;
        let hot = slot.hot.as_deref()?;
        // The plain scope has a slot of its own.
        let is_for =
            |it: &Access| it.least_life == access.least_life && (is_plain || it.scope == access.scope);
        let serves = hot.proof.key == *key && now < hot.until && is_for(&hot.access) && hot.is_current();
        serves.then(|| {
            hot.proof.holding.tokens.note_use(&hot.token, is_plain);
            hot.proof.vouch_for(hot.session.clone())
        })
    }

    /// Offers a session that the cache has just served.
    pub(super) fn offer(&self, proof: &Arc<Proof>, access: &Access, now: Instant) {
        let slots = self.stripes[stripe()].get_or_init(|| Box::new(array::from_fn(|_| Mutex::default())));
        let Some(mut slot) = try_lock(&slots[place(&proof.key, access.scope.is_plain())]) else { return };
        let short = proof.key.as_subject().short();
        let is_first = std::mem::replace(&mut slot.candidate, short) != short;
        // Two layers that ask for different organizations would otherwise replace each other's with each request.
        let serves = |hot: &HotSession| hot.proof.key == proof.key && now < hot.until && hot.is_current();
        if is_first || slot.hot.as_deref().is_some_and(serves) {
            return;
        }
        // A removal marks the proof and a change of a token raises the version, and then they clear the slots. So
        // either this lock comes first and the slot is cleared, or the comparison sees the change.
        let hot = HotSession::new(proof, access, now).filter(HotSession::is_current);
        let old = std::mem::replace(&mut slot.hot, hot.map(Box::new));
        drop(slot);
        drop(old);
    }

    /// Clears the slots of a credential, whose proof was marked as over.
    pub(super) fn clear(&self, key: &CredentialKey) {
        for slots in self.stripes.iter().filter_map(OnceLock::get) {
            for slot in &slots[first_place(key)..][..2] {
                let cleared = lock(slot).hot.take_if(|hot| hot.proof.key == *key);
                drop(cleared);
            }
        }
    }

    /// Clears the slots of all credentials that share these tokens, of which one was replaced or dropped.
    pub(super) fn clear_tokens(&self, tokens: &Tokens) {
        for slot in self.stripes.iter().filter_map(OnceLock::get).flat_map(|slots| slots.iter()) {
            let is_of = |hot: &mut Box<HotSession>| std::ptr::eq(&hot.proof.holding.tokens, tokens);
            let cleared = lock(slot).hot.take_if(is_of);
            drop(cleared);
        }
    }
}

fn place(key: &CredentialKey, is_plain: bool) -> usize {
    first_place(key) + usize::from(!is_plain)
}

fn first_place(key: &CredentialKey) -> usize {
    key.as_subject().short() as usize % (SLOTS / 2) * 2
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Barrier, Weak};
    use std::thread;

    use serde_json::json;

    use super::super::users::{EndPolicy, Sharing};
    use super::super::{
        Active, EndQueue, Holding, NewSession, ProofLife, Revocations, Session, Sessions, Users,
    };
    use super::*;
    use crate::claims::Claims;
    use crate::client_token::{ClientSlot, ClientToken};
    use crate::clock::Clock;
    use crate::credentials::Decoding;
    use crate::key::{KeySecret, Strategy};
    use crate::token::VerifiedToken;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Bench {
        sessions: Arc<Sessions>,
        access: Access,
        users: Users,
        secret: KeySecret,
        made: AtomicU32,
    }

    /// The objects that a copy holds on to.
    struct Held(Weak<Proof>, Weak<HeldToken>, Weak<Session>);

    impl Held {
        fn alive(&self) -> [bool; 3] {
            let Self(proof, token, session) = self;
            [proof.strong_count() > 0, token.strong_count() > 0, session.strong_count() > 0]
        }

        async fn assert_gone(&self, why: &str) {
            // Some ways leave the session in the queue of ends, and the proof in moka's log of writes.
            tokio::task::yield_now().await;
            assert!(is_soon(|| self.alive() == [false; 3]), "{why}: {:?}", self.alive());
        }
    }

    /// Whether it becomes true once all threads have let go of moka's garbage, which those of other tests delay.
    fn is_soon(condition: impl Fn() -> bool) -> bool {
        let (any, start) = (moka::sync::Cache::new(1), std::time::Instant::now());
        while !condition() && start.elapsed() < Duration::from_secs(10) {
            any.insert((), ());
            any.run_pending_tasks();
            thread::yield_now();
        }
        condition()
    }

    impl Bench {
        fn new(most: u64) -> Self {
            let end_queue = EndQueue::new(false);
            // The requests to end a session hold it.
            let mut ends = end_queue.take().unwrap();
            tokio::spawn(async move { while ends.recv().await.is_some() {} });
            let sessions = Sessions::new(most, Clock::system(), end_queue);
            let (users, secret) = (Users::default(), KeySecret::from([7; 32]));
            Self { sessions, access: Access::new(), users, secret, made: AtomicU32::new(0) }
        }

        fn key(&self, credential: &str) -> CredentialKey {
            self.secret.credential(Strategy::Password, Decoding::PLAIN, credential.as_bytes())
        }

        fn token(&self) -> Arc<HeldToken> {
            let claims = json!({"iss": "x", "sub": "jane", "iat": 1, "exp": 61});
            let claims = Claims::from_payload(claims.to_string().as_bytes()).unwrap();
            let (token, end) = (VerifiedToken::new("a.b.c", claims), Instant::now() + MINUTE);
            let session = ClerkSession::new("sess_1", None, token, end, None);
            let since = Revocations::new(MINUTE).now();
            Arc::new(HeldToken::new(session, MINUTE, end, since, Box::default()))
        }

        /// Inserts a proof of its own session, with a token.
        fn sign_in(&self, credential: &str) -> Arc<Proof> {
            let session = Session::new(NewSession {
                id: format!("sess_{}", self.made.fetch_add(1, Ordering::Relaxed)).into(),
                user: self.users.of(credential),
                client: Arc::new(ClientSlot::new(ClientToken::new("token"))),
                organization: None,
                end: None,
                choose_organization: false,
                active_organization: Active::Personal,
            });
            let (own, now) = (Holding::new(Arc::clone(&session)), Instant::now());
            let life = ProofLife { end: now + MINUTE / 2, renew: None };
            let prove = |holding| Proof::new(self.key(credential), holding, now, life, None);
            let (proof, _) = self.sessions.insert(&session, &own, Sharing::OneSession, prove).unwrap();
            proof.holding.tokens.put(&self.access, &self.token(), now);
            proof
        }

        /// Whether the current thread has a copy.
        fn is_hot(&self, credential: &str) -> bool {
            self.sessions.hot(stripe(), &self.key(credential), &self.access, Instant::now()).is_some()
        }

        /// Makes a copy in several stripes, and forgets about the proof otherwise.
        fn warm(&self, proof: &Arc<Proof>, credential: &str) -> Held {
            let now = Instant::now();
            let warm = |proof: &Arc<Proof>| {
                (0..2).for_each(|_| self.sessions.offer(proof, &self.access, now));
                self.sessions.hot(stripe(), &proof.key, &self.access, now).is_some()
            };
            thread::scope(|scope| {
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| warm(proof))).collect();
                assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
            });
            assert!(warm(proof) && self.is_hot(credential));
            let token = proof.holding.tokens.held(&self.access).unwrap();
            Held(Arc::downgrade(proof), Arc::downgrade(&token), Arc::downgrade(&proof.holding.session()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k14_a_session_that_the_cache_drops_is_held_by_no_copy() {
        let remove = |bench: &Bench| {
            let proof = bench.sessions.find(&bench.key("a"), Instant::now()).unwrap();
            _ = bench.sessions.remove(&proof, EndPolicy::UnlessStored);
        };
        let evict = |bench: &Bench| ["b", "c"].iter().for_each(|other| drop(bench.sign_in(other)));
        let replace = |bench: &Bench| drop(bench.sign_in("a"));
        let drain = |bench: &Bench| drop(bench.sessions.drain());
        for (at, way) in [&remove as &dyn Fn(&Bench), &evict, &replace, &drain].into_iter().enumerate() {
            let bench = Bench::new(2);
            let held = bench.warm(&bench.sign_in("a"), "a");
            assert_eq!(held.alive(), [true; 3]);
            way(&bench);
            assert!(!bench.is_hot("a"), "way {at}");
            held.assert_gone(&format!("way {at}")).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k14_a_session_that_ends_on_an_idle_server_is_held_by_no_copy() {
        let bench = Bench::new(2);
        let held = bench.warm(&bench.sign_in("a"), "a");
        tokio::time::sleep(MINUTE + Duration::from_millis(1)).await;
        held.assert_gone("the end of the proof").await;
    }

    #[tokio::test(start_paused = true)]
    async fn k14_a_copy_ends_with_its_proof_also_where_the_sweeper_is_late() {
        let bench = Bench::new(2);
        let (proof, moment) = (bench.sign_in("a"), Duration::from_millis(1));
        (0..2).for_each(|_| bench.sessions.offer(&proof, &bench.access, proof.end() - 9 * moment));
        let serves = |now| bench.sessions.hot(stripe(), &proof.key, &bench.access, now).is_some();
        assert!(serves(proof.end() - moment) && !serves(proof.end()));
    }

    #[tokio::test(start_paused = true)]
    async fn k14_copies_end_with_their_engine() {
        let bench = Bench::new(2);
        let held = bench.warm(&bench.sign_in("a"), "a");
        drop(bench);
        held.assert_gone("the end of the engine").await;
    }

    #[tokio::test(start_paused = true)]
    async fn k14_a_token_that_is_replaced_or_dropped_is_held_by_no_copy() {
        let put = |bench: &Bench, tokens: &Tokens| tokens.put(&bench.access, &bench.token(), Instant::now());
        let forget = |bench: &Bench, tokens: &Tokens| tokens.forget(&bench.access);
        let forget_session = |_: &Bench, tokens: &Tokens| tokens.forget_session("sess_1");
        for change in [&put as &dyn Fn(&Bench, &Tokens), &forget, &forget_session] {
            let bench = Bench::new(2);
            let proof = bench.sign_in("a");
            let held = bench.warm(&proof, "a");
            change(&bench, &proof.holding.tokens);
            assert!(!bench.is_hot("a"));
            assert_eq!(held.alive(), [true, false, true]);
        }
    }

    /// A thread makes copies while another one removes the proof, or replaces its token.
    #[tokio::test(start_paused = true)]
    async fn k14_a_copy_that_is_made_during_a_removal_is_not_left_behind() {
        for round in 0..2_000 {
            let bench = Bench::new(2);
            let proof = bench.sign_in("a");
            let (weak, now) = (Arc::downgrade(&proof), Instant::now());
            let token = Arc::downgrade(&proof.holding.tokens.held(&bench.access).unwrap());
            let (bench, is_removal, start) = (&bench, round % 2 == 0, &Barrier::new(2));
            let next = bench.token();
            thread::scope(|scope| {
                let offered = Arc::clone(&proof);
                scope.spawn(move || {
                    start.wait();
                    (0..6).for_each(|_| bench.sessions.offer(&offered, &bench.access, now));
                });
                start.wait();
                (0..round % 300).for_each(|_| std::hint::spin_loop());
                if is_removal {
                    _ = bench.sessions.remove(&proof, EndPolicy::UnlessStored);
                } else {
                    proof.holding.tokens.put(&bench.access, &next, now);
                }
            });
            drop(proof);
            // Out of moka's log of writes.
            _ = bench.sessions.len();
            let is_gone = || (!is_removal || weak.strong_count() == 0) && token.strong_count() == 0;
            assert!(is_soon(is_gone), "round {round}: a copy holds a proof or a token that is gone");
        }
    }
}
