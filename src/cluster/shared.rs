//! The state of one replica, between its engine and the thread that speaks to Redis.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};

use super::change::Change;
use super::entry::EntryId;
use super::gate::SharedGate;
use super::limits::Limits;
use super::log::{Log, Received, Waiting};
use super::seal::Seals;
use super::stats::ReplicaStats;
use super::supervisor;
use crate::clock::ClerkTime;
use crate::jitter::Jitter;
use crate::limits::{FailureCounts, SignInLimiter, WarnThrottle};
use crate::store::{Address, RedisStore, from_millis, millis};
use crate::sync::lock;

/// How long the delivery of a change is waited for.
const DELIVERY: Duration = Duration::from_secs(5);

/// How long it is waited until a replica has left the cluster.
const LEAVE: Duration = Duration::from_millis(500);

/// Acts on a change of another replica's. One from before the start of this process has its time.
type Apply = Box<dyn Fn(&Change, Option<SystemTime>) + Send + Sync>;

/// One replica's part in a cluster. Dropping it ends the connection.
pub(crate) struct Cluster(Arc<Shared>);

pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) keys: Keys,
    pub(super) seals: Seals,
    pub(super) log: Mutex<Log>,
    pub(super) limits: Arc<Limits>,
    /// Wakes the sender.
    pub(super) added: Arc<Notify>,
    pub(super) warnings: WarnThrottle,
    pub(super) jitter: Arc<Jitter>,
    progress: watch::Sender<Progress>,
    unopenable: AtomicU64,
    time: Arc<ClerkTime>,
    apply: OnceLock<Apply>,
    is_closed: AtomicBool,
    closing: Notify,
}

/// The names of what is in Redis. All have the same hash tag, so that a cluster of Redis would have them in one place.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) log: String,
    pub(super) permits: String,
    pub(super) members: String,
    /// The beginnings of names.
    pub(super) locks: String,
    pub(super) failures: String,
    pub(super) users: String,
}

/// The parts that a replica is made of.
pub(crate) struct Setup {
    pub(crate) store: RedisStore,
    pub(crate) issuer: String,
    pub(crate) time: Arc<ClerkTime>,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) failures: Arc<FailureCounts>,
    /// How long a call to Clerk may take.
    pub(crate) timeout: Duration,
    /// The window of the sign-in budget.
    pub(crate) window: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    is_connected: bool,
    /// The log has all changes up to this number.
    acknowledged: u64,
    /// The replica has left the cluster.
    is_over: bool,
}

impl Keys {
    /// The hash of the instance is in the names, so that engines for two instances share nothing.
    pub(super) fn new(cluster: &str, egress: &str, issuer: &str) -> Self {
        let instance = blake3::hash(issuer.as_bytes()).to_hex();
        let name = |kind: &str| format!("tower-clerk:{{{cluster}}}:{}:{kind}", &instance[..8]);
        Self {
            log: name("log"),
            permits: name(&format!("permits:{egress}")),
            members: name(&format!("members:{egress}")),
            locks: name("lock:"),
            failures: name("failures:"),
            users: name("user-of:"),
        }
    }
}

impl Cluster {
    /// A replica that isn't connected yet.
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { store, issuer, time, jitter, failures, timeout, window } = setup;
        let keys = Keys::new(&store.cluster, &store.egress, &issuer);
        let added = Arc::new(Notify::new());
        let (members, known) = (store.expected_replicas, (failures, Arc::clone(&time)));
        let times = (timeout, store.patience);
        let limits = Limits::new(keys.clone(), members, known, times, window, Arc::clone(&added));
        Self(Arc::new(Shared {
            keys,
            limits: Arc::new(limits),
            seals: Seals::new(&store.keys, &[&store.cluster, &issuer]),
            address: store.address,
            log: Mutex::new(Log::new(millis(time.now()))),
            added,
            warnings: WarnThrottle::default(),
            jitter,
            progress: watch::Sender::new(Progress::default()),
            unopenable: AtomicU64::new(0),
            time,
            apply: OnceLock::new(),
            is_closed: AtomicBool::new(false),
            closing: Notify::new(),
        }))
    }

    /// Connects, in a thread with a runtime of its own: the engine may be used on several runtimes, or on none, and has to
    /// hear of revocations all the same. A change can concern this process for `oldest` before its start.
    pub(crate) fn start(
        &self,
        oldest: Duration,
        apply: impl Fn(&Change, Option<SystemTime>) + Send + Sync + 'static,
    ) {
        lock(&self.0.log).oldest = oldest.as_millis() as u64;
        _ = self.0.apply.set(Box::new(apply));
        let shared = Arc::clone(&self.0);
        let started = std::thread::Builder::new().name("tower-clerk-redis".to_owned()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(supervisor::run(Arc::clone(&shared))),
                Err(error) => tracing::error!(%error, "no runtime for Redis, so this replica stays alone"),
            }
            shared.progress.send_modify(|it| it.is_over = true);
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for Redis, so this replica stays alone");
        }
    }

    /// Puts the limits of all replicas behind those of this one: the budget of sign-ins, and with a secret key the checks of
    /// passwords, which count for no budget of an address.
    pub(crate) fn share(
        &self,
        sign_ins: &SignInLimiter,
        checks: Option<&SignInLimiter>,
        failures: &FailureCounts,
    ) {
        let limits = || Arc::clone(&self.0.limits);
        sign_ins.share(Arc::new(SharedGate::new(limits(), 's', true)));
        if let Some(checks) = checks {
            checks.share(Arc::new(SharedGate::new(limits(), 'c', false)));
        }
        failures.share(limits());
    }

    /// Tells the other replicas of a change.
    pub(crate) fn publish(&self, change: Change) {
        lock(&self.0.log).add(change, self.0.now());
        self.0.added.notify_one();
    }

    /// Waits until the log has all changes so far. Returns false if that takes too long, and at once if Redis is away.
    pub(crate) async fn has_delivered(&self) -> bool {
        let number = lock(&self.0.log).last();
        let mut progress = self.0.progress.subscribe();
        let is_decided = |it: &Progress| it.acknowledged >= number || !it.is_connected;
        let decided = tokio::time::timeout(DELIVERY, progress.wait_for(is_decided)).await;
        matches!(decided, Ok(Ok(it)) if it.acknowledged >= number)
    }

    pub(crate) fn stats(&self) -> ReplicaStats {
        let log = lock(&self.0.log);
        ReplicaStats {
            is_alone: !self.0.progress.borrow().is_connected,
            replicas: self.0.limits.members(),
            undelivered_changes: log.waiting(),
            known_changes: log.known(),
            unopenable_changes: self.0.unopenable.load(Ordering::Relaxed),
        }
    }
}

impl Cluster {
    /// Leaves the cluster, so that the others have the whole budget at once. Nothing is shared from then on.
    pub(crate) async fn leave(&self) {
        self.close();
        let mut progress = self.0.progress.subscribe();
        _ = tokio::time::timeout(LEAVE, progress.wait_for(|it| it.is_over)).await;
    }

    fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.closing.notify_waiters();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("progress", &*self.0.progress.borrow()).finish_non_exhaustive()
    }
}

impl Shared {
    fn now(&self) -> u64 {
        millis(self.time.now())
    }

    /// Resolves when the engine is gone.
    pub(super) async fn closed(&self) {
        let closing = self.closing.notified();
        if !self.is_closed.load(Ordering::Acquire) {
            closing.await;
        }
    }

    pub(super) fn is_connected(&self, is_connected: bool) {
        self.progress
            .send_if_modified(|it| std::mem::replace(&mut it.is_connected, is_connected) != is_connected);
    }

    /// The shared log has these entries.
    pub(super) fn acknowledge(&self, sent: &[Waiting]) {
        let number = lock(&self.log).acknowledge(sent);
        self.progress.send_modify(|it| it.acknowledged = it.acknowledged.max(number));
    }

    pub(super) fn send_again(&self, has: impl Fn(&EntryId) -> bool) -> usize {
        let again = lock(&self.log).send_again(has, self.now());
        self.added.notify_one();
        again
    }

    pub(super) fn send_unread(&self) {
        lock(&self.log).send_unread(self.now());
    }

    /// Acts on an entry of the log that is new. Returns false if it can't be opened.
    pub(super) fn receive(&self, id: EntryId, fields: &[Vec<u8>]) -> bool {
        let Some(entry) = self.seals.open(id, fields) else {
            let count = self.unopenable.fetch_add(1, Ordering::Relaxed) + 1;
            if self.warnings.is_due("unopenable", tokio::time::Instant::now()) {
                tracing::warn!(
                    count,
                    "a change in Redis can't be opened and is ignored: it was forged or damaged, is under a key that this \
                     replica doesn't have, or is one of a later version"
                );
            }
            return false;
        };
        let received = lock(&self.log).receive(&entry, self.now());
        match received {
            Received::New => self.carry_out(&entry.change, None),
            Received::FromBefore => self.carry_out(&entry.change, Some(from_millis(entry.at))),
            Received::Known | Received::Over => {}
        }
        true
    }

    /// Lets the engine act on a change.
    pub(super) fn carry_out(&self, change: &Change, before: Option<SystemTime>) {
        if let Some(apply) = self.apply.get() {
            apply(change, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h6_two_clusters_and_two_instances_share_no_name() {
        let log = |cluster, issuer| Keys::new(cluster, "nat", issuer).log;
        let prod = log("prod", "https://a.example.com");
        assert!(prod.starts_with("tower-clerk:{prod}:") && prod.ends_with(":log"), "{prod}");
        assert_ne!(prod, log("test", "https://a.example.com"));
        assert_ne!(prod, log("prod", "https://b.example.com"));
    }
}
