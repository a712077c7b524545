//! Stops asking a Clerk that is away, and finds out when it is back (rule P4).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// Faults in a row that open the circuit.
const FAULTS: u32 = 5;

/// How many different identifiers they must come from: one user's trouble is not Clerk's.
const SUBJECTS: usize = 3;

/// How long after a error the next probe may go, doubling up to the second.
const PROBE_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Whether a circuit lets calls through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// Clerk seems to be away: calls are answered at once, but for one probe at a time.
    Open,
}

/// The circuit of one kind of call.
#[derive(Debug, Default)]
pub(crate) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    errors: u32,
    subjects: Vec<u64>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    probing: bool,
    next_probe: Instant,
    pause: Duration,
}

/// A call that was let through, until its outcome is reported. Dropped before that, it changes nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    circuit: Arc<Circuit>,
    subject: u64,
    /// It is the probe of an open circuit. A call that started before the circuit opened doesn't show that Clerk is back.
    probe: bool,
    reported: bool,
}

impl Circuit {
    /// Lets a call through, or says after how long to come back. `subject` is the user or session that it is about.
    pub(crate) fn enter(self: &Arc<Self>, subject: u64, now: Instant) -> Result<Pass, Duration> {
        let mut probe = false;
        if let Some(open) = &mut lock(&self.0).open {
            if open.probing || now < open.next_probe {
                return Err(open.next_probe.saturating_duration_since(now).max(Duration::from_secs(1)));
            }
            open.probing = true;
            probe = true;
        }
        Ok(Pass { circuit: Arc::clone(self), subject, probe, reported: false })
    }

    /// Whether a call would be let through, without taking the probe's place.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Duration> {
        match &lock(&self.0).open {
            Some(open) if open.probing || now < open.next_probe => {
                Err(open.next_probe.saturating_duration_since(now).max(Duration::from_secs(1)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn state(&self) -> CircuitState {
        if lock(&self.0).open.is_some() { CircuitState::Open } else { CircuitState::Closed }
    }
}

impl Pass {
    /// Clerk answered, whatever it said.
    pub(crate) fn answered(mut self) {
        self.reported = true;
        let before = std::mem::take(&mut *lock(&self.circuit.0));
        // Without the lock, as a subscriber may look at the circuit.
        if before.open.is_some() {
            tracing::info!("Clerk answers again");
        }
    }

    /// An answer came that tells neither that Clerk is away nor that it is back: a page with a 4xx, say. It never opens a
    /// circuit, and as a probe it does not close one.
    pub(crate) fn inconclusive(self, now: Instant) {
        if self.probe {
            self.failed(now);
        }
    }

    /// Clerk was at error.
    pub(crate) fn failed(mut self, now: Instant) {
        self.reported = true;
        let mut state = lock(&self.circuit.0);
        if let Some(open) = &mut state.open {
            if !self.probe {
                return;
            }
            open.probing = false;
            open.pause = (open.pause * 2).min(PROBE_AFTER.1);
            open.next_probe = now + open.pause;
            return;
        }
        state.errors += 1;
        if state.subjects.len() < SUBJECTS && !state.subjects.contains(&self.subject) {
            state.subjects.push(self.subject);
        }
        if state.errors >= FAULTS && state.subjects.len() >= SUBJECTS {
            state.open = Some(Open { probing: false, next_probe: now + PROBE_AFTER.0, pause: PROBE_AFTER.0 });
            drop(state);
            tracing::warn!("Clerk doesn't answer: requests that need it are answered 503 until it does");
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe
            && !self.reported
            && let Some(open) = &mut lock(&self.circuit.0).open
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(circuit: &Arc<Circuit>, subject: u64) {
        circuit.enter(subject, Instant::now()).unwrap().failed(Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn p4_five_faults_from_three_identifiers_open_the_circuit() {
        let circuit = Arc::new(Circuit::default());
        for subject in [1, 1, 1, 1, 1, 1, 2] {
            fail(&circuit, subject);
        }
        assert_eq!(circuit.state(), CircuitState::Closed, "two identifiers are not enough");
        fail(&circuit, 3);
        assert_eq!(circuit.state(), CircuitState::Open);
        assert!(circuit.enter(4, Instant::now()).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn p4_a_success_between_starts_the_count_anew() {
        let circuit = Arc::new(Circuit::default());
        [1, 2, 3, 4].into_iter().for_each(|subject| fail(&circuit, subject));
        circuit.enter(5, Instant::now()).unwrap().answered();
        [1, 2, 3, 4].into_iter().for_each(|subject| fail(&circuit, subject));
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn p4_an_answer_that_tells_nothing_neither_opens_nor_closes_a_circuit() {
        let circuit = Arc::new(Circuit::default());
        (0..20).for_each(|it| circuit.enter(it, Instant::now()).unwrap().inconclusive(Instant::now()));
        assert_eq!(circuit.state(), CircuitState::Closed);
        [1, 2, 3, 4, 5].into_iter().for_each(|subject| fail(&circuit, subject));
        tokio::time::advance(Duration::from_secs(1)).await;
        circuit.enter(1, Instant::now()).unwrap().inconclusive(Instant::now());
        assert_eq!(circuit.state(), CircuitState::Open);
        assert!(circuit.enter(1, Instant::now()).is_err(), "and the next probe waits");
    }

    #[tokio::test(start_paused = true)]
    async fn p4_one_probe_at_a_time_finds_the_recovery() {
        let circuit = Arc::new(Circuit::default());
        [1, 2, 3, 4, 5].into_iter().for_each(|subject| fail(&circuit, subject));
        tokio::time::advance(Duration::from_secs(1)).await;
        let probe = circuit.enter(1, Instant::now()).unwrap();
        assert!(circuit.enter(2, Instant::now()).is_err(), "one probe at a time");
        probe.failed(Instant::now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(circuit.enter(2, Instant::now()).is_err(), "the next probe waits longer");
        tokio::time::advance(Duration::from_secs(1)).await;
        // A probe that is dropped without an outcome, by a panic for example, leaves its place to another.
        drop(circuit.enter(3, Instant::now()).unwrap());
        circuit.enter(3, Instant::now()).unwrap().answered();
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    /// A subscriber of the program's own, which looks at the circuit at each event.
    struct Looks(Arc<Circuit>);

    impl tracing::Subscriber for Looks {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.state();
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn p4_a_subscriber_may_look_at_the_circuit() {
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let circuit = Arc::new(Circuit::default());
            tracing::subscriber::with_default(Looks(Arc::clone(&circuit)), || {
                [1, 2, 3, 4].into_iter().for_each(|subject| fail(&circuit, subject));
                let last = circuit.enter(6, Instant::now()).unwrap();
                fail(&circuit, 5);
                assert_eq!(circuit.state(), CircuitState::Open);
                last.answered();
                assert_eq!(circuit.state(), CircuitState::Closed);
            });
            done.send(()).unwrap();
        });
        wait.recv_timeout(Duration::from_secs(20)).expect("no lock is held while an event is handled");
    }
}
