//! Rules that map workloads to users.

use super::claims::AssertionClaims;
use super::pattern::SubjectPattern;
use crate::jwt::RegisteredClaims as _;

/// A rule by which the assertions of certain workloads are those of a user.
///
/// [`Provider::rule`](super::Provider::rule) takes it, and the first rule of a provider that matches counts. The user is
/// best one of its own for this purpose, with a role that can do no more than the workload needs: anyone who can run such a
/// workload, or change the code that it runs, acts as this user.
///
/// ```
/// use tower_clerk::federation::WorkloadRule;
///
/// // The main branch of any repository of the organization with this id.
/// let rule = WorkloadRule::new("repo:acme/*:ref:refs/heads/main", "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug").owner_id("1234567");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct WorkloadRule {
    pub(super) subject: Box<str>,
    pub(super) user_id: Box<str>,
    pub(super) audience: Option<Box<str>>,
    pub(super) claims: Vec<(Box<str>, Box<str>)>,
}

impl WorkloadRule {
    /// Creates a rule: assertions whose `sub` matches this pattern are those of the user with this id (`user_…`).
    ///
    /// The pattern is literal, case and all, except for `*`, which stands for one segment between `:` or `/` as a whole.
    /// Its first two segments must be literal, those of Kubernetes up to the namespace. Anything wider is a
    /// [`ProviderError`](super::ProviderError).
    pub fn new(subject: impl Into<String>, user_id: impl Into<String>) -> Self {
        let (subject, user_id) = (subject.into().into(), user_id.into().into());
        Self { subject, user_id, audience: None, claims: Vec::new() }
    }

    /// Sets which of the provider's audiences the assertion must have: needed where the provider has several.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self { audience: Some(audience.into().into()), ..self }
    }

    /// Sets the id of the repository's owner at GitHub (`repository_owner_id`): needed with
    /// [`Provider::github_actions`](super::Provider::github_actions).
    ///
    /// The name in `sub` isn't enough. If an owner is renamed, anyone can take the old name, and then the same `sub`.
    pub fn owner_id(self, id: impl Into<String>) -> Self {
        self.claim("repository_owner_id", id)
    }

    /// Sets a claim that the assertion must have, as this text or as a number that is written like it. All claims that are
    /// set are required.
    ///
    /// With [`Provider::gitlab`](super::Provider::gitlab), `project_id` or `namespace_id` is needed.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.claims.push((name.into().into(), value.into().into()));
        self
    }
}

/// A rule that was checked.
#[derive(Clone, Debug)]
pub(crate) struct CheckedRule {
    pub(super) subject: SubjectPattern,
    pub(super) rule: WorkloadRule,
}

impl CheckedRule {
    pub(super) fn matches(&self, claims: &AssertionClaims) -> bool {
        let Self { subject, rule } = self;
        claims.text("sub").is_some_and(|sub| subject.matches(sub))
            && rule.audience.as_ref().is_none_or(|audience| claims.audiences().contains(audience))
            && rule.claims.iter().all(|(name, value)| claims.equals(name, value))
    }
}
