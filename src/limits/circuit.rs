//! A circuit breaker: stops calling Clerk during an outage, and probes for its end (rule P4).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// How many upstream errors in a row open the circuit.
const MAX_ERRORS: u32 = 5;

/// How many different subjects the errors must be for, so that the errors of one account don't open the circuit.
const MIN_SUBJECTS: usize = 3;

/// The pause before the first probe. Each failed probe doubles it.
const FIRST_PROBE_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(15);

/// Whether a circuit breaker lets calls to Clerk through.
///
/// A circuit opens after five upstream errors in a row, such as timeouts or 5xx answers, for at least three different
/// identifiers (sign-ins) or sessions (mints). While it is open, requests that need a call to Clerk are rejected with
/// 503 at once; live sessions with a good token are still served. One call at a time is let through as a probe, the
/// first after 1 s, and after each failed probe the pause doubles, up to 15 s. The first answer from Clerk closes the
/// circuit.
///
/// Sign-ins, mints, API keys and assertions have separate circuits: see [`Stats`](crate::stats::Stats). Alert on a circuit
/// that stays open for minutes: with the one for sign-ins open, new clients can't sign in; with the one for mints open,
/// tokens run out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through. This is the normal state.
    #[default]
    Closed,
    /// Clerk seems to be unavailable: calls are rejected at once, except for one probe at a time.
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

/// A call that was let through. Its outcome must be reported; if it is dropped before that, it doesn't count.
#[derive(Debug)]
pub(crate) struct Pass {
    circuit: Arc<Circuit>,
    subject: u64,
    /// Whether the call is the probe of an open circuit. An older call that fails must not lengthen the pause.
    probe: bool,
    reported: bool,
}

impl Circuit {
    /// Lets a call through. `subject` stands for the identifier or the holding that the call is for.
    ///
    /// # Errors
    ///
    /// Returns how long to wait before the next attempt, if the circuit is open.
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

    /// Whether [`enter`](Self::enter) would let a call through. Starts no probe.
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
    /// Reports that Clerk has answered, with a success or a refusal.
    pub(crate) fn answered(mut self) {
        self.reported = true;
        let before = std::mem::take(&mut *lock(&self.circuit.0));
        // Log without the lock, since a subscriber may read the circuit.
        if before.open.is_some() {
            tracing::info!("Clerk answers again");
        }
    }

    /// Reports an answer that shows neither an outage nor its end, such as an HTML page with a 4xx status. It never
    /// opens a circuit, and as a probe it counts as failed.
    pub(crate) fn inconclusive(self, now: Instant) {
        if self.probe {
            self.failed(now);
        }
    }

    /// Reports an upstream error.
    pub(crate) fn failed(mut self, now: Instant) {
        self.reported = true;
        let mut state = lock(&self.circuit.0);
        if let Some(open) = &mut state.open {
            if !self.probe {
                return;
            }
            open.probing = false;
            open.pause = (open.pause * 2).min(LONGEST_PROBE_PAUSE);
            open.next_probe = now + open.pause;
            return;
        }
        state.errors += 1;
        if state.subjects.len() < MIN_SUBJECTS && !state.subjects.contains(&self.subject) {
            state.subjects.push(self.subject);
        }
        if state.errors >= MAX_ERRORS && state.subjects.len() >= MIN_SUBJECTS {
            let pause = FIRST_PROBE_PAUSE;
            state.open = Some(Open { probing: false, next_probe: now + pause, pause });
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
    async fn p4_five_errors_from_three_identifiers_open_the_circuit() {
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
    async fn p4_a_success_in_between_resets_the_count() {
        let circuit = Arc::new(Circuit::default());
        [1, 2, 3, 4].into_iter().for_each(|subject| fail(&circuit, subject));
        circuit.enter(5, Instant::now()).unwrap().answered();
        [1, 2, 3, 4].into_iter().for_each(|subject| fail(&circuit, subject));
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn p4_an_inconclusive_answer_neither_opens_nor_closes_a_circuit() {
        let circuit = Arc::new(Circuit::default());
        (0..20).for_each(|it| circuit.enter(it, Instant::now()).unwrap().inconclusive(Instant::now()));
        assert_eq!(circuit.state(), CircuitState::Closed);
        [1, 2, 3, 4, 5].into_iter().for_each(|subject| fail(&circuit, subject));
        tokio::time::advance(Duration::from_secs(1)).await;
        circuit.enter(1, Instant::now()).unwrap().inconclusive(Instant::now());
        assert_eq!(circuit.state(), CircuitState::Open);
        assert!(circuit.enter(1, Instant::now()).is_err(), "the next probe waits");
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
        // A probe that is dropped without an outcome, by a panic for example, lets another one start.
        drop(circuit.enter(3, Instant::now()).unwrap());
        circuit.enter(3, Instant::now()).unwrap().answered();
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    /// A subscriber of the application that reads the circuit at each event.
    struct ReadsCircuit(Arc<Circuit>);

    impl tracing::Subscriber for ReadsCircuit {
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
    fn p4_a_subscriber_may_read_the_circuit() {
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let circuit = Arc::new(Circuit::default());
            tracing::subscriber::with_default(ReadsCircuit(Arc::clone(&circuit)), || {
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
