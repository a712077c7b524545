//! The login records of one engine: which credential has which, and when one is written, so that a restart costs no
//! sign-in.
//!
//! A record is written in the background after a commit, since its password function takes longer than a request should
//! wait. A revocation asks for the removal of its target's records and leaves its tombstone under one lock, under which a
//! write is handed to the store as well: so a write either comes before that removal or doesn't happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::trusted_credentials;
use crate::clock::{ClerkTime, Clock};
use crate::credentials::Credentials;
use crate::key::{CredentialKey, PassThrough};
use crate::sessions::{Kept, Proof, Revocations, Session, SessionState, Sessions};
use crate::store::{FoundLogin, If, LoginName, LoginRecord, LoginSession, Logins};

/// How many records wait to be written. Each holds the password until the password function has run.
const MOST_WRITING: usize = 1024;

/// See the [module docs](self). Without a store that outlives the process it does nothing.
pub(crate) struct LoginRecords {
    logins: Option<Arc<Logins>>,
    /// The records that this process has written or adopted. A few bytes each, and no secret.
    known: Cache<LoginName, Arc<Known>>,
    names: Cache<CredentialKey, LoginName, PassThrough>,
    revocations: Arc<Revocations>,
    clock: Clock,
    time: Arc<ClerkTime>,
    /// Whether a record holds the client token, which only the Frontend API mints by.
    with_clients: bool,
    writing: AtomicUsize,
    written: Notify,
    /// Records that were not written, because too many were waiting.
    lost: AtomicU64,
}

/// A record that this process has written or adopted.
struct Known {
    key: CredentialKey,
    /// `None` until it is written.
    revision: Option<u64>,
    session: Option<Arc<str>>,
}

impl LoginRecords {
    pub(crate) fn new(
        logins: Option<Arc<Logins>>,
        most: u64,
        revocations: Arc<Revocations>,
        clock: Clock,
        time: Arc<ClerkTime>,
        with_clients: bool,
    ) -> Arc<Self> {
        let lru = EvictionPolicy::lru;
        // As many as trust records: hits renew no entry here, so a live proof must not lose its own to older ones.
        let most = most.saturating_mul(4);
        let known = Cache::builder().max_capacity(most).eviction_policy(lru()).build();
        let names = Cache::builder().max_capacity(most).eviction_policy(lru());
        Arc::new(Self {
            logins,
            known,
            names: names.build_with_hasher(PassThrough::default()),
            revocations,
            clock,
            time,
            with_clients,
            writing: AtomicUsize::new(0),
            written: Notify::new(),
            lost: AtomicU64::new(0),
        })
    }

    /// The record of these credentials, if there is one that their password opens.
    ///
    /// While another credential's proof is held of the record, this one can't be in it: so guesses don't reach the
    /// password function, except between a restart and the user's first request.
    pub(crate) async fn find(
        &self,
        key: &CredentialKey,
        credentials: &Credentials,
        sessions: &Sessions,
        deadline: Instant,
    ) -> Option<(LoginName, FoundLogin)> {
        let logins = self.logins.as_ref()?;
        let name = logins.name(credentials.identifier(), credentials.decoding());
        let now = self.clock.now();
        let is_held = |known: Arc<Known>| known.key != *key && sessions.find(&known.key, now).is_some();
        if self.known.get(&name).is_some_and(is_held) {
            return None;
        }
        let found = logins.find(name, credentials.password(), deadline).await?;
        Some((name, found))
    }

    /// Notes that a credential's record was adopted, with the session whose proof was.
    pub(crate) fn adopted(
        &self,
        key: CredentialKey,
        name: LoginName,
        revision: u64,
        of: Option<(&Session, &Proof)>,
    ) {
        if let Some((session, proof)) = of {
            session.keep(Kept { name, revision, until: proof.end() });
        }
        let session = of.map(|(session, _)| Arc::clone(&session.id));
        self.known.insert(name, Arc::new(Known { key, revision: Some(revision), session }));
        self.names.insert(key, name);
    }

    /// Lets go of the session that the record of these credentials names, before another one takes its place: from then
    /// on its last proof ends it.
    pub(crate) fn supersede(&self, credentials: &Credentials, by: &Session, sessions: &Sessions) {
        let Some(logins) = &self.logins else { return };
        let name = logins.name(credentials.identifier(), credentials.decoding());
        let former = self.known.get(&name).and_then(|known| known.session.clone());
        if let Some(former) = former.filter(|id| *id != by.id)
            && let Some(session) = sessions.by_id(&former)
        {
            session.release(&name);
        }
    }

    /// Writes the record of a proof in the background, unless too many wait for that already: the proof then costs a sign-in
    /// after a restart.
    pub(crate) fn write(
        self: &Arc<Self>,
        credentials: &Credentials,
        proof: &Arc<Proof>,
        session: &Arc<Session>,
    ) {
        let Some(logins) = self.logins.clone() else { return };
        let before = self.writing.fetch_add(1, Ordering::AcqRel);
        let writing = Writing(Arc::clone(self));
        if before >= MOST_WRITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let name = logins.name(credentials.identifier(), credentials.decoding());
        let known = Known { key: proof.key, revision: None, session: Some(Arc::clone(&session.id)) };
        self.known.insert(name, Arc::new(known));
        self.names.insert(proof.key, name);
        let (credentials, proof, session) = (credentials.clone(), Arc::clone(proof), Arc::clone(session));
        tokio::spawn(async move {
            writing.0.write_now(&logins, name, credentials, &proof, &session).await;
        });
    }

    async fn write_now(
        &self,
        logins: &Logins,
        name: LoginName,
        credentials: Credentials,
        proof: &Arc<Proof>,
        session: &Arc<Session>,
    ) {
        // The tombstones from here on are enough: a revocation from before has marked the proof as over, or is about to
        // and has left its tombstone a moment ago.
        let since = self.revocations.now();
        let Some(prepared) = logins.prepare(name, credentials.password()).await else { return };
        // The store may take long, and needs no password.
        drop(credentials);
        let record = self.record(proof, session);
        let user = &session.user.id;
        let concerned = proof.holding.concerned().and_proof(user, proof.proven_at().instant());
        let written = self.revocations.store_unless_revoked(since, &concerned, || {
            let is_good = proof.is_live(self.clock.now()) && session.state() == SessionState::Live;
            is_good.then(|| logins.put(&prepared, &record, record.proven_at + trusted_credentials::LIFE))
        });
        let Some(Some(written)) = written else { return };
        let Some(revision) = written.await else { return };
        let is_known = self.known.get(&name).is_some_and(|known| known.key == proof.key);
        // Another credential has taken the record over in the meantime, for instance after a change of the password.
        if is_known {
            self.adopted(proof.key, name, revision, Some((session, proof)));
        }
    }

    fn record(&self, proof: &Proof, session: &Session) -> LoginRecord {
        let proven_at = self.time.at(proof.proven_at().instant());
        LoginRecord {
            user_id: (*session.user.id).into(),
            proven_at,
            proof_end: self.time.at(proof.end()),
            session: Some(LoginSession {
                id: Box::from(&*session.id),
                client_token: session.client.current().filter(|_| self.with_clients),
                organization: session.organization().map(Box::from),
                end: session.end.map(|end| self.time.at(end)),
                choose_organization: session.choose_organization.load(Ordering::Relaxed),
            }),
            memberships: session.user.memberships(),
        }
    }

    /// Removes the record of a credential that Clerk has refused or whose session is gone, unless another process has
    /// renewed it since.
    pub(crate) fn forget(&self, key: &CredentialKey) {
        let Some(logins) = &self.logins else { return };
        let Some(name) = self.names.remove(key) else { return };
        let Some(known) = self.known.get(&name).filter(|known| known.key == *key) else { return };
        self.known.invalidate(&name);
        // A write under way has no revision yet.
        drop(logins.delete(name, known.revision.map_or(If::Any, If::Revision)));
    }

    /// Whether another process has renewed a record of this session, and so goes on with the session.
    pub(crate) async fn is_continued(&self, session_id: &str, records: &[Kept]) -> bool {
        let Some(logins) = &self.logins else { return false };
        for record in records {
            let revision = logins.revision(record.name, session_id).await;
            if revision.is_some_and(|revision| revision != record.revision) {
                return true;
            }
        }
        false
    }

    /// An instant of this process for a time in a record. `None` if it is before every instant of this machine.
    pub(crate) fn instant_of(&self, time: SystemTime) -> Option<Instant> {
        let age = self.time.now().duration_since(time).unwrap_or_default();
        self.clock.now().checked_sub(age)
    }

    /// The time that is left until a time in a record.
    pub(crate) fn left_until(&self, time: SystemTime) -> Duration {
        time.duration_since(self.time.now()).unwrap_or_default()
    }

    /// Number of records that were not written, because too many were waiting.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until the records of all proofs so far are handed to the store.
    pub(crate) async fn settled(&self) {
        loop {
            // Enabled before the check, so that no notification in between is missed.
            let mut written = std::pin::pin!(self.written.notified());
            written.as_mut().enable();
            if self.writing.load(Ordering::Acquire) == 0 {
                return;
            }
            written.await;
        }
    }
}

/// A write under way. Dropping it marks the write as done, also when its runtime has dropped the task.
struct Writing(Arc<LoginRecords>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::AcqRel);
        self.0.written.notify_waiters();
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::client_token::ClientSlot;
    use crate::credentials::Decoding;
    use crate::key::{KeySecret, Strategy};
    use crate::sessions::{Active, Holding, NewSession, ProofLife, Users};
    use crate::store::{SqliteStore, Store};

    fn in_use() -> (Arc<Session>, Arc<Proof>) {
        let session = Session::new(NewSession {
            id: "sess_1".into(),
            user: Users::default().of("user_1"),
            client: Arc::new(ClientSlot::none()),
            organization: None,
            end: None,
            choose_organization: false,
            active_organization: Active::Unknown,
        });
        let (key, now) = (KeySecret::from([7; 32]), Instant::now());
        let key = key.credential(Strategy::Password, Decoding::PLAIN, b"ada");
        let life = ProofLife { end: now + Duration::from_secs(3600), renew: None };
        let proof = Proof::new(key, Holding::new(Arc::clone(&session)), now, life, None);
        (session, proof)
    }

    #[tokio::test]
    async fn h8_a_record_is_lost_and_counted_while_1024_others_wait_for_the_password_function() {
        let directory = std::env::temp_dir().join(format!("tower-clerk-records-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let store = SqliteStore::open(directory.join("state")).unwrap().weak_password_cost();
        let logins = Store::from(store).unlock("https://clerk.example.com").unwrap().logins.unwrap();
        let (clock, revocations) = (Clock::system(), Revocations::new(Duration::from_secs(60)));
        let time = Arc::new(ClerkTime::new(clock));
        let some = Some(Arc::clone(&logins));
        let records = LoginRecords::new(some, 10_000, Arc::new(revocations), clock, time, true);
        let (session, proof) = in_use();
        let write = |at: usize| {
            let credentials = Credentials::new(format!("ada{at}"), "secret").unwrap();
            records.write(&credentials, &proof, &session);
        };
        let held = logins.hold_function();
        (0..1024).for_each(write);
        assert_eq!(records.lost(), 0);
        (1024..1027).for_each(write);
        assert_eq!(records.lost(), 3);
        drop(held);
        records.settled().await;
        write(1027);
        records.settled().await;
        let name = |at: usize| logins.name(&format!("ada{at}"), Decoding::PLAIN);
        assert_eq!(logins.revision(name(1026), "sess_1").await, None);
        assert!(logins.revision(name(1027), "sess_1").await.is_some());
        assert_eq!(records.lost(), 3);
        _ = std::fs::remove_dir_all(&directory);
    }
}
