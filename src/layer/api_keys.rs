//! A layer that accepts API keys in the password's place.

use std::sync::Arc;

use http::Request;

use super::layer::ClerkBasicAuthLayer;
use super::organization::RequestOrganization;
use super::policy::{AuthorizationHeader, Policy};
use super::service::{ClerkBasicAuth, Decision, malformed};
use crate::api_keys::{ApiKeys, ClerkApiKey, ClerkPrincipal, LONGEST_TTL, SHORTEST_TTL, WantedOrganization};
use crate::credentials::{BasicToken, Credentials, Decoding};
use crate::engine::builder::ConfigError;
use crate::engine::{Clerk, KeyAttempt};
use crate::key::CredentialKey;
use crate::rejection::Rejection;

/// The longest user name. It is compared with each request.
const LONGEST_USER_NAME: usize = 64;

impl<R> ClerkBasicAuthLayer<R> {
    /// Accepts API keys of Clerk as the password of the user `__token__`, beside passwords: off by default.
    ///
    /// It is for clients that can send nothing but Basic and should not have to hold a person's password: git, Maven, pip,
    /// curl, a cron job. The inner service gets a [`ClerkApiKey`](crate::ClerkApiKey) and no
    /// [`ClerkSession`](crate::ClerkSession), so handlers and [guards](crate::guard) for sessions answer a key 403
    /// [`Forbidden`](crate::RejectionKind::Forbidden). A guard for keys asks for a [scope](crate::Requirement::scope).
    ///
    /// A key is verified at Clerk, with the [`secret_key`](crate::ClerkBuilder::secret_key), and then held for the
    /// [`ttl`](ApiKeys::ttl) of `keys`; an engine holds 10,000
    /// ([`max_verified_api_keys`](crate::ClerkBuilder::max_verified_api_keys)). [`ApiKeys`] says what it costs.
    ///
    /// - A key that is unknown, revoked, expired, of another type or of another subject than the user name says is 401
    ///   [`CredentialsRejected`](crate::RejectionKind::CredentialsRejected), like a wrong password. So is one whose user is
    ///   banned or gone.
    /// - On a layer for an organization, the key must be the organization's own, or of a user who is a member: otherwise
    ///   the answer is 403 [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden).
    /// - Keys that Clerk has not accepted before have five verifications in a second, fair between the layer's
    ///   [`source_key`](Self::source_key)s. A key without a turn is 503.
    /// - A refused key is never tried as a password, nor a password as a key. A key as `Bearer` is refused, so a layer of
    ///   [`accept_bearer_only`](Self::accept_bearer_only) takes no key.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").secret_key("sk_test_0").build()?;
    /// use tower_clerk::{ApiKeys, ClerkBasicAuthLayer, Requirement};
    ///
    /// let layer = ClerkBasicAuthLayer::new(clerk).accept_api_keys(ApiKeys::new())?;
    /// let readers = layer.require(Requirement::new().scope("invoices:read"))?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the engine has no secret key, if the layer [replaces](Self::authorization_header) the
    /// `Authorization` field by a session's token, which a key doesn't have, if the user name can't be one of Basic, is
    /// longer than 64 bytes or looks like an id, or if the `ttl` is out of its bounds.
    pub fn accept_api_keys(self, keys: ApiKeys) -> Result<Self, ConfigError> {
        if !self.clerk().takes_api_keys() {
            return Err(ConfigError::NeedsSecretKey { name: "accept_api_keys" });
        }
        let name = keys.name();
        let is_usable = Credentials::new(name, "ak_").is_ok() && name.len() <= LONGEST_USER_NAME;
        if !is_usable || keys.claims_ids() {
            return Err(ConfigError::ApiKeyUserName { name: name.to_owned() });
        }
        let ttl = keys.ttl_of_keys();
        if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
            let name = "the ttl of API keys";
            return Err(ConfigError::Setting { name, least: SHORTEST_TTL, most: LONGEST_TTL, value: ttl });
        }
        self.with(|policy| policy.api_keys = Some(Arc::new(keys))).with_checked_field()
    }

    /// Refuses a layer that accepts keys and replaces the field by a token.
    pub(super) fn with_checked_field(self) -> Result<Self, ConfigError> {
        let policy = self.policy();
        match (&policy.api_keys, policy.authorization) {
            (Some(_), AuthorizationHeader::Bearer) => Err(ConfigError::ApiKeysHaveNoToken),
            _ => Ok(self),
        }
    }
}

/// The result for an API key that is known without waiting.
pub(super) enum KeyLook {
    Held(ClerkApiKey),
    Rejected(Rejection),
    Unverified(KeyRequest),
}

/// An API key among the credentials of a request.
pub(super) struct PresentedKey<'p> {
    keys: &'p Arc<ApiKeys>,
    key: CredentialKey,
    /// `None` if they are not decoded yet.
    credentials: Option<Credentials>,
}

/// An API key that has to be verified.
pub(super) struct KeyRequest {
    attempt: KeyAttempt,
    wanted: WantedOrganization,
}

impl KeyRequest {
    pub(super) async fn verify(self, clerk: Clerk) -> Result<ClerkPrincipal, Rejection> {
        clerk.verify_api_key(self.attempt, self.wanted).await.map(ClerkPrincipal::ApiKey)
    }
}

impl Policy {
    /// The organization that an API key has to be for.
    fn organization_of_key(
        &self,
        organization: Option<RequestOrganization>,
    ) -> Result<WantedOrganization, Rejection> {
        if organization == Some(RequestOrganization::Personal) {
            return Ok(WantedOrganization::Personal);
        }
        let access = self.access_of(organization)?;
        Ok(match &access.scope.organization {
            Some(name) => WantedOrganization::Named(name.clone()),
            None => WantedOrganization::Any,
        })
    }
}

impl<S, R> ClerkBasicAuth<S, R> {
    /// The key among the credentials of a request, if they are one. `cut` is what is left of them without a suffix.
    pub(super) fn presented_key(
        &self,
        token: BasicToken<'_>,
        cut: Option<&Credentials>,
    ) -> Option<PresentedKey<'_>> {
        let keys = self.policy().api_keys.as_ref()?;
        let decoding = self.policy().decoding;
        if cut.is_none() && decoding == Decoding::PLAIN {
            let key = || self.clerk().key_of_api_key(token);
            return keys.recognize(token).then(|| PresentedKey { keys, key: key(), credentials: None });
        }
        // In a way of decoding of its own, a layer may make a key of another spelling, so it decodes each token here.
        let credentials = cut.cloned().or_else(|| token.decode(decoding).ok())?;
        keys.are(&credentials).then(|| {
            let key = self.clerk().key_of_decoded_api_key(&credentials);
            PresentedKey { keys, key, credentials: Some(credentials) }
        })
    }

    pub(super) fn look_at_key(
        &self,
        presented: PresentedKey<'_>,
        token: BasicToken<'_>,
        organization: Option<RequestOrganization>,
        source: Option<u64>,
    ) -> KeyLook {
        let PresentedKey { keys, key, credentials } = presented;
        let wanted = match self.policy().organization_of_key(organization) {
            Ok(wanted) => wanted,
            Err(rejection) => return KeyLook::Rejected(rejection),
        };
        match self.clerk().held_api_key(&key, keys, &wanted) {
            Some(Ok(key)) => return KeyLook::Held(key),
            Some(Err(rejection)) => return KeyLook::Rejected(rejection),
            None => {}
        }
        match credentials.map_or_else(|| token.decode(Decoding::PLAIN), Ok) {
            Ok(credentials) => {
                let attempt = KeyAttempt { key, credentials, source, keys: Arc::clone(keys) };
                KeyLook::Unverified(KeyRequest { attempt, wanted })
            }
            Err(error) => KeyLook::Rejected(malformed(error)),
        }
    }

    pub(super) fn decide_key<B>(&self, request: &mut Request<B>, look: KeyLook) -> Decision {
        match look {
            KeyLook::Held(key) => {
                self.pass_key(request, key);
                Decision::Pass
            }
            KeyLook::Rejected(rejection) => self.reject(rejection),
            KeyLook::Unverified(unverified) => Decision::VerifyKey(unverified),
        }
    }

    pub(super) fn pass_key<B>(&self, request: &mut Request<B>, key: ClerkApiKey) {
        self.policy().rewrite_authorization_of_key(request.headers_mut());
        if let Some(identity) = &self.policy().identity {
            identity.rewrite_for_api_key(request.headers_mut(), &key);
        }
        request.extensions_mut().insert(key);
    }
}
