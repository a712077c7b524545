//! The way of one sign-in through the limits of all replicas (rule H4).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::alone::{SILENT, Turn};
use super::calls::{Call, ENTER, LEAVE};
use super::limits::{Limits, text};
use crate::key::IdentifierKey;
use crate::limits::{Entry, Gate, RequestId, Share, Shared, SharedPause};
use crate::store::millis;
use crate::sync::lock;

/// The pause before another look at an identifier whose sign-in is under way in another replica.
const BUSY: Duration = Duration::from_millis(50);

/// For how long nothing starts before a new log of permits is relied on.
const NOTE: Duration = Duration::from_secs(1);

/// How long a replica that can't ask Redis refuses an identifier that has failed meanwhile.
const ALONE_PAUSE: Duration = Duration::from_secs(60);

/// The gate behind one of the limiters of a replica.
pub(super) struct SharedGate {
    limits: Arc<Limits>,
    /// Tells the permits and locks of this limiter from those of others.
    kind: char,
    /// Whether its calls count for the budget of all replicas.
    is_counted: bool,
    /// The permits that were asked for and not given back: whose each is, whether it is one of the trusted share, and its window.
    taken: Mutex<HashMap<RequestId, (IdentifierKey, bool, Duration)>>,
}

/// The answer of Redis, or of the clock, to a sign-in.
enum Said {
    Go,
    Wait(Duration),
    Paused(SharedPause),
}

impl SharedGate {
    pub(super) fn new(limits: Arc<Limits>, kind: char, is_counted: bool) -> Self {
        Self { limits, kind, is_counted, taken: Mutex::default() }
    }

    fn permit(&self, id: RequestId) -> String {
        format!("{}{}:{id}", self.kind, self.limits.member)
    }

    /// The beginning of the names of this limiter's locks.
    fn locks(&self) -> String {
        format!("{}{}:", self.limits.keys.locks, self.kind)
    }

    async fn pass(&self, entry: Entry) -> Result<(), Duration> {
        let until = Instant::now() + entry.patience;
        let (subject, window) = (entry.request.identifier, entry.budget.map_or(Duration::ZERO, |it| it.1));
        lock(&self.taken).insert(entry.id, (subject, entry.request.share == Share::Trusted, window));
        loop {
            let said = match self.ask(&entry).await {
                Some(said) => said,
                None => self.alone(&entry),
            };
            let (wait, now) = match said {
                Said::Go => return Ok(()),
                Said::Wait(wait) => (wait, Instant::now()),
                Said::Paused(pause) => {
                    self.limits.counts.merge(subject, pause, Instant::now());
                    return Err(pause.left);
                }
            };
            if now + wait > until {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks Redis. `None` if there is no answer, or if its log of permits can't be relied on yet.
    async fn ask(&self, entry: &Entry) -> Option<Said> {
        let (limits, subject) = (&self.limits, entry.request.identifier);
        let (limit, window) = entry.budget.filter(|_| self.is_counted).unwrap_or_default();
        let is_trusted = entry.request.share == Share::Trusted;
        let keys = [
            limits.keys.permits.clone(),
            limits.keys.members.clone(),
            self.locks(),
            limits.keys.failures.clone(),
            limits.keys.users.clone(),
        ];
        let arguments = [
            self.permit(entry.id),
            subject.name(),
            if is_trusted { "t" } else { "u" }.to_owned(),
            limit.to_string(),
            text(window),
            entry.untrusted.to_string(),
            text(limits.hold),
            if is_trusted { "0" } else { "1" }.to_owned(),
            text(limits.mature),
            text(SILENT),
        ];
        let (word, number, failures): (String, u64, Option<u32>) =
            limits.ask::<Vec<redis::Value>>(&Call::new(&ENTER, keys, arguments)).await.and_then(answer)?;
        let time = Duration::from_millis(number);
        let said = match &*word {
            "go" => Said::Go,
            "wait" => Said::Wait(time),
            "busy" => Said::Wait(BUSY),
            // The departures of the others have to be in the log when it is relied on.
            "young" if time < NOTE => Said::Wait(time),
            "paused" => Said::Paused(SharedPause { failures: failures.unwrap_or_default(), left: time }),
            _ => return None,
        };
        if self.is_counted && matches!(&*word, "go" | "wait") {
            lock(&limits.alone).heard(Instant::now());
        }
        Some(said)
    }

    /// The sign-ins that this replica may make without Redis.
    fn alone(&self, entry: &Entry) -> Said {
        let mut alone = lock(&self.limits.alone);
        if entry.request.share == Share::Untrusted
            && !alone.may_fail(entry.request.identifier, Instant::now())
        {
            return Said::Paused(SharedPause { failures: 0, left: ALONE_PAUSE });
        }
        let Some(budget) = entry.budget.filter(|_| self.is_counted) else { return Said::Go };
        let wall = millis(self.limits.time.now());
        match alone.turn(&self.permit(entry.id), budget, wall, Instant::now()) {
            Turn::Now => {
                // If Redis can be reached after all, its log is too new, and needs the note.
                self.limits.beat_now();
                Said::Go
            }
            Turn::In(wait) => Said::Wait(wait),
        }
    }
}

impl Gate for SharedGate {
    fn enter(&self, entry: Entry) -> Shared<'_, Result<(), Duration>> {
        Box::pin(self.pass(entry))
    }

    fn leave(&self, id: RequestId, started: bool) {
        let Some((subject, is_trusted, window)) = lock(&self.taken).remove(&id) else { return };
        let window = if started { text(window) } else { "0".to_owned() };
        let share = if is_trusted { "1" } else { "0" }.to_owned();
        let keys = &self.limits.keys;
        let keys = [keys.permits.clone(), self.locks(), keys.users.clone()];
        self.limits.later(Call::new(&LEAVE, keys, [self.permit(id), subject.name(), window, share]));
    }

    fn proved(&self, id: RequestId) {
        if let Some((_, is_trusted, _)) = lock(&self.taken).get_mut(&id) {
            *is_trusted = true;
        }
    }
}

impl fmt::Debug for SharedGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedGate").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A word, a number that belongs to it, and perhaps another one.
fn answer(values: Vec<redis::Value>) -> Option<(String, u64, Option<u32>)> {
    let mut values = values.into_iter();
    let word = redis::from_redis_value(values.next()?).ok()?;
    let number = redis::from_redis_value(values.next()?).ok()?;
    Some((word, number, values.next().and_then(|value| redis::from_redis_value(value).ok())))
}
