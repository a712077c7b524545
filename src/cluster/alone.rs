//! The sign-ins that a replica may make while it can't ask Redis (rule H4).
//!
//! The replicas share the budget by time: it has as many slots as there are replicas, one after the other, and each replica
//! starts one sign-in in a slot of its own. A slot is a part of the window such that any window has no more of them than the
//! budget has permits.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::{IdentifierKey, PassThrough};
use crate::limits::Failure;

/// Identifiers whose failures are remembered while alone (rule K7): this many that Clerk has confirmed, and as many that may be
/// made up. One more drops the one whose pause ends first.
const MOST_FAILED: usize = 10_000;

/// The pause after a failure, if the next one of each replica would lock no account, and if they could. They are the first and the
/// longest one of rule P3.
const PAUSES: [Duration; 2] = [Duration::from_secs(10 * 60), Duration::from_secs(24 * 3600)];

/// The failure at which Clerk locks an account by default.
const LOCK: u32 = 10;

/// Departures that the log of permits doesn't know of yet.
const MOST_DEPARTED: usize = 64;

/// After this long without a beat, a member counts as silent.
pub(super) const SILENT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Alone {
    /// The members of the cluster when it was last heard of, and the place of this one among them.
    pub(super) members: u32,
    pub(super) rank: u32,
    /// How many members there are at least, until a log of permits can be relied on.
    expected: u32,
    /// How long others may go on by the log of permits without this replica, with the calls that they have begun.
    hold: Duration,
    /// When this replica last heard of a log of permits that could be relied on.
    heard: Option<Instant>,
    /// When Redis last gave no answer in time to a request.
    missed: Option<Instant>,
    /// The mark that tells the log of permits from another one, and when this replica saw it first.
    log: Option<(String, Instant)>,
    last_slot: Option<u64>,
    departed: Vec<(String, Instant)>,
    /// The identifiers that may be made up, and those that Clerk has confirmed: how often each has failed, and the end of its pause.
    failed: [HashMap<IdentifierKey, (u32, Instant), PassThrough>; 2],
}

/// Whether a sign-in may start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    In(Duration),
}

impl Alone {
    pub(super) fn new(members: u32, rank: u32, hold: Duration) -> Self {
        let (departed, failed) = Default::default();
        let (expected, hold) = (members, hold.max(SILENT));
        Self {
            members,
            rank,
            expected,
            hold,
            heard: None,
            missed: None,
            log: None,
            last_slot: None,
            departed,
            failed,
        }
    }

    /// Redis has given no answer in time, or has.
    pub(super) fn asked(&mut self, missed: Option<Instant>) {
        self.missed = missed;
    }

    /// Whether Redis has missed a request in this time, and has answered none since. A slow Redis may answer each beat.
    pub(super) fn has_missed(&mut self, span: Duration, now: Instant) -> bool {
        self.missed = self.missed.filter(|at| *at + span > now);
        self.missed.is_some()
    }

    /// A log of permits that can be relied on has answered.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Redis has answered a beat, and knows of the first `noted` departures.
    ///
    /// In a new log not all members are there yet. Those that are still away take their turns as before, so that a replica
    /// counts with no fewer members than before until the log can be relied on.
    pub(super) fn beaten(
        &mut self,
        (members, rank): (u32, u32),
        log: String,
        is_mature: bool,
        noted: usize,
        now: Instant,
    ) {
        self.departed.drain(..noted.min(self.departed.len()));
        let is_first = self.heard.is_none();
        if is_mature || is_first || members >= self.members {
            (self.members, self.rank) = (members, rank);
        }
        if self.log.as_ref().is_none_or(|(known, _)| *known != log) {
            self.log = Some((log, now));
        }
        // The time until this replica's turn runs on while its requests aren't answered.
        if is_mature && self.missed.is_none() {
            self.heard(now);
        }
    }

    /// Takes a slot of this replica's, if it is its turn. `wall` is the time in milliseconds since the Unix epoch.
    ///
    /// Other replicas may have started sign-ins by the log until shortly after this one heard of it last, so that nothing
    /// starts for a window and the time of a call from then. In a log that this replica has just found, the others may not be members
    /// yet: in the first one they are counted as expected.
    pub(super) fn turn(
        &mut self,
        permit: &str,
        (limit, window): (u32, Duration),
        wall: u64,
        now: Instant,
    ) -> Turn {
        let heard = self.heard.map(|heard| heard + window + self.hold);
        let quiet_until = heard.max(self.log.as_ref().map(|(_, found)| *found + SILENT));
        if let Some(until) = quiet_until.filter(|until| *until > now) {
            return Turn::In(until - now);
        }
        let window_ms = window.as_millis() as u64;
        // With a limit of one, the second half has to be longer than a window.
        let slot_ms = if limit > 1 { window_ms.div_ceil(u64::from(limit) - 1) } else { 3 * window_ms }.max(1);
        let expected = if self.heard.is_none() { self.expected } else { 1 };
        let (slot, members) = (wall / slot_ms, u64::from(self.members.max(expected)));
        let is_own = slot % members == u64::from(self.rank) % members;
        // The second half is for clocks that differ.
        if is_own && self.last_slot != Some(slot) && wall % slot_ms < slot_ms / 2 + 1 {
            self.last_slot = Some(slot);
            if self.departed.len() < MOST_DEPARTED {
                self.departed.push((permit.to_owned(), now + window));
            }
            return Turn::Now;
        }
        let ahead = (u64::from(self.rank) % members + members - slot % members - 1) % members + 1;
        Turn::In(Duration::from_millis((slot + ahead) * slot_ms - wall))
    }

    /// The departures that the log has to be told of, and how long until their permits come back.
    pub(super) fn departed(&mut self, now: Instant) -> Vec<(String, Duration)> {
        self.departed.retain(|(_, back)| *back > now);
        self.departed.iter().map(|(permit, back)| (permit.clone(), *back - now)).collect()
    }

    /// Whether an unproven credential of a user or identifier may reach Clerk: one failure is let through before each pause.
    pub(super) fn may_fail(&self, subject: IdentifierKey, now: Instant) -> bool {
        self.failed.iter().all(|failed| failed.get(&subject).is_none_or(|(_, until)| *until <= now))
    }

    /// Counts a failure while alone. `known` is the number of failures that this replica knows of, with this one.
    pub(super) fn failed(&mut self, subject: IdentifierKey, failure: Failure, known: u32, now: Instant) {
        let members = self.members.max(1);
        let failed = &mut self.failed[usize::from(failure != Failure::Unconfirmed)];
        if failed.len() >= MOST_FAILED
            && !failed.contains_key(&subject)
            && let Some(first) = failed.iter().min_by_key(|(_, (_, until))| *until).map(|(first, _)| *first)
        {
            failed.remove(&first);
        }
        let (times, until) = failed.entry(subject).or_insert((0, now));
        *times += 1;
        let after_next = known.saturating_sub(*times).saturating_add((*times + 1).saturating_mul(members));
        *until = now + PAUSES[usize::from(after_next >= LOCK)];
    }

    /// The other replicas know of all failures.
    pub(super) fn is_over(&mut self) {
        self.failed.iter_mut().for_each(HashMap::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySecret;
    use proptest::prelude::{any, prop_assert, proptest};

    const WINDOW: Duration = Duration::from_secs(10);

    proptest! {
        /// As many requests as there can be, in all replicas, whose clocks differ by less than a quarter of a slot.
        #[test]
        fn h4_replicas_that_are_alone_keep_the_budget_together(
            limit in 1_u32..8,
            members in 1_u32..6,
            offset in any::<u32>(),
            skews in proptest::collection::vec(-300_i64..300, 6),
        ) {
            let start = Instant::now();
            let mut replicas: Vec<Alone> = (0..members).map(|rank| Alone::new(members, rank, SILENT)).collect();
            let mut departures = Vec::new();
            for ms in (0..120_000_u64).step_by(50) {
                for (replica, skew) in replicas.iter_mut().zip(&skews) {
                    let wall = (1_900_000_000_000 + u64::from(offset) + ms).saturating_add_signed(*skew);
                    let now = start + Duration::from_millis(ms);
                    if replica.turn("p", (limit, WINDOW), wall, now) == Turn::Now {
                        departures.push(ms);
                    }
                }
            }
            for at in &departures {
                let window = departures.iter().filter(|it| (*at..at + 10_000).contains(it)).count();
                prop_assert!(window <= limit as usize, "{window} in a window of {limit}");
            }
            // Each has its turns.
            let slots = if limit > 1 { 12 * (u64::from(limit) - 1) } else { 4 };
            prop_assert!(departures.len() as u64 + 2 >= slots / 2, "{}", departures.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn h4_a_replica_that_loses_redis_is_quiet_for_a_window() {
        let mut alone = Alone::new(1, 0, SILENT);
        let now = Instant::now();
        alone.heard(now);
        let turn = |alone: &mut Alone, after: Duration| alone.turn("p", (5, WINDOW), 0, now + after);
        assert_eq!(turn(&mut alone, Duration::ZERO), Turn::In(WINDOW + SILENT));
        assert_eq!(turn(&mut alone, WINDOW + SILENT), Turn::Now);
        assert_eq!(
            turn(&mut alone, WINDOW + SILENT),
            Turn::In(Duration::from_millis(2500)),
            "once in a slot"
        );
        assert_eq!(alone.departed(now + WINDOW + SILENT), [("p".to_owned(), WINDOW)]);
        assert!(alone.departed(now + 2 * WINDOW + SILENT).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn h4_a_replica_counts_with_those_that_have_not_found_a_new_log_yet() {
        let (mut alone, now) = (Alone::new(4, 3, SILENT), Instant::now());
        let beaten = |alone: &mut Alone, members, log: &str, is_mature| {
            alone.beaten(members, log.to_owned(), is_mature, 0, now);
            (alone.members, alone.rank)
        };
        assert_eq!(beaten(&mut alone, (1, 0), "a", false), (1, 0), "it has known no others");
        assert_eq!(beaten(&mut alone, (3, 2), "a", true), (3, 2));
        assert_eq!(beaten(&mut alone, (1, 0), "b", false), (3, 2), "the others are on their way");
        assert_eq!(beaten(&mut alone, (3, 1), "b", false), (3, 1));
        assert_eq!(beaten(&mut alone, (1, 0), "b", true), (1, 0));
        let mut new = Alone::new(1, 0, SILENT);
        beaten(&mut new, (1, 0), "a", false);
        assert_eq!(new.turn("p", (5, WINDOW), 0, now), Turn::In(SILENT), "others may just be starting");
        let mut new = Alone::new(4, 3, SILENT);
        beaten(&mut new, (1, 0), "a", false);
        let at_slot = |new: &mut Alone, slot: u64| new.turn("p", (5, WINDOW), slot * 2500, now + SILENT);
        assert_eq!(at_slot(&mut new, 8), Turn::Now);
        let wait = Turn::In(Duration::from_millis(3 * 2500));
        assert_eq!(at_slot(&mut new, 9), wait, "the other three may not be there yet");
        beaten(&mut new, (1, 0), "a", true);
        let turn = new.turn("p", (5, WINDOW), 10 * 2500, now + WINDOW + SILENT);
        assert_eq!(turn, Turn::Now, "there are none");
    }

    #[tokio::test(start_paused = true)]
    async fn h4_a_replica_that_loses_redis_waits_for_the_calls_of_others() {
        let (hold, now) = (Duration::from_secs(7), Instant::now());
        let mut alone = Alone::new(1, 0, hold);
        alone.heard(now);
        assert_eq!(alone.turn("p", (5, WINDOW), 0, now), Turn::In(WINDOW + hold));
    }

    #[tokio::test(start_paused = true)]
    async fn h4_beats_that_a_slow_redis_answers_put_no_turn_off() {
        let (mut alone, start) = (Alone::new(1, 0, SILENT), Instant::now());
        let beaten = |alone: &mut Alone, now| {
            _ = alone.has_missed(2 * WINDOW, now);
            alone.beaten((1, 0), "a".to_owned(), true, 0, now);
        };
        beaten(&mut alone, start);
        let missed = start + Duration::from_secs(5);
        alone.asked(Some(missed));
        (5..20).for_each(|second| beaten(&mut alone, start + Duration::from_secs(second)));
        assert_eq!(alone.turn("p", (5, WINDOW), 0, start + WINDOW + SILENT), Turn::Now);
        beaten(&mut alone, missed + 2 * WINDOW);
        assert_eq!(
            alone.turn("p", (5, WINDOW), 0, missed + 2 * WINDOW),
            Turn::In(WINDOW + SILENT),
            "long ago"
        );
        alone.asked(Some(missed + 2 * WINDOW));
        alone.asked(None);
        beaten(&mut alone, missed + 3 * WINDOW);
        assert_eq!(
            alone.turn("p", (5, WINDOW), 0, missed + 3 * WINDOW),
            Turn::In(WINDOW + SILENT),
            "answered"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn h4_one_failure_of_an_identifier_is_let_through_while_alone() {
        let id = |name: &str| KeySecret::from([7; 32]).identifier(name);
        let (mut alone, now) = (Alone::new(4, 0, SILENT), Instant::now());
        let [minute, hour] = [60, 3600].map(Duration::from_secs);
        assert!(alone.may_fail(id("jane"), now));
        alone.failed(id("jane"), Failure::Confirmed, 1, now);
        assert!(!alone.may_fail(id("jane"), now) && alone.may_fail(id("bob"), now));
        assert!(!alone.may_fail(id("jane"), now + 9 * minute));
        assert!(alone.may_fail(id("jane"), now + 10 * minute), "four replicas, so eight failures at most");
        alone.failed(id("jane"), Failure::Confirmed, 2, now + 10 * minute);
        assert!(!alone.may_fail(id("jane"), now + 23 * hour), "the third of each could be the tenth");
        alone.failed(id("known"), Failure::Confirmed, 3, now);
        assert!(!alone.may_fail(id("known"), now + 23 * hour), "two, four and four");
        alone.is_over();
        assert!(alone.may_fail(id("jane"), now));
    }

    #[tokio::test(start_paused = true)]
    async fn h4_failures_of_made_up_identifiers_hinder_no_others_while_alone() {
        let id = |name: &str| KeySecret::from([7; 32]).identifier(name);
        let (mut alone, now) = (Alone::new(4, 0, SILENT), Instant::now());
        alone.failed(id("jane"), Failure::Confirmed, 1, now);
        for at in 0..=MOST_FAILED {
            let later = now + Duration::from_millis(at as u64);
            alone.failed(id(&at.to_string()), Failure::Unconfirmed, 1, later);
        }
        assert!(alone.may_fail(id("bob"), now) && !alone.may_fail(id("jane"), now));
        assert!(alone.may_fail(id("0"), now) && !alone.may_fail(id("1"), now), "the first is forgotten");
        assert_eq!(alone.failed.each_ref().map(HashMap::len), [MOST_FAILED, 1]);
    }
}
