//! Identifiers whose refusals were lifted (rule K11).

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::grounds::{Ground, LiftedGrounds};
use crate::key::{IdentifierKey, PassThrough};
use crate::sync::lock;

/// How many lifted identifiers are remembered (rule K7). If there are more, the refusals of all identifiers are lifted,
/// which costs each of them one call to Clerk.
const MAX_FORGIVEN: usize = 65_536;

/// The number of times that a refusal was lifted before a sign-in began. A refusal is void if its identifier was lifted
/// since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl Epoch {
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// When the refusals of identifiers were lifted last.
///
/// Denials are stored by credential, and an identifier may have any number of them. So none is searched for: a denial
/// carries the epoch of its sign-in, and is compared when it is found.
#[derive(Debug)]
pub(crate) struct Forgiven {
    now: AtomicU64,
    marks: Mutex<Marks>,
    /// The epoch of the last mark.
    marked: AtomicU64,
    grounds: LiftedGrounds,
}

#[derive(Debug, Default)]
struct Marks {
    by_identifier: HashMap<IdentifierKey, Epoch, PassThrough>,
    /// All identifiers were lifted at this epoch.
    all: Epoch,
}

impl Forgiven {
    /// `longest` is how long a sign-in can take, its waits included.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            now: AtomicU64::new(0),
            marks: Mutex::default(),
            marked: AtomicU64::new(0),
            grounds: LiftedGrounds::new(longest),
        }
    }

    /// The present epoch, which a sign-in keeps from its start.
    pub(crate) fn now(&self) -> Epoch {
        Epoch(self.now.load(Ordering::Acquire))
    }

    /// Voids the refusals of these identifiers whose sign-ins began before now.
    pub(crate) fn forgive(&self, identifiers: impl IntoIterator<Item = IdentifierKey>) {
        let mut marks = lock(&self.marks);
        let epoch = self.next();
        for identifier in identifiers {
            if marks.by_identifier.len() >= MAX_FORGIVEN && !marks.by_identifier.contains_key(&identifier) {
                *marks = Marks { all: epoch, ..Marks::default() };
            }
            marks.by_identifier.insert(identifier, epoch);
        }
        // After the marks, so that `is_void` looks at them when it sees this.
        self.marked.store(epoch.0, Ordering::Release);
    }

    /// Voids the refusals of all identifiers whose sign-ins began before now.
    #[cfg(feature = "redis")]
    pub(crate) fn forgive_all(&self) {
        let mut marks = lock(&self.marks);
        let all = self.next();
        *marks = Marks { all, ..Marks::default() };
        self.marked.store(all.0, Ordering::Release);
    }

    /// Voids the refusals of this identifier on this ground whose sign-ins began before now, and no others.
    pub(crate) fn lift(&self, identifier: IdentifierKey, ground: Ground, now: Instant) {
        self.grounds.lift(identifier, ground, now, || self.next());
    }

    /// Whether refusals of this identifier on this ground were lifted while a sign-in was under way that began at
    /// `since`.
    pub(crate) fn has_lifted(&self, identifier: IdentifierKey, ground: Ground, since: Epoch) -> bool {
        self.grounds.has_lifted(identifier, ground, since)
    }

    /// Notes a refusal that is about to be remembered. Returns false if it is void already.
    pub(super) fn remember(&self, identifier: IdentifierKey, ground: Ground, since: Epoch) -> bool {
        ground == Ground::Other || self.grounds.remember(identifier, ground, since)
    }

    /// Whether a remembered refusal was lifted after its sign-in began.
    pub(super) fn is_refusal_void(&self, identifier: IdentifierKey, ground: Ground, since: Epoch) -> bool {
        self.is_void(identifier, since)
            || (ground != Ground::Other && self.grounds.is_void(identifier, ground, since))
    }

    fn next(&self) -> Epoch {
        Epoch(self.now.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Whether a refusal of this identifier was lifted after its sign-in began.
    pub(crate) fn is_void(&self, identifier: IdentifierKey, since: Epoch) -> bool {
        // Without the lock in the common case: no identifier was forgiven meanwhile.
        if since.0 >= self.marked.load(Ordering::Acquire) {
            return false;
        }
        let marks = lock(&self.marks);
        since < marks.all || marks.by_identifier.get(&identifier).is_some_and(|lifted| since < *lifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySecret;

    fn forgiven() -> Forgiven {
        Forgiven::new(Duration::from_secs(60))
    }

    fn id(name: impl std::fmt::Display) -> IdentifierKey {
        KeySecret::from([7; 32]).identifier(&name.to_string())
    }

    #[test]
    fn k11_only_what_began_before_is_void_and_only_of_this_identifier() {
        let forgiven = forgiven();
        let before = forgiven.now();
        assert!(!forgiven.is_void(id("ada"), before));
        forgiven.forgive([id("ada")]);
        let between = forgiven.now();
        assert!(forgiven.is_void(id("ada"), before) && !forgiven.is_void(id("ada"), between));
        assert!(!forgiven.is_void(id("bob"), before));
        forgiven.forgive([id("bob"), id("ada")]);
        assert!(forgiven.is_void(id("ada"), between) && forgiven.is_void(id("bob"), between));
        assert!(!forgiven.is_void(id("ada"), forgiven.now()));
    }

    #[test]
    fn k7_lifted_identifiers_are_bounded_and_none_is_forgotten() {
        let forgiven = forgiven();
        let before = forgiven.now();
        for at in 0..MAX_FORGIVEN {
            forgiven.forgive([id(at)]);
        }
        let full = forgiven.now();
        forgiven.forgive([id(0)]);
        assert!(!forgiven.is_void(id("nobody"), before), "a known identifier needs no room");
        forgiven.forgive([id("one more")]);
        assert!(lock(&forgiven.marks).by_identifier.len() <= MAX_FORGIVEN);
        for at in [0, 1, MAX_FORGIVEN - 1] {
            assert!(forgiven.is_void(id(at), before), "{at} is still lifted");
        }
        assert!(forgiven.is_void(id("nobody"), full), "the price of the bound");
        assert!(!forgiven.is_void(id("nobody"), forgiven.now()));
    }
}
