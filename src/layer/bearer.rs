//! A layer that accepts Bearer tokens beside Basic credentials.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request};
use zeroize::Zeroizing;

use super::layer::ClerkBasicAuthLayer;
use super::policy::{Policy, RequestPolicy};
use super::service::{ClerkBasicAuth, Decision};
use crate::access::Access;
use crate::api_keys::ClerkPrincipal;
use crate::bearer::BearerTokens;
use crate::credentials::{BearerToken, Presented, presented};
use crate::engine::Clerk;
use crate::engine::builder::ConfigError;
#[cfg(feature = "federation")]
use crate::federation::{Assertion, ProviderError, claimed_issuer};
use crate::rejection::{BearerRefusal, Rejection};
use crate::scope::TemplateName;
use crate::session::ClerkSession;

impl<R> ClerkBasicAuthLayer<R> {
    /// Accepts session tokens of Clerk as `Authorization: Bearer <token>`, beside Basic credentials: off by default.
    ///
    /// The inner service gets an ordinary [`ClerkSession`](crate::ClerkSession) with that token;
    /// [`via`](crate::ClerkSession::via) and [`proven_at`](crate::ClerkSession::proven_at) are `None`. A token is verified
    /// here, by the instance's key set, and no other call to Clerk is made. It is then held until it expires, so that the
    /// next request with it costs as little as with a password; an engine holds 10,000
    /// ([`max_verified_tokens`](crate::ClerkBuilder::max_verified_tokens)). All other settings of the layer apply alike:
    ///
    /// - The token must be for the organization that the layer or its selector asks for, and name none if they ask for
    ///   none: otherwise the answer is 403 [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden).
    /// - A token that is refused is 401 with a [`bearer_refusal`](Rejection::bearer_refusal), also on an
    ///   [optional](Self::optional) layer.
    /// - A token is accepted until it expires, give or take 5 s;
    ///   [`min_token_lifetime`](Self::min_token_lifetime) is for tokens that the engine mints.
    ///
    /// A token that was issued for a longer life than 10 min is refused, or than
    /// [`token_lifetime`](crate::ClerkBuilder::token_lifetime) if that is longer. [`Clerk::revoke_user`] and the other
    /// revocations reach tokens that were issued before; see `SECURITY.md` on the replay of tokens.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::{BearerTokens, ClerkBasicAuthLayer};
    ///
    /// let tokens = BearerTokens::new().authorized_parties(["https://app.example.com"]);
    /// let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer(tokens)?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the list of authorized parties is empty or has an entry that is no origin, if a template's name
    /// is malformed or its audience is empty or that of another template, or if the layer hands on tokens of a
    /// [`template`](Self::template) that `tokens` doesn't list.
    pub fn accept_bearer(self, tokens: BearerTokens) -> Result<Self, ConfigError> {
        check(&tokens)?;
        #[cfg(feature = "federation")]
        self.check_providers(&tokens)?;
        let layer = self.with(|policy| {
            policy.challenge = policy.challenge.and_bearer();
            policy.bearer = Some(Arc::new(tokens));
        });
        layer.with_checked_template()
    }

    /// Accepts session tokens of Clerk as `Authorization: Bearer <token>`, and no passwords.
    ///
    /// It is [`accept_bearer`](Self::accept_bearer) without Basic. Use it where clients exchange their credentials for a
    /// token first, so that a password isn't sent with every request, and guessed on one route only. Basic credentials are
    /// then another scheme: the answer is that to a request without credentials, it costs no call to Clerk, and its
    /// challenge names Bearer alone.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::{BearerTokens, ClerkBasicAuthLayer};
    ///
    /// let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer_only(BearerTokens::new())?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`accept_bearer`](Self::accept_bearer).
    pub fn accept_bearer_only(self, tokens: BearerTokens) -> Result<Self, ConfigError> {
        let layer = self.accept_bearer(tokens)?;
        Ok(layer.with(|policy| policy.challenge = policy.challenge.bearer_only()))
    }

    #[cfg(feature = "federation")]
    fn check_providers(&self, tokens: &BearerTokens) -> Result<(), ConfigError> {
        match tokens.providers().iter().find(|issuer| !self.clerk().has_provider(issuer)) {
            Some(issuer) => Err(ConfigError::Provider(ProviderError::unknown(issuer))),
            None => Ok(()),
        }
    }

    /// Refuses a layer that hands on tokens of a template, and accepts Bearer tokens, but none of this template.
    pub(super) fn with_checked_template(self) -> Result<Self, ConfigError> {
        let policy = self.policy();
        match (&policy.bearer, &policy.access.scope.template) {
            (Some(tokens), Some(template)) if !tokens.accepts_template(template) => {
                let TemplateName::Usable(name) = template else { return Ok(self) };
                Err(ConfigError::TemplateNotAccepted { template: name.as_ref().to_owned() })
            }
            _ => Ok(self),
        }
    }
}

fn check(tokens: &BearerTokens) -> Result<(), ConfigError> {
    if let Some(parties) = tokens.parties() {
        if parties.is_empty() {
            return Err(ConfigError::NoAuthorizedParty);
        }
        if let Some(party) = parties.iter().find(|party| !is_origin(party)) {
            return Err(ConfigError::AuthorizedParty { party: party.as_ref().to_owned() });
        }
    }
    for (at, template) in tokens.templates().iter().enumerate() {
        TemplateName::checked(template.name.as_ref().to_owned())?;
        let is_taken = tokens.templates()[..at].iter().any(|other| other.audience == template.audience);
        if template.audience.is_empty() || is_taken {
            return Err(ConfigError::Audience { template: template.name.as_ref().to_owned() });
        }
    }
    Ok(())
}

/// Whether this can be an `azp`: an origin as browsers send it (RFC 6454 section 6.2), in lower case and without a path.
fn is_origin(party: &str) -> bool {
    let is_of_host =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    party.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && !host.is_empty()
            && host.bytes().all(is_of_host)
    })
}

/// The result for a Bearer token that is known without waiting.
pub(super) enum BearerLook {
    Held(ClerkSession),
    Rejected(Rejection),
    Unverified(BearerRequest),
}

/// A Bearer token that has to be verified.
pub(super) struct BearerRequest {
    jwt: Zeroizing<Box<str>>,
    tokens: Arc<BearerTokens>,
    access: Access,
    #[cfg(feature = "federation")]
    source: Option<u64>,
}

impl BearerRequest {
    pub(super) async fn verify(self, clerk: Clerk) -> Result<ClerkPrincipal, Rejection> {
        #[cfg(feature = "federation")]
        if self.is_of_provider() {
            let assertion = Assertion::new(&**self.jwt);
            let providers = self.tokens.providers();
            let session = clerk.exchange_bearer(self.source, &assertion, providers, &self.access).await;
            return session.map(ClerkPrincipal::Session);
        }
        clerk.verify_bearer(self.jwt, self.tokens, self.access).await.map(ClerkPrincipal::Bearer)
    }
}

#[cfg(feature = "federation")]
impl BearerRequest {
    /// Whether the token says that it is an assertion of one of the providers that the layer accepts. Whether that is true
    /// is for the verification to find out.
    fn is_of_provider(&self) -> bool {
        let providers = self.tokens.providers();
        !providers.is_empty()
            && claimed_issuer(&self.jwt)
                .is_some_and(|issuer| providers.iter().any(|known| **known == *issuer))
    }
}

impl Policy {
    /// Whether the layer takes this field, which isn't Basic, for a Bearer token.
    pub(super) fn bearer_of<'p, 'h>(
        &'p self,
        field: &'h HeaderValue,
    ) -> Option<(&'p Arc<BearerTokens>, BearerToken<'h>)> {
        let tokens = self.bearer.as_ref()?;
        Some((tokens, BearerToken::of(field)?))
    }

    /// Whether the headers have one field, and it is a Bearer token that the layer would verify.
    pub(super) fn is_bearer(&self, headers: &HeaderMap) -> bool {
        matches!(presented(headers), Ok(Presented::Other(field)) if self.bearer_of(field).is_some())
    }
}

impl<S, R> ClerkBasicAuth<S, R> {
    pub(super) fn look_at_bearer(
        &self,
        tokens: &Arc<BearerTokens>,
        token: BearerToken<'_>,
        request: RequestPolicy,
    ) -> BearerLook {
        let access = match self.policy().access_of(request.organization) {
            Ok(access) => access,
            Err(rejection) => return BearerLook::Rejected(rejection.for_bearer_session()),
        };
        match self.clerk().held_bearer(token, tokens, &access) {
            Some(Ok(session)) => return BearerLook::Held(session),
            Some(Err(rejection)) => return BearerLook::Rejected(rejection),
            None => {}
        }
        #[cfg(feature = "federation")]
        if !tokens.providers().is_empty()
            && let Some(session) = self.clerk().held_assertion(token.as_bytes(), tokens.providers(), &access)
        {
            return BearerLook::Held(session);
        }
        match str::from_utf8(token.as_bytes()) {
            Ok(jwt) if !jwt.is_empty() => BearerLook::Unverified(BearerRequest {
                jwt: Zeroizing::new(jwt.into()),
                tokens: Arc::clone(tokens),
                access: access.into_owned(),
                #[cfg(feature = "federation")]
                source: request.source,
            }),
            _ => {
                let rejection =
                    Rejection::of_bearer(BearerRefusal::Other, "there is no token after the scheme");
                BearerLook::Rejected(rejection)
            }
        }
    }

    pub(super) fn decide_bearer<B>(&self, request: &mut Request<B>, look: BearerLook) -> Decision {
        match look {
            BearerLook::Held(session) => {
                self.pass(request, session);
                Decision::Pass
            }
            BearerLook::Rejected(rejection) => self.reject(rejection),
            BearerLook::Unverified(unverified) => Decision::Verify(unverified),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_an_authorized_party_is_an_origin() {
        for origin in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://*.example.com",
            "https://App.example.com",
            "https://a.example.com,https://b.example.com",
            " https://app.example.com",
            "://app.example.com",
            "null",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }
}
