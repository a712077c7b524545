//! A provider whose settings were checked, and its verdict about an assertion's claims.

use std::sync::Arc;
use std::time::Duration;

use super::assertion::Assertion;
use super::claims::AssertionClaims;
use super::keys::Keys;
use super::link::{Link, VerifiedEmail};
use super::presets::Preset;
use super::refusal::{AssertionRefusal, LEEWAY};
use super::rule::CheckedRule;
use super::second_factor::SecondFactorPolicy;
use crate::jwt::{Algorithm, Expected, RegisteredClaims as _};

/// How old a person's assertion may be when it is exchanged, in seconds.
const FRESH_FOR: u64 = 10 * 60;

/// How long it is remembered that a person's assertion was used: longer than it is accepted, whatever the first answer of
/// Clerk's says about this machine's clock meanwhile.
const USED_FOR: Duration = Duration::from_secs(FRESH_FOR + 2 * LEEWAY);

/// The longest subject. OpenID Connect allows 255 characters, and GitHub's subjects are longer.
const MAX_SUBJECT: usize = 1024;

/// Values of `amr` that are kept of an assertion.
const MAX_METHODS: usize = 16;

/// See the [module docs](self).
pub(crate) struct TrustedProvider {
    pub(crate) issuer: Arc<str>,
    pub(crate) algorithms: Box<[Algorithm]>,
    pub(crate) mapping: Mapping,
    pub(super) preset: Preset,
    pub(super) audiences: Box<[Box<str>]>,
    pub(super) parties: Box<[Box<str>]>,
    pub(super) longest_age: Duration,
    pub(super) proof_ttl: Option<Duration>,
    pub(super) needs_nonce: bool,
    pub(super) keys: Keys,
}

/// How the subjects of a provider are those of users.
pub(crate) enum Mapping {
    People { subject_claim: Box<str>, links: Box<[Link]>, second_factor: SecondFactorPolicy },
    Workloads(Box<[CheckedRule]>),
}

/// How an assertion is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    /// For one exchange. A person's is fresh, has the nonce of its sign-in, and is used once.
    Exchange,
    /// As `Bearer`, with each request until it expires.
    Bearer,
}

/// An assertion that its provider has accepted. Whose it is has yet to be found out.
pub(crate) struct Accepted {
    pub(crate) subject: Box<str>,
    pub(crate) claims: AssertionClaims,
    /// How long it is still accepted.
    pub(crate) left: Duration,
    /// How long a proof by it lasts at most.
    pub(crate) proof_ttl: Option<Duration>,
    /// It may be exchanged once, so it is remembered for this long.
    pub(crate) once_within: Option<Duration>,
    /// Of a workload: the id of its user, if a rule matches.
    pub(crate) user_id: Option<Box<str>>,
}

impl TrustedProvider {
    /// Checks the claims of an assertion whose signature is that of this provider.
    ///
    /// # Errors
    ///
    /// Returns the reason if the assertion is not accepted, whoever its subject is.
    pub(crate) fn accept(
        &self,
        payload: &[u8],
        assertion: &Assertion,
        presented: Presented,
        now: u64,
    ) -> Result<Accepted, AssertionRefusal> {
        let malformed = || AssertionRefusal::other("the assertion lacks a claim that it must have");
        let claims = AssertionClaims::read(payload).ok_or_else(malformed)?;
        let expected = Expected {
            issuer: &self.issuer,
            audience: Some(&self.audiences),
            algorithms: &self.algorithms,
            now,
            leeway: LEEWAY,
            longest_life: None,
        };
        expected.check_origin(&claims).map_err(|error| AssertionRefusal::from(error.kind()))?;
        self.check_party(&claims)?;
        expected.check_times(&claims).map_err(|error| AssertionRefusal::from(error.kind()))?;
        self.check_kind(&claims)?;
        let subject = self.subject_of(&claims).ok_or_else(malformed)?;
        let is_once = presented == Presented::Exchange && self.is_for_people();
        let longest_age = if is_once { FRESH_FOR } else { self.longest_age.as_secs() };
        // The sum doesn't overflow, as `iat` was compared with `now`.
        let ends =
            claims.expires_at().min(claims.issued_at().saturating_add(longest_age)).saturating_add(LEEWAY);
        let left = Duration::from_secs(ends.saturating_sub(now));
        if left.is_zero() {
            return Err(AssertionRefusal {
                is_expired: true,
                ..AssertionRefusal::other("the assertion is too old")
            });
        }
        if is_once {
            self.check_nonce(&claims, assertion)?;
        }
        Ok(Accepted {
            subject,
            user_id: self.user_of(&claims),
            claims,
            left,
            proof_ttl: self.proof_ttl,
            once_within: is_once.then_some(USED_FOR),
        })
    }

    /// Whether its assertions are those of people.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.mapping, Mapping::People { .. })
    }

    /// The e-mail address of a person that counts for these domains.
    pub(crate) fn verified_email<'a>(
        &self,
        claims: &'a AssertionClaims,
        domains: &[Box<str>],
    ) -> Option<VerifiedEmail<'a>> {
        self.preset.verified_email(claims, domains)
    }

    /// An assertion for several audiences is another's as well, and says in `azp` whose.
    fn check_party(&self, claims: &AssertionClaims) -> Result<(), AssertionRefusal> {
        let party = claims.text("azp");
        let is_right = match (self.parties.is_empty(), party) {
            (false, Some(party)) => self.parties.iter().any(|ours| **ours == *party),
            (false, None) => claims.audiences().len() == 1,
            (true, Some(party)) => {
                claims.audiences().len() == 1 || self.audiences.iter().any(|ours| **ours == *party)
            }
            (true, None) => claims.audiences().len() == 1,
        };
        let refusal = AssertionRefusal::other("the assertion was issued to another party");
        if is_right { Ok(()) } else { Err(refusal) }
    }

    /// Refuses what is signed with the same keys and is no assertion of this kind.
    fn check_kind(&self, claims: &AssertionClaims) -> Result<(), AssertionRefusal> {
        // A logout token or another security event (RFC 8417, section 2.2).
        if claims.has("events") {
            return Err(AssertionRefusal::other("this is a security event, and no assertion"));
        }
        match &self.preset {
            Preset::Entra { tenant } if !claims.equals("tid", tenant) => {
                Err(AssertionRefusal::other("the assertion is from another tenant"))
            }
            // A stranger can have made such a job run. Of `pull_request_target`, `sub` is that of the base branch.
            Preset::GitHubActions
                if claims.text("event_name").is_none_or(|event| event.starts_with("pull_request")) =>
            {
                Err(AssertionRefusal::other("jobs for pull requests are not accepted"))
            }
            _ => Ok(()),
        }
    }

    fn check_nonce(&self, claims: &AssertionClaims, assertion: &Assertion) -> Result<(), AssertionRefusal> {
        match assertion.expected_nonce() {
            Some(expected) if !expected.is_empty() && claims.text("nonce") == Some(expected) => Ok(()),
            Some(_) => Err(AssertionRefusal::other("the assertion's nonce is another one")),
            None if self.needs_nonce => {
                Err(AssertionRefusal::other("the nonce of the sign-in is needed along with the assertion"))
            }
            None => Ok(()),
        }
    }

    fn subject_of(&self, claims: &AssertionClaims) -> Option<Box<str>> {
        let claim = match &self.mapping {
            Mapping::People { subject_claim, .. } => subject_claim,
            Mapping::Workloads(_) => "sub",
        };
        let subject = claims.text(claim)?;
        let is_one =
            !subject.is_empty() && subject.len() <= MAX_SUBJECT && !subject.contains(char::is_control);
        is_one.then(|| subject.into())
    }

    fn user_of(&self, claims: &AssertionClaims) -> Option<Box<str>> {
        let Mapping::Workloads(rules) = &self.mapping else { return None };
        rules.iter().find(|rule| rule.matches(claims)).map(|rule| rule.rule.user_id.clone())
    }
}

impl Accepted {
    /// The methods of authentication that the assertion names.
    pub(crate) fn methods(&self) -> Box<[Box<str>]> {
        self.claims.amr().take(MAX_METHODS).map(Into::into).collect()
    }
}
