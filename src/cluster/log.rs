//! The changes of this replica and of the others, as this replica knows them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

use super::change::Change;
use super::entry::{Entry, EntryId};

/// How long a change can matter: a proof lives for a day at most, and a session no longer than its proof.
pub(super) const LIFE: u64 = 25 * 3600 * 1000;

/// How fast the clock may be before the first answer of Clerk's has told the time.
const ERROR: u64 = 5 * 60 * 1000;

/// Entries that are kept, and that the shared log has at least (rule K7).
pub(super) const MOST_KEPT: usize = 100_000;

/// Changes of this replica that wait for the shared log. One more makes them one change of everything (rule K7).
const MOST_WAITING: usize = 10_000;

/// A change that the shared log has not acknowledged, with its number here: 0 if it is sent again.
pub(super) type Waiting = (u64, Entry);

/// The changes that this replica has sent, is about to send, and has received.
///
/// All of it is kept for as long as it can matter, so that a log that comes back empty gets it again from any replica.
#[derive(Debug)]
pub(super) struct Log {
    waiting: VecDeque<Waiting>,
    /// Kept entries that are to be sent again.
    again: VecDeque<EntryId>,
    /// Kept entries that were sent, and were not read in the shared log since.
    unread: HashSet<EntryId>,
    kept: HashMap<EntryId, Entry>,
    /// The ids of the kept entries, as they came.
    order: VecDeque<EntryId>,
    /// The number of this replica's last change.
    last: u64,
    /// Entries were forgotten for want of room, the youngest of them from this time.
    forgotten: u64,
    /// The start of this process, by a clock that may be wrong. 0 when the log was read to its end: what comes later is new,
    /// whatever the time that it bears.
    start: u64,
    /// How long before its start a change can concern it.
    pub(super) oldest: u64,
}

/// An entry of the shared log, as this replica has to take it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    New,
    /// From before the start of this process.
    FromBefore,
    /// Received before, or sent by this replica.
    Known,
    /// Too old to concern this replica.
    Over,
}

impl Log {
    /// The log of a process that starts now.
    pub(super) fn new(start: u64) -> Self {
        let (waiting, again, unread, kept, order) = Default::default();
        Self { waiting, again, unread, kept, order, last: 0, forgotten: 0, start, oldest: 0 }
    }

    /// The shared log was read to its end.
    pub(super) fn caught_up(&mut self) {
        self.start = 0;
    }

    /// Adds a change of this replica's. Returns its number.
    pub(super) fn add(&mut self, change: Change, now: u64) -> u64 {
        let change = if self.waiting.len() < MOST_WAITING {
            change
        } else {
            self.waiting.clear();
            Change::Everything
        };
        let entry = Entry::new(change, now);
        self.keep(entry.clone(), now);
        self.last += 1;
        self.waiting.push_back((self.last, entry));
        self.last
    }

    /// The next entries to be sent: those that no replica can know of come first.
    pub(super) fn next(&mut self, most: usize) -> Vec<Waiting> {
        let again = self.again.iter().filter_map(|id| Some((0, self.kept.get(id)?.clone())));
        let next: Vec<Waiting> = self.waiting.iter().cloned().chain(again).take(most).collect();
        self.unread.extend(next.iter().map(|(_, entry)| entry.id));
        next
    }

    /// The shared log has these entries. Returns the number of the last change of this replica's among them.
    pub(super) fn acknowledge(&mut self, sent: &[Waiting]) -> u64 {
        let last = sent.iter().map(|(number, _)| *number).max().unwrap_or_default();
        while self.waiting.front().is_some_and(|(waiting, _)| *waiting <= last) {
            self.waiting.pop_front();
        }
        let again: HashSet<EntryId> =
            sent.iter().filter(|(number, _)| *number == 0).map(|(_, it)| it.id).collect();
        while self.again.front().is_some_and(|id| again.contains(id)) {
            self.again.pop_front();
        }
        last
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.again.len()
    }

    pub(super) fn known(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Notes an entry of the shared log.
    pub(super) fn receive(&mut self, entry: &Entry, now: u64) -> Received {
        if self.kept.contains_key(&entry.id) {
            self.unread.remove(&entry.id);
            return Received::Known;
        }
        if now.saturating_sub(entry.at) >= LIFE {
            return Received::Over;
        }
        self.keep(entry.clone(), now);
        match self.start.saturating_sub(entry.at).saturating_sub(ERROR) {
            0 => Received::New,
            before if before <= self.oldest => Received::FromBefore,
            _ => Received::Over,
        }
    }

    /// Sends again what the shared log has lost, given the ids that it has.
    pub(super) fn send_again(&mut self, has: impl Fn(&EntryId) -> bool, now: u64) -> usize {
        // The entries that were to be sent again before are still missing, or in the log by now.
        self.again_if(|id| !has(id), now);
        let again = self.again.len();
        if now.saturating_sub(self.forgotten) < LIFE {
            self.add(Change::Everything, now);
            return again + 1;
        }
        again
    }

    /// Sends again what was sent and not read since: the server may have changed, and the new one may have all entries that
    /// were read here, and lack a later one that the old one had acknowledged.
    pub(super) fn send_unread(&mut self, now: u64) {
        let unread: HashSet<EntryId> =
            mem::take(&mut self.unread).into_iter().chain(self.again.drain(..)).collect();
        if !unread.is_empty() {
            self.again_if(|id| unread.contains(id), now);
        }
    }

    fn again_if(&mut self, is_lost: impl Fn(&EntryId) -> bool, now: u64) {
        let waits: HashSet<EntryId> = self.waiting.iter().map(|(_, it)| it.id).collect();
        let is_again = |id: &&EntryId| {
            let lives = self.kept.get(*id).is_some_and(|entry| now.saturating_sub(entry.at) < LIFE);
            lives && is_lost(id) && !waits.contains(*id)
        };
        self.again = self.order.iter().filter(is_again).copied().collect();
    }

    fn keep(&mut self, entry: Entry, now: u64) {
        self.order.push_back(entry.id);
        self.kept.insert(entry.id, entry);
        while let Some(oldest) = self.order.front() {
            let at = self.kept.get(oldest).map_or(0, |entry| entry.at);
            let is_old = now.saturating_sub(at) >= LIFE;
            if !is_old && self.order.len() <= MOST_KEPT {
                break;
            }
            self.kept.remove(oldest);
            self.unread.remove(oldest);
            // Both queues have the same order.
            if self.again.front() == Some(oldest) {
                self.again.pop_front();
            }
            self.order.pop_front();
            if !is_old {
                self.forgotten = self.forgotten.max(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_000_000;

    fn user(id: usize) -> Change {
        Change::User(id.to_string().into())
    }

    fn deliver(log: &mut Log) {
        let sent = log.next(usize::MAX);
        log.acknowledge(&sent);
    }

    #[test]
    fn h5_an_entry_is_applied_once_and_not_when_nothing_here_is_as_old() {
        let start = NOW - 1000;
        let mut log = Log::new(start);
        log.oldest = 60;
        let entry = Entry::new(user(1), NOW - 500);
        assert_eq!(log.receive(&entry, NOW), Received::New);
        assert_eq!(log.receive(&entry, NOW), Received::Known);
        let mut at = |at| log.receive(&Entry::new(user(2), at), NOW);
        assert_eq!(at(start - ERROR), Received::New, "the clock may be wrong");
        assert_eq!(at(start - ERROR - 1), Received::FromBefore);
        assert_eq!(at(start - ERROR - 60), Received::FromBefore);
        assert_eq!(at(start - ERROR - 61), Received::Over);
        log.caught_up();
        assert_eq!(log.receive(&Entry::new(user(2), start - ERROR - 61), NOW), Received::New);
        assert_eq!(log.receive(&Entry::new(user(3), NOW - LIFE), NOW), Received::Over, "replayed");
        log.add(user(4), NOW);
        let own = log.next(9).remove(0).1;
        assert_eq!(log.receive(&own, NOW), Received::Known, "its own");
    }

    #[test]
    fn h5_a_log_that_was_lost_gets_again_what_any_replica_knows() {
        let mut log = Log::new(0);
        let theirs = Entry::new(user(1), NOW);
        log.receive(&theirs, NOW);
        log.add(user(2), NOW);
        deliver(&mut log);
        log.add(user(3), NOW);
        assert_eq!(log.send_again(|id| *id == theirs.id, NOW), 1, "user 2; user 3 waits anyway");
        let users: Vec<Change> = log.next(9).into_iter().map(|(_, entry)| entry.change).collect();
        assert_eq!(users, [user(3), user(2)]);
        deliver(&mut log);
        assert_eq!((log.waiting(), log.send_again(|_| true, NOW)), (0, 0));
        assert_eq!(log.send_again(|_| false, NOW), 3);
        deliver(&mut log);
        assert_eq!(log.send_again(|_| false, NOW + LIFE), 0, "nothing held is as old");
    }

    #[test]
    fn h5_the_next_connection_sends_again_what_was_sent_and_not_read() {
        let mut log = Log::new(0);
        (0..3).for_each(|at| _ = log.add(user(at), NOW));
        let sent = log.next(2);
        log.receive(&sent[1].1, NOW);
        log.acknowledge(&sent);
        log.send_unread(NOW);
        let users: Vec<Change> = log.next(9).into_iter().map(|(_, entry)| entry.change).collect();
        assert_eq!(users, [user(2), user(0)], "1 was read before it was acknowledged, and 2 waits");
        log.send_unread(NOW);
        assert_eq!(log.waiting(), 2, "each once");
    }

    #[test]
    fn h5_changes_that_are_sent_again_make_no_change_of_everything_and_delay_none() {
        let mut log = Log::new(0);
        (0..=MOST_WAITING).for_each(|at| _ = log.receive(&Entry::new(user(at), NOW), NOW));
        assert_eq!(log.send_again(|_| false, NOW), MOST_WAITING + 1);
        log.add(user(MOST_KEPT), NOW);
        let users: Vec<Change> = log.next(2).into_iter().map(|(_, entry)| entry.change).collect();
        assert_eq!(users, [user(MOST_KEPT), user(0)]);
        assert_eq!(log.waiting(), MOST_WAITING + 2);
    }

    #[test]
    fn k7_changes_that_wait_and_that_are_kept_are_bounded_and_none_is_lost() {
        let mut log = Log::new(0);
        (0..=MOST_WAITING).for_each(|at| _ = log.add(user(at), NOW));
        assert_eq!(log.waiting(), 1);
        assert_eq!(log.next(9)[0].1.change, Change::Everything);
        for at in 0..MOST_KEPT + 1 {
            log.receive(&Entry::new(user(at), NOW), NOW);
        }
        assert!(log.kept.len() == MOST_KEPT && log.order.len() == MOST_KEPT);
        deliver(&mut log);
        log.send_again(|_| true, NOW);
        assert_eq!(log.next(9)[0].1.change, Change::Everything, "the forgotten ones");
    }
}
