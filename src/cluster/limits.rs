//! The sign-in budget and the failed attempts of all replicas (rule H4).

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::alone::{Alone, SILENT};
use super::calls::{BEAT, Call, FAILED, PAUSE};
use super::shared::Keys;
use super::supervisor::LONGEST_PAUSE;
use crate::clock::ClerkTime;
use crate::key::IdentifierKey;
use crate::limits::{Failure, FailureCounts, Lift, Shared, SharedFailures, SharedPause};
use crate::sync::lock;

/// For how long Redis isn't asked after a request has waited for it in vain.
const REST: Duration = Duration::from_secs(1);

/// Calls that wait for Redis. One more drops the oldest: a permit that isn't given back comes back by itself.
const MOST_CALLS: usize = 10_000;

/// Calls that are made before changes are sent again, and before another beat.
const CALLS: usize = 50;

/// The errors of a server that is starting, demoted or full. They fail beats as well, and pass.
const PASSING: [&str; 7] =
    ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "MISCONF", "OOM"];

/// For how long a silent member keeps its part of the budget.
const MEMBER_LIFE: Duration = Duration::from_secs(600);

/// How long the log of permits lives without a beat.
const PERMITS_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long the failures of an account that exists, and of one that may be made up, are kept.
const FAILURES_LIFE: [Duration; 2] = [Duration::from_secs(7 * 24 * 3600), Duration::from_secs(3600)];

/// The time that a call to Clerk may take beyond its deadline.
const MARGIN: Duration = Duration::from_secs(2);

/// The limits of one replica, and its part in those of all.
pub(crate) struct Limits {
    pub(super) keys: Keys,
    /// The id of this replica.
    pub(super) member: String,
    pub(super) counts: Arc<FailureCounts>,
    pub(super) time: Arc<ClerkTime>,
    /// How long a call may take.
    pub(super) hold: Duration,
    /// How long a request waits for an answer.
    patience: Duration,
    /// How old the log of permits must be to be relied on: what has departed before it is no longer counted by Clerk, and all
    /// replicas have found it.
    pub(super) mature: Duration,
    commands: Mutex<Option<MultiplexedConnection>>,
    rests_until: Mutex<Option<Instant>>,
    pub(super) alone: Mutex<Alone>,
    waiting: Mutex<VecDeque<Call>>,
    /// A beat is due at once.
    beats_now: AtomicBool,
    /// Tells that a call waits.
    added: Arc<Notify>,
}

impl Limits {
    pub(super) fn new(
        keys: Keys,
        members: u32,
        (counts, time): (Arc<FailureCounts>, Arc<ClerkTime>),
        (timeout, patience): (Duration, Duration),
        window: Option<Duration>,
        added: Arc<Notify>,
    ) -> Self {
        let mut id = [0; 8];
        // Without random bytes two replicas could share an id, and with it a place in the budget.
        aws_lc_rs::rand::fill(&mut id).expect("the system provides random bytes");
        let number = u64::from_be_bytes(id);
        let hold = timeout + MARGIN;
        Self {
            keys,
            member: format!("{number:016x}"),
            counts,
            time,
            hold,
            patience,
            mature: window.unwrap_or_default() + hold + LONGEST_PAUSE,
            commands: Mutex::new(None),
            rests_until: Mutex::new(None),
            alone: Mutex::new(Alone::new(members, (number % u64::from(members)) as u32, hold)),
            waiting: Mutex::default(),
            beats_now: AtomicBool::new(false),
            added,
        }
    }

    /// The number of replicas, as far as this one knows.
    pub(super) fn members(&self) -> u32 {
        lock(&self.alone).members
    }

    /// Redis can be asked. Everything that waited has been sent.
    pub(super) fn connected(&self, connection: &MultiplexedConnection) {
        let mut commands = lock(&self.commands);
        if commands.is_none() {
            *commands = Some(connection.clone());
            *lock(&self.rests_until) = None;
            let mut alone = lock(&self.alone);
            alone.asked(None);
            alone.is_over();
        }
    }

    pub(super) fn disconnected(&self) -> Option<MultiplexedConnection> {
        lock(&self.commands).take()
    }

    /// Tells the others that this replica lives.
    pub(super) async fn beat(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut nonce = [0; 8];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system provides random bytes");
        let nonce = format!("{:016x}", u64::from_be_bytes(nonce));
        let (departed, has_missed) = {
            let mut alone = lock(&self.alone);
            (alone.departed(Instant::now()), alone.has_missed(self.mature, Instant::now()))
        };
        // It takes its turns, so the others must leave it its part of the budget.
        let silent_for = if has_missed { SILENT } else { Duration::ZERO };
        let arguments = [self.member.clone(), text(MEMBER_LIFE), nonce, text(PERMITS_LIFE), text(silent_for)];
        let noted = departed.len();
        let departed = departed.into_iter().flat_map(|(permit, back)| [format!("t:{permit}"), text(back)]);
        let keys = [self.keys.members.clone(), self.keys.permits.clone()];
        let call = Call::new(&BEAT, keys, arguments.into_iter().chain(departed));
        let (members, rank, age, born): (u32, u32, u64, String) = call.make(connection).await?;
        let is_mature = u128::from(age) >= self.mature.as_millis();
        lock(&self.alone).beaten((members, rank), born, is_mature, noted, Instant::now());
        Ok(())
    }

    /// Leaves the cluster, so that the others have the whole budget.
    pub(super) async fn leave_cluster(&self) {
        let Some(mut connection) = self.disconnected() else { return };
        let mut leave = redis::cmd("ZREM");
        leave.arg(&self.keys.members).arg(&self.member);
        let left: Result<RedisResult<()>, _> =
            tokio::time::timeout(2 * self.patience, leave.query_async(&mut connection)).await;
        drop(left);
    }

    /// Makes some of the calls that wait, one after the other. Returns whether none is left.
    pub(super) async fn make_calls(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        for _ in 0..CALLS {
            let Some(call) = lock(&self.waiting).front().cloned() else { return Ok(true) };
            match call.make::<redis::Value>(connection).await {
                // Such as a key of another kind than the script's, or one that the user has no right to.
                Err(error) if error.code().is_some_and(|code| !PASSING.contains(&code)) => {
                    tracing::warn!(code = error.code(), "a call of Redis failed, and isn't made again");
                }
                made => {
                    let answer = made?;
                    if let Some(subject) = call.failures_of
                        && let Ok(failures) = redis::from_redis_value(answer)
                    {
                        self.counts.raise(subject, failures);
                    }
                }
            }
            lock(&self.waiting).pop_front();
        }
        Ok(false)
    }

    pub(super) fn later(&self, call: Call) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= MOST_CALLS {
            // The first one may be on its way, and leaves the queue after its answer.
            waiting.remove(1);
        }
        waiting.push_back(call);
        drop(waiting);
        self.added.notify_one();
    }

    /// Asks Redis now, if it is there. `None` if it gives no answer in time.
    pub(super) async fn ask<T: redis::FromRedisValue>(&self, call: &Call) -> Option<T> {
        if self.is_away() {
            return None;
        }
        let mut connection = lock(&self.commands).clone()?;
        let answer = match tokio::time::timeout(self.patience, call.make(&mut connection)).await {
            Ok(Ok(answer)) => Some(answer),
            // A key of another kind is that of one user or identifier. The others are asked for on.
            Ok(Err(error)) if is_of_script(&error) => None,
            _ => {
                let now = Instant::now();
                *lock(&self.rests_until) = Some(now + REST);
                lock(&self.alone).asked(Some(now));
                return None;
            }
        };
        lock(&self.alone).asked(None);
        answer
    }

    /// Whether Redis is known to give no answer.
    fn is_away(&self) -> bool {
        lock(&self.commands).is_none() || lock(&self.rests_until).is_some_and(|until| Instant::now() < until)
    }

    fn pause_call(&self, subject: IdentifierKey, what: &str, more: impl IntoIterator<Item = String>) -> Call {
        let keys = [self.keys.failures.clone(), self.keys.users.clone()];
        Call::new(&PAUSE, keys, [subject.name(), what.to_owned()].into_iter().chain(more))
    }

    fn note_user(&self, identifier: IdentifierKey, user: IdentifierKey, how: &str) {
        self.later(self.pause_call(identifier, how, [user.name(), text(FAILURES_LIFE[0])]));
    }

    /// Sends a beat at once, if Redis can be reached.
    pub(super) fn beat_now(&self) {
        self.beats_now.store(true, Ordering::Release);
        self.added.notify_one();
    }

    pub(super) fn takes_beat(&self) -> bool {
        self.beats_now.swap(false, Ordering::AcqRel)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("alone", &*lock(&self.alone)).finish_non_exhaustive()
    }
}

impl SharedFailures for Limits {
    fn pause(&self, subject: IdentifierKey) -> Shared<'_, Option<SharedPause>> {
        Box::pin(async move {
            let (left, failures): (u64, u32) = self.ask(&self.pause_call(subject, "look", [])).await?;
            (left > 0).then(|| SharedPause { failures, left: Duration::from_millis(left) })
        })
    }

    fn failed(&self, subject: IdentifierKey, failure: Failure, warned: bool, known: u32) {
        if self.is_away() {
            lock(&self.alone).failed(subject, failure, known, Instant::now());
        }
        let flag = |is_set: bool| if is_set { "1" } else { "0" }.to_owned();
        let life = FAILURES_LIFE[usize::from(failure == Failure::Unconfirmed)];
        let is_locked = flag(failure == Failure::Locked);
        let keys = [self.keys.members.clone(), self.keys.failures.clone(), self.keys.users.clone()];
        let is_banned = flag(failure == Failure::Banned);
        let known = known.to_string();
        let arguments = [subject.name(), flag(warned), is_locked, is_banned, text(life), known, text(SILENT)];
        self.later(Call::new(&FAILED, keys, arguments).counting(subject));
    }

    fn succeeded(&self, identifier: IdentifierKey, user: IdentifierKey, others: &[IdentifierKey]) {
        self.note_user(identifier, user, "signed in");
        others.iter().for_each(|other| self.note_user(*other, user, "found"));
        for subject in [identifier, user].iter().chain(others) {
            self.later(self.pause_call(*subject, "clear", [text(FAILURES_LIFE[0])]));
        }
    }

    fn found(&self, identifier: IdentifierKey, user: IdentifierKey) {
        self.note_user(identifier, user, "found");
    }

    fn lifted(&self, subject: IdentifierKey, lift: Lift) {
        let what = match lift {
            Lift::All => "all",
            Lift::Lock => "lock",
            Lift::Ban => "ban",
        };
        self.later(self.pause_call(subject, what, []));
    }
}

/// Whether a call has failed by what a key holds.
fn is_of_script(error: &RedisError) -> bool {
    matches!(error.code(), Some("WRONGTYPE" | "ERR")) || error.kind() == ErrorKind::UnexpectedReturnType
}

/// A duration as an argument of a script, in milliseconds.
pub(super) fn text(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::key::KeySecret;
    use crate::limits::Forgiven;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_on_its_way_keeps_its_place_in_a_full_queue() {
        let counts = Arc::new(FailureCounts::new(Arc::new(Forgiven::new(REST))));
        let known = (counts, Arc::new(ClerkTime::new(Clock::system())));
        let limits = Limits::new(Keys::new("c", "e", "i"), 1, known, (REST, REST), None, Arc::default());
        let subject = KeySecret::from([7; 32]).identifier("jane");
        limits.later(limits.pause_call(subject, "look", []).counting(subject));
        (0..MOST_CALLS).for_each(|_| limits.later(limits.pause_call(subject, "look", [])));
        let waiting = lock(&limits.waiting);
        assert_eq!((waiting.len(), waiting[0].failures_of), (MOST_CALLS, Some(subject)));
        assert_eq!(waiting[1].failures_of, None);
    }
}
