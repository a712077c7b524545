//! The grant of RFC 8693: a provider's assertion in, Clerk's JWT out.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::endpoint::TokenEndpoint;
use super::error::TokenError;
use super::form::Form;
use crate::engine::builder::ConfigError;
use crate::federation::{Assertion, ProviderError};

/// The `grant_type` of a request (RFC 8693, section 2.1).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

// The token types of RFC 8693, section 3. Clerk's JWT is an access token, and a JWT.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(super) type NonceFn = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

impl TokenEndpoint {
    /// Accepts an assertion of one of the engine's [providers](crate::ClerkBuilder::provider) for a token, by the grant of
    /// [RFC 8693](https://www.rfc-editor.org/rfc/rfc8693), beside client credentials: off by default.
    ///
    /// Use it for machines that have an identity already: the job of a build server, a workload in a cluster, a partner's
    /// own system. They keep no password, and ask OAuth's token endpoint as they do anywhere:
    ///
    /// | parameter | value |
    /// |---|---|
    /// | `grant_type` | `urn:ietf:params:oauth:grant-type:token-exchange` |
    /// | `subject_token` | the assertion |
    /// | `subject_token_type` | `urn:ietf:params:oauth:token-type:jwt` or `…:id_token` |
    /// | `requested_token_type` | `urn:ietf:params:oauth:token-type:access_token` or `…:jwt`, if any |
    ///
    /// `scope` and `audience` choose as [elsewhere](Self::access_from). An `actor_token` is refused, since a session of
    /// Clerk's has one user; so is a `resource`, as no token is limited to one; and so are client credentials in the same
    /// request, which nobody would have verified. The answer has an `issued_token_type` beside the other members.
    ///
    /// An assertion that isn't accepted is answered 400 [`InvalidRequest`](super::TokenErrorCode::InvalidRequest), as is one
    /// that the [provider's policy](crate::federation::Provider) is against: the
    /// [rejection](super::TokenError::rejection) tells them apart.
    ///
    /// ```
    /// # fn main() -> Result<(), tower_clerk::ConfigError> {
    /// use tower_clerk::Clerk;
    /// use tower_clerk::federation::{Provider, WorkloadRule};
    /// use tower_clerk::token_endpoint::TokenEndpoint;
    ///
    /// let builds = WorkloadRule::new("repo:acme/app:ref:refs/heads/main", "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug").owner_id("583231");
    /// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk")
    ///     .secret_key("sk_test_0123456789abcdef0123456789abcdef")
    ///     .provider(Provider::github_actions("https://api.acme.example").rule(builds))
    ///     .build()?;
    /// let endpoint = TokenEndpoint::new(clerk).organization("acme")?.accept_token_exchange()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the engine has no provider.
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub fn accept_token_exchange(self) -> Result<Self, ConfigError> {
        if !self.clerk().has_providers() {
            return Err(ConfigError::Provider(ProviderError::none()));
        }
        Ok(self.with(|policy| policy.grants.token_exchange = true))
    }

    /// Accepts assertions for a token, and no client credentials.
    ///
    /// It is [`accept_token_exchange`](Self::accept_token_exchange) without the other grant, for an endpoint at which no
    /// password can be guessed.
    ///
    /// # Errors
    ///
    /// Returns an error if the engine has no provider.
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub fn token_exchange_only(self) -> Result<Self, ConfigError> {
        Ok(self.accept_token_exchange()?.with(|policy| policy.grants.client_credentials = false))
    }

    /// Tells the endpoint the nonce that a person's assertion must have.
    ///
    /// An application that sends a person to the provider makes a nonce first, and keeps it where the browser can't change
    /// it unseen, such as a session or a signed cookie. The function finds it again, for the request that brings the
    /// assertion back. An assertion of a person is refused where it returns `None`, unless its provider is one
    /// [`without_nonce`](crate::federation::Provider::without_nonce). A nonce beside the assertion in the same form would
    /// prove nothing, as the attacker who has stolen the one reads it in the other.
    ///
    /// ```
    /// # fn endpoint(clerk: tower_clerk::Clerk) -> Result<(), tower_clerk::ConfigError> {
    /// use tower_clerk::token_endpoint::TokenEndpoint;
    ///
    /// #[derive(Clone)]
    /// struct Nonce(String);
    ///
    /// let endpoint = TokenEndpoint::new(clerk)
    ///     .accept_token_exchange()?
    ///     // A layer of the application's has found it in its session.
    ///     .nonce_from(|parts| parts.extensions.get::<Nonce>().map(|nonce| nonce.0.clone()));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub fn nonce_from<F>(self, nonce: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        self.with(|policy| policy.nonce = Some(Arc::new(nonce)))
    }
}

/// Reads the parameters of RFC 8693, section 2.1, and returns the assertion and the `issued_token_type` of the answer.
pub(super) fn assertion(
    headers: &HeaderMap,
    form: &Form<'_>,
) -> Result<(Assertion, &'static str), TokenError> {
    if headers.contains_key(AUTHORIZATION) || form.value("client_secret")?.is_some() {
        return Err(TokenError::invalid_request("a token exchange takes no client credentials"));
    }
    if form.value("actor_token")?.is_some() || form.value("actor_token_type")?.is_some() {
        return Err(TokenError::invalid_request("there are no actor tokens here"));
    }
    if form.value("resource")?.is_some() {
        return Err(TokenError::invalid_target("the resource can't be chosen here"));
    }
    let issued = match form.text("requested_token_type")?.as_deref() {
        None | Some(ACCESS_TOKEN) => ACCESS_TOKEN,
        Some(JWT) => JWT,
        Some(_) => {
            return Err(TokenError::invalid_request("the requested_token_type is none that is issued here"));
        }
    };
    match form.text("subject_token_type")?.as_deref() {
        Some(JWT | ID_TOKEN) => {}
        Some(_) => {
            return Err(TokenError::invalid_request(
                "the subject_token_type must be that of a JWT or an ID token",
            ));
        }
        None => return Err(TokenError::invalid_request("the subject_token_type is missing")),
    }
    let Some(token) = form.value("subject_token")? else {
        return Err(TokenError::invalid_request("the subject_token is missing"));
    };
    let token = str::from_utf8(&token);
    let token = token.map_err(|_| TokenError::invalid_request("the subject_token is no JWT"))?;
    Ok((Assertion::new(token), issued))
}
