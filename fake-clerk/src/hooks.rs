//! Hooks of a test that run after an answer, to change the instance in the middle of a client's scan.

use crate::endpoint::Endpoint;

type Run<T> = Box<dyn FnOnce(&T) + Send>;

struct Hook<T> {
    endpoint: Endpoint,
    /// Answers that are still to come, this one included.
    answers: usize,
    run: Run<T>,
}

/// The hooks that are still to run, on a `T`.
pub(crate) struct Hooks<T>(Vec<Hook<T>>);

impl<T> Default for Hooks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Hooks<T> {
    pub(crate) fn add(&mut self, endpoint: Endpoint, answers: usize, run: Run<T>) {
        self.0.push(Hook { endpoint, answers, run });
    }

    /// Counts an answer, and returns what is to run now.
    pub(crate) fn answered(&mut self, endpoint: Endpoint) -> Vec<Run<T>> {
        let is_meant = |hook: &Hook<T>| endpoint.groups().any(|group| group == hook.endpoint);
        self.0.iter_mut().filter(|hook| is_meant(hook)).for_each(|hook| hook.answers -= 1);
        self.0.extract_if(.., |hook| hook.answers == 0).map(|hook| hook.run).collect()
    }
}
