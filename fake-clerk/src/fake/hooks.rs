//! Hooks of a test that run after an answer, to change the instance in the middle of a client's scan.

use crate::endpoint::Endpoint;
use crate::fake::FakeClerk;

type Run = Box<dyn FnOnce(&FakeClerk) + Send>;

struct Hook {
    endpoint: Endpoint,
    /// Answers that are still to come, this one included.
    answers: usize,
    run: Run,
}

/// The hooks that are still to run.
#[derive(Default)]
pub(crate) struct Hooks(Vec<Hook>);

impl Hooks {
    pub(crate) fn add(&mut self, endpoint: Endpoint, answers: usize, run: Run) {
        self.0.push(Hook { endpoint, answers, run });
    }

    /// Counts an answer, and returns what is to run now.
    pub(crate) fn answered(&mut self, endpoint: Endpoint) -> Vec<Run> {
        let is_meant = |hook: &Hook| endpoint.groups().any(|group| group == hook.endpoint);
        self.0.iter_mut().filter(|hook| is_meant(hook)).for_each(|hook| hook.answers -= 1);
        self.0.extract_if(.., |hook| hook.answers == 0).map(|hook| hook.run).collect()
    }
}
