//! Patterns on the `sub` of a workload's assertion.

/// The separators of the subjects that GitHub, GitLab and Kubernetes make.
const SEPARATORS: [char; 2] = [':', '/'];

/// Segments at the start that are no wildcard: `repo:acme/` of GitHub, `project_path:acme/` of GitLab.
const LITERAL_SEGMENTS: usize = 2;

const WILDCARD: &str = "*";

/// A pattern on a subject: literal, except for segments that are a `*` as a whole.
///
/// A wildcard stands for one segment and never crosses a separator, so that what it leaves open is what a reader expects:
/// `repo:acme/*:ref:refs/heads/main` is the main branch of any repository of `acme`, and of no other owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SubjectPattern(Box<str>);

impl SubjectPattern {
    /// # Errors
    ///
    /// Returns a reason if the pattern is empty or too wide.
    pub(super) fn new(pattern: &str, literal_segments: Option<usize>) -> Result<Self, &'static str> {
        if pattern.is_empty() {
            return Err("a pattern on `sub` must not be empty");
        }
        if pattern.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a pattern on `sub` must have neither white space nor control characters");
        }
        for (at, segment) in segments(pattern).enumerate() {
            let (text, _) = cut(segment);
            if !text.contains(WILDCARD) {
                continue;
            }
            if text != WILDCARD {
                return Err(
                    "a `*` must be a whole segment between `:` or `/`, since `acme*` also matches `acme-evil`",
                );
            }
            if at < literal_segments.unwrap_or(LITERAL_SEGMENTS) {
                return Err(
                    "the first segments of a pattern on `sub` must be literal: they say whose workloads these are",
                );
            }
        }
        Ok(Self(pattern.into()))
    }

    pub(super) fn matches(&self, subject: &str) -> bool {
        let (mut pattern, mut subject) = (segments(&self.0), segments(subject));
        loop {
            match (pattern.next(), subject.next()) {
                (None, None) => return true,
                (Some(pattern), Some(subject)) if is_match(pattern, subject) => {}
                _ => return false,
            }
        }
    }
}

fn is_match(pattern: &str, segment: &str) -> bool {
    let ((pattern, separator), (text, end)) = (cut(pattern), cut(segment));
    separator == end && (pattern == text || (pattern == WILDCARD && !text.is_empty()))
}

/// The segments, each with the separator at its end.
fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(SEPARATORS)
}

/// A segment and the separator at its end.
fn cut(segment: &str) -> (&str, Option<char>) {
    match segment.chars().next_back() {
        Some(last) if SEPARATORS.contains(&last) => (&segment[..segment.len() - last.len_utf8()], Some(last)),
        _ => (segment, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::new(text, None).unwrap()
    }

    #[test]
    fn x2_a_wildcard_is_one_whole_segment() {
        let main = pattern("repo:acme/*:ref:refs/heads/main");
        assert!(main.matches("repo:acme/app:ref:refs/heads/main"));
        for other in [
            "repo:acme-evil/app:ref:refs/heads/main",
            "repo:acme/:ref:refs/heads/main",
            "repo:acme/app/x:ref:refs/heads/main",
            "repo:acme/app:environment:x:ref:refs/heads/main",
            "repo:acme/app:ref:refs/heads/main2",
            "repo:acme/app:ref:refs/heads/main/",
            "repo:acme/app:ref:refs/heads/",
            "repo:acme/app:pull_request",
            "Repo:acme/app:ref:refs/heads/main",
            "repo/acme/app:ref:refs/heads/main",
            "",
        ] {
            assert!(!main.matches(other), "{other}");
        }
        let exact = pattern("system:serviceaccount:prod:deployer");
        assert!(exact.matches("system:serviceaccount:prod:deployer"));
        assert!(!exact.matches("system:serviceaccount:prod:deployer2"));
        assert!(pattern("repo:acme/app:*").matches("repo:acme/app:pull_request"));
    }

    #[test]
    fn x2_a_pattern_that_is_too_wide_is_an_error() {
        for wide in [
            "",
            "*",
            "*:acme/app",
            "repo:*/app",
            "repo:*",
            "repo:acme*/app",
            "repo:acme/app-*",
            "repo:acme/**",
            "a b",
        ] {
            assert!(SubjectPattern::new(wide, None).is_err(), "{wide:?}");
        }
        assert!(SubjectPattern::new("system:serviceaccount:*:deployer", Some(3)).is_err());
        assert!(SubjectPattern::new("system:serviceaccount:prod:*", Some(3)).is_ok());
    }

    proptest! {
        #[test]
        fn x2_a_pattern_without_a_wildcard_matches_itself_alone(
            one in "[a-z:/_-]{1,20}", other in "[a-z:/_-]{1,20}",
        ) {
            prop_assert!(pattern(&one).matches(&one));
            prop_assert_eq!(pattern(&one).matches(&other), one == other);
        }

        #[test]
        fn x2_no_wildcard_crosses_a_separator(segment in "[a-z:/]{0,12}") {
            let matches = pattern("repo:acme/*:ref").matches(&format!("repo:acme/{segment}:ref"));
            prop_assert_eq!(matches, !segment.is_empty() && !segment.contains(SEPARATORS));
        }
    }
}
