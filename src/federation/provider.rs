//! The settings of a provider.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use super::presets::Preset;
use super::rule::WorkloadRule;
use super::second_factor::SecondFactorPolicy;
use crate::jwt::Algorithm;
use crate::transport::Transport;

/// An identity provider whose assertions are accepted, and what they are accepted for.
///
/// [`ClerkBuilder::provider`](crate::ClerkBuilder::provider) takes it, and
/// [`build`](crate::ClerkBuilder::build) refuses settings that are unusable or too wide. Nothing is fetched before the first
/// assertion arrives.
///
/// ```
/// use tower_clerk::federation::Provider;
///
/// let partner = Provider::oidc("https://login.partner.example")
///     .audience("our-client-id")
///     .link_oauth("oauth_custom_partner")
///     .trust_amr(["mfa"]);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Provider {
    pub(super) issuer: String,
    pub(super) preset: Preset,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) parties: Vec<Box<str>>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) longest_age: Duration,
    pub(super) proof_ttl: Option<Duration>,
    pub(super) needs_nonce: bool,
    pub(super) keys: KeySource,
    pub(super) ca_certificate: Option<Vec<u8>>,
    pub(super) transport: Option<Arc<dyn Transport>>,
    pub(super) subject_claim: Option<Box<str>>,
    pub(super) links: Vec<Link>,
    pub(super) second_factor: Option<SecondFactorPolicy>,
    pub(super) rules: Vec<WorkloadRule>,
}

/// Where a provider's keys come from.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    /// The `jwks_uri` of the document at `{issuer}/.well-known/openid-configuration`.
    Discovery,
    Address(String),
    File(PathBuf),
}

impl Provider {
    /// Creates a provider from its issuer, the exact `iss` of its assertions.
    ///
    /// It must be an address of https; http is for loopback addresses only. It needs an [`audience`](Self::audience), and a
    /// link for people or a [`rule`](Self::rule) for workloads. An issuer that has a constructor of its own, such as
    /// [`google`](Self::google), has the same checks here.
    pub fn oidc(issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        Self {
            preset: Preset::of(&issuer),
            issuer,
            audiences: Vec::new(),
            parties: Vec::new(),
            algorithms: vec![Algorithm::Rs256],
            longest_age: Duration::from_secs(60 * 60),
            proof_ttl: None,
            needs_nonce: true,
            keys: KeySource::Discovery,
            ca_certificate: None,
            transport: None,
            subject_claim: None,
            links: Vec::new(),
            second_factor: None,
            rules: Vec::new(),
        }
    }

    /// Adds an audience: assertions must have one of them in `aud`.
    ///
    /// It is the client id of your program at the provider, or a name that workloads ask for. Choose a name that means this
    /// service and no other: an assertion that was made for another service would open this one as well.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into().into());
        self
    }

    /// Adds an authorized party: an `azp` must be one of them.
    ///
    /// Without any, it must be one of the audiences in an assertion that has several, and isn't looked at in others
    /// ([OpenID Connect Core, section 3.1.3.7](https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation)).
    pub fn authorized_party(mut self, party: impl Into<String>) -> Self {
        self.parties.push(party.into().into());
        self
    }

    /// Sets the algorithms that the provider signs with: RS256 by default.
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        Self { algorithms: algorithms.into_iter().collect(), ..self }
    }

    /// Sets how long an assertion is accepted after it was issued where it is a credential: that of a workload, and any that
    /// a layer accepts as `Bearer`. It is 1 h by default, from 1 min to 24 h.
    ///
    /// It is accepted until it expires in any case. This is for providers whose assertions live for longer, such as
    /// Kubernetes with tokens of a year. A person's assertion is exchanged within 10 min.
    pub fn longest_age(self, age: Duration) -> Self {
        Self { longest_age: age, ..self }
    }

    /// Ends the proof of an assertion this long after it was verified: when the assertion expires by default, or from 1 s to
    /// 24 h.
    ///
    /// It never outlives the assertion. Afterwards the assertion is verified again, and its user looked up.
    pub fn proof_ttl(self, ttl: Duration) -> Self {
        Self { proof_ttl: Some(ttl), ..self }
    }

    /// Accepts assertions of people without a nonce.
    ///
    /// **This removes the protection against an assertion that was stolen from another sign-in**: it is then held back by
    /// its age and by being used once alone. It is for assertions of sign-ins that another program has started, such as a
    /// partner's. A nonce that is [given](super::Assertion::nonce) is checked all the same.
    pub fn without_nonce(self) -> Self {
        Self { needs_nonce: false, ..self }
    }

    /// Sets the address of the provider's key set, for a provider without a discovery document.
    pub fn key_set_url(self, url: impl Into<String>) -> Self {
        Self { keys: KeySource::Address(url.into()), ..self }
    }

    /// Reads the provider's key set from a file, for a provider that this program doesn't reach.
    ///
    /// It is read when the engine is built, and again as a key set is fetched: after 5 min of use, and for an unknown key.
    pub fn key_set_file(self, path: impl Into<PathBuf>) -> Self {
        Self { keys: KeySource::File(path.into()), ..self }
    }

    /// Sets the certificate authority of the provider, as PEM, in place of those of the platform: for a provider with one of
    /// its own, such as the API server of Kubernetes. Needs the crate's feature `rustls`.
    pub fn ca_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { ca_certificate: Some(pem.into()), ..self }
    }

    /// Fetches the discovery document and the key set by this [`Transport`], in place of the built-in HTTP client. It must
    /// follow no redirect.
    pub fn transport(self, transport: impl Transport) -> Self {
        Self { transport: Some(Arc::new(transport)), ..self }
    }

    /// Sets the claim that names a person for links: `sub` by default.
    ///
    /// It must be the same that Clerk holds as the id of the account at the provider, and one that is never given to another
    /// person: names and addresses are refused.
    pub fn subject_claim(self, name: impl Into<String>) -> Self {
        Self { subject_claim: Some(name.into().into()), ..self }
    }

    /// Finds a person by an external account that is linked to exactly one user, by Clerk's name of the provider, such as
    /// `oauth_google` or `oauth_custom_partner`.
    ///
    /// The account must be verified and have the [subject](Self::subject_claim) as its id.
    pub fn link_oauth(mut self, clerk_provider: impl Into<String>) -> Self {
        self.links.push(Link::External(clerk_provider.into().into()));
        self
    }

    /// Finds a person by an account of an enterprise connection, by the connection's id at Clerk.
    ///
    /// Clerk can't search for such an account. So the user is found by the `email` of the assertion, and accepted only if an
    /// active account of this connection has the [subject](Self::subject_claim) as its id.
    pub fn link_enterprise(mut self, connection_id: impl Into<String>) -> Self {
        self.links.push(Link::Enterprise(connection_id.into().into()));
        self
    }

    /// Finds a person by an e-mail address of one of these domains: off by default.
    ///
    /// **Whoever controls the provider then controls every account of these domains.** Use it for a provider that is in
    /// charge of them. The assertion must say `email_verified` as a boolean; that of Google names the domain as its `hd`, and
    /// that of Entra has a true `xms_edov` in place of it. Exactly one user must have the address, verified.
    pub fn link_verified_email(mut self, domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let domains = domains.into_iter().map(|domain| domain.into().into()).collect();
        self.links.push(Link::VerifiedEmail(domains));
        self
    }

    fn with_second_factor(mut self, change: impl FnOnce(&mut SecondFactorPolicy)) -> Self {
        change(self.second_factor.get_or_insert_default());
        self
    }

    /// Trusts these values of `amr` as saying that the person has used a second factor, such as `mfa`: none by default.
    ///
    /// The assertion must have a fresh `auth_time` beside it ([`auth_time_within`](Self::auth_time_within)). Trust values
    /// only by the provider's own description: `otp`, for example, may be the only factor that a person has used.
    pub fn trust_amr(self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let values = values.into_iter().map(|value| value.into().into());
        self.with_second_factor(|policy| policy.amr.extend(values))
    }

    /// Trusts these values of `acr` as saying that the person has used a second factor: none by default. As
    /// [`trust_amr`](Self::trust_amr) does.
    pub fn trust_acr(self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let values = values.into_iter().map(|value| value.into().into());
        self.with_second_factor(|policy| policy.acr.extend(values))
    }

    /// Sets how long ago the person may have been authenticated (`auth_time`) for a second factor to count: 1 h by default,
    /// from 1 min to 24 h.
    pub fn auth_time_within(self, age: Duration) -> Self {
        self.with_second_factor(|policy| policy.within = age)
    }

    /// Asks every person for a second factor, and not only those whose user has one at Clerk.
    pub fn require_second_factor(self) -> Self {
        self.with_second_factor(|policy| policy.is_required = true)
    }

    /// Adds a rule that maps workloads to a user. The first that matches counts.
    ///
    /// A provider with rules is for workloads and has no links.
    pub fn rule(mut self, rule: WorkloadRule) -> Self {
        self.rules.push(rule);
        self
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}
