//! Checks the settings of a provider: what is unusable or too wide is an error, and nothing is corrected.

use std::sync::Arc;
use std::time::Duration;

use super::keys::{Keys, is_safe};
use super::link::Link;
use super::presets::{ENTRA_CONSUMERS, Preset, is_of_github};
use super::provider::{KeySource, Provider};
use super::trusted::{Mapping, TrustedProvider};
use super::{ProviderError, ProviderErrorKind as Kind};
use crate::clerk_api::HttpTransport;
use crate::instance::Instance;
use crate::jwt::VerificationKeys;
use crate::transport::Transport;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Claims that pass from one person to another, or that a person can choose: with them, one who takes an address over
/// takes its account over as well (<https://www.descope.com/blog/post/noauth>).
const MUTABLE_CLAIMS: [&str; 7] =
    ["email", "preferred_username", "upn", "unique_name", "name", "nickname", "phone_number"];

/// Audiences that providers put into assertions which are meant for others.
const FOREIGN_AUDIENCES: [&str; 5] =
    ["sts.amazonaws.com", "api://AzureADTokenExchange", "sigstore", "pypi", "npm:registry.npmjs.org"];

/// A problem with a setting.
pub(super) type Problem = (Kind, String);

impl Provider {
    /// # Errors
    ///
    /// Returns an error if the settings are unusable, or accept more than their writer can have meant.
    pub(crate) fn check(self) -> Result<TrustedProvider, ProviderError> {
        let issuer = self.issuer.clone();
        self.checked().map_err(|(kind, problem)| ProviderError::new(&issuer, kind, problem))
    }

    fn checked(self) -> Result<TrustedProvider, Problem> {
        self.check_issuer()?;
        self.check_audiences()?;
        if self.algorithms.is_empty() {
            return problem(Kind::Algorithm, "name at least one algorithm");
        }
        between("longest_age", self.longest_age, MINUTE)?;
        self.proof_ttl.map_or(Ok(()), |ttl| between("proof_ttl", ttl, SECOND))?;
        let keys = self.keys()?;
        let mapping = self.mapping()?;
        Ok(TrustedProvider {
            issuer: self.issuer.into(),
            algorithms: self.algorithms.into(),
            mapping,
            preset: self.preset,
            audiences: self.audiences.into(),
            parties: self.parties.into(),
            longest_age: self.longest_age,
            proof_ttl: self.proof_ttl,
            needs_nonce: self.needs_nonce,
            keys,
        })
    }

    fn check_issuer(&self) -> Result<(), Problem> {
        if let Preset::Entra { tenant } = &self.preset {
            let is_part = |(at, part): (usize, &str)| {
                part.len() == [8, 4, 4, 4, 12][at] && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            if tenant.split('-').count() != 5 || !tenant.split('-').enumerate().all(is_part) {
                return problem(
                    Kind::Issuer,
                    "the tenant must be a GUID: with `common` and the like, any tenant could vouch",
                );
            }
        }
        let is_address = self.issuer.contains("://") && Instance::parse(&self.issuer).is_ok();
        if is_address {
            return Ok(());
        }
        problem(
            Kind::Issuer,
            "the issuer must be an address of https without query and fragment; http is for loopback addresses only",
        )
    }

    fn check_audiences(&self) -> Result<(), Problem> {
        if self.audiences.is_empty() || self.audiences.iter().any(|audience| audience.is_empty()) {
            return problem(Kind::Audience, "name the audience that its assertions have for this service");
        }
        if self.parties.iter().any(|party| party.is_empty()) {
            return problem(Kind::Audience, "an authorized party must not be empty");
        }
        let is_default = |audience: &str| match self.preset {
            Preset::GitHubActions => is_of_github(&self.issuer, audience),
            Preset::Kubernetes => audience == "api",
            _ => false,
        };
        let is_foreign = |audience: &str| {
            FOREIGN_AUDIENCES.contains(&audience)
                || audience.contains("kubernetes.default.svc")
                || audience == self.issuer
                || is_default(audience)
        };
        match self.audiences.iter().find(|audience| is_foreign(audience)) {
            Some(foreign) => problem(
                Kind::Audience,
                format!(
                    "assertions for {foreign:?} are made for others: choose an audience that means this service"
                ),
            ),
            None => Ok(()),
        }
    }

    fn keys(&self) -> Result<Keys, Problem> {
        let url = match &self.keys {
            KeySource::File(path) => {
                if self.ca_certificate.is_some() || self.transport.is_some() {
                    return problem(Kind::KeySet, "a file needs neither a certificate nor a transport");
                }
                let bytes = std::fs::read(path)
                    .map_err(|error| (Kind::KeySet, format!("{} can't be read: {error}", path.display())))?;
                VerificationKeys::from_jwks(&bytes, &self.algorithms)
                    .map_err(|error| (Kind::KeySet, format!("{}: {error}", path.display())))?;
                return Ok(Keys::File(path.clone()));
            }
            KeySource::Address(url) => url,
            KeySource::Discovery => &self.issuer,
        };
        if !is_safe(url, self.issuer.starts_with("https:")) {
            return problem(Kind::KeySet, "the address of the key set must be one of https");
        }
        let transport = self.transport_to(url.starts_with("https:"))?;
        Ok(match &self.keys {
            KeySource::Address(url) => Keys::Address { url: url.as_str().into(), transport },
            _ => Keys::Discovery { issuer: self.issuer.as_str().into(), transport },
        })
    }

    fn transport_to(&self, https: bool) -> Result<Arc<dyn Transport>, Problem> {
        match (&self.transport, &self.ca_certificate) {
            (Some(_), Some(_)) => problem(Kind::KeySet, "the transport knows its own certificates"),
            (Some(transport), None) => Ok(Arc::clone(transport)),
            (None, _) if https && cfg!(not(feature = "rustls")) => {
                problem(Kind::KeySet, "turn on the crate's feature `rustls`, or give a transport")
            }
            (None, Some(_)) if !https => problem(Kind::KeySet, "a certificate is for https"),
            #[cfg(feature = "rustls")]
            (None, Some(pem)) => match HttpTransport::with_authority(pem) {
                Ok(transport) => Ok(Arc::new(transport)),
                Err(error) => {
                    problem(Kind::KeySet, format!("its certificate authority is unusable: {error}"))
                }
            },
            (None, _) => match HttpTransport::new(https) {
                Ok(transport) => Ok(Arc::new(transport)),
                Err(error) => problem(
                    Kind::KeySet,
                    format!("the HTTP client could not be made: {}", error.without_url()),
                ),
            },
        }
    }

    fn mapping(&self) -> Result<Mapping, Problem> {
        match (self.links.is_empty(), self.rules.is_empty()) {
            (true, true) if self.preset.is_for_workloads() => problem(Kind::Mapping, "it needs a rule"),
            (true, true) => problem(Kind::Mapping, "it needs a link for people, or a rule for workloads"),
            (false, false) => {
                problem(Kind::Mapping, "a provider is for people, by links, or for workloads, by rules")
            }
            (false, true) => self.people(),
            (true, false) => self.workloads(),
        }
    }

    fn people(&self) -> Result<Mapping, Problem> {
        if self.preset.is_for_workloads() {
            return problem(
                Kind::Mapping,
                "its assertions are about workloads, so it needs rules and no links",
            );
        }
        let mut links = self.links.clone();
        links.sort();
        links.dedup();
        links.iter().try_for_each(|link| self.check_link(link))?;
        let is_of_anyone = matches!(&self.preset, Preset::Entra { tenant } if **tenant == *ENTRA_CONSUMERS);
        if is_of_anyone && links.iter().any(|link| matches!(link, Link::VerifiedEmail(_))) {
            return problem(Kind::Mapping, "personal accounts at Microsoft are in charge of no domain");
        }
        let subject_claim = self.checked_subject_claim()?;
        let second_factor = self.second_factor.clone().unwrap_or_default();
        between("auth_time_within", second_factor.within, MINUTE)?;
        let mut trusted = second_factor.amr.iter().chain(&second_factor.acr);
        if trusted.any(|value| value.is_empty() || &**value == "pwd") {
            return problem(Kind::SecondFactor, "an empty value and `pwd`, a password, are no second factor");
        }
        if second_factor.is_required && !second_factor.trusts_any() {
            return problem(
                Kind::SecondFactor,
                "a second factor is required, and no value of `amr` or `acr` is trusted",
            );
        }
        Ok(Mapping::People { subject_claim, links: links.into(), second_factor })
    }

    fn check_link(&self, link: &Link) -> Result<(), Problem> {
        link.check().map_err(|why| (Kind::Mapping, why))?;
        match link {
            Link::External(name) if !self.preset.may_be(name, &self.issuer) => problem(
                Kind::Mapping,
                format!(
                    "as far as this version knows, the ids of {name:?} are those of another issuer, whose accounts this one would \
                     open"
                ),
            ),
            _ => Ok(()),
        }
    }

    fn checked_subject_claim(&self) -> Result<Box<str>, Problem> {
        let claim = self.subject_claim.as_deref();
        if matches!(self.preset, Preset::Entra { .. }) && claim.is_none_or(|claim| claim == "sub") {
            return problem(
                Kind::SubjectClaim,
                "Entra's `sub` differs from client to client: name the claim that Clerk holds, such as `oid`",
            );
        }
        match claim.unwrap_or("sub") {
            mutable if MUTABLE_CLAIMS.contains(&mutable) || mutable.is_empty() => problem(
                Kind::SubjectClaim,
                format!(
                    "`{mutable}` can pass to another person: name a claim that never does, such as `sub`"
                ),
            ),
            claim => Ok(claim.into()),
        }
    }

    fn workloads(&self) -> Result<Mapping, Problem> {
        if self.second_factor.is_some() || self.subject_claim.is_some() || !self.needs_nonce {
            return problem(
                Kind::Mapping,
                "second factors, a subject claim and the nonce are of people, and it has rules for workloads",
            );
        }
        self.rules
            .iter()
            .map(|rule| self.checked_rule(rule))
            .collect::<Result<_, _>>()
            .map(Mapping::Workloads)
    }
}

fn problem<T>(kind: Kind, problem: impl Into<String>) -> Result<T, Problem> {
    Err((kind, problem.into()))
}

fn between(name: &str, value: Duration, least: Duration) -> Result<(), Problem> {
    if (least..=DAY).contains(&value) {
        return Ok(());
    }
    problem(Kind::Duration, format!("{name} must be between {least:?} and {DAY:?}, not {value:?}"))
}
