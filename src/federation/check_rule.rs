//! Checks a rule for workloads: one that is too wide is an error.

use super::ProviderErrorKind as Kind;
use super::check::Problem;
use super::pattern::SubjectPattern;
use super::presets::Preset;
use super::provider::Provider;
use super::rule::{CheckedRule, WorkloadRule};

impl Provider {
    /// Checks a rule for workloads.
    pub(super) fn checked_rule(&self, rule: &WorkloadRule) -> Result<CheckedRule, Problem> {
        let refuse = |why: &str| (Kind::Rule, format!("the rule for {:?}: {why}", rule.subject));
        let is_id = rule.user_id.strip_prefix("user_").is_some_and(|id| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if !is_id {
            return Err(refuse("it needs the id of a user (user_…)"));
        }
        match &rule.audience {
            Some(audience) if !self.audiences.contains(audience) => {
                return Err(refuse("its audience is not one of the provider's"));
            }
            None if self.audiences.len() > 1 => {
                return Err(refuse("the provider has several audiences: name the one that it is for"));
            }
            _ => {}
        }
        if rule.claims.iter().any(|(name, value)| name.is_empty() || value.is_empty()) {
            return Err(refuse("a claim and its value must not be empty"));
        }
        let names = |claim: &str| rule.claims.iter().any(|(name, _)| **name == *claim);
        let literal_segments = match self.preset {
            Preset::GitHubActions if !names("repository_owner_id") => {
                return Err(refuse(
                    "it needs the owner's id, since anyone can take the name of a renamed owner",
                ));
            }
            Preset::GitHubActions if rule.subject.contains("pull_request") => {
                return Err(refuse("jobs for pull requests are not accepted"));
            }
            Preset::GitLab if !names("project_id") && !names("namespace_id") => {
                return Err(refuse("it needs the claim `project_id` or `namespace_id`"));
            }
            Preset::Kubernetes if !rule.subject.starts_with("system:serviceaccount:") => {
                return Err(refuse("a service account is `system:serviceaccount:namespace:name`"));
            }
            Preset::Kubernetes => Some(3),
            _ => None,
        };
        let subject = SubjectPattern::new(&rule.subject, literal_segments).map_err(refuse)?;
        Ok(CheckedRule { subject, rule: rule.clone() })
    }
}
