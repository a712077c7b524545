//! The settings of one layer.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::identity::IdentityHeaders;
use super::organization::{IdentifierSuffix, RequestOrganization};
use crate::access::Access;
use crate::api_keys::ApiKeys;
use crate::bearer::BearerTokens;
use crate::credentials::{BasicToken, Credentials, Decoding, MalformedCredentials};
use crate::rejection::{Challenge, Rejection, RejectionKind};
use crate::scope::OrganizationName;
use crate::session::ClerkSession;

/// Which `Authorization` field the inner service sees.
///
/// Set it by [`authorization_header`](crate::ClerkBasicAuthLayer::authorization_header). A request that passes as
/// [`Anonymous`](crate::Anonymous) never carries Basic credentials to the inner service unless the setting is
/// [`Keep`](Self::Keep), and never a `Bearer` token if it is [`Bearer`](Self::Bearer): such a token could be mistaken
/// for one that this layer has verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizationHeader {
    /// The field is removed, so that the password ends at the layer.
    ///
    /// This is the default.
    #[default]
    Strip,
    /// The field stays as the client sent it, and is marked as
    /// [sensitive](http::HeaderValue::set_sensitive).
    Keep,
    /// The field becomes `Bearer <jwt>`, for services that verify Clerk's tokens themselves.
    Bearer,
}

pub(super) type OrganizationFn = Arc<dyn Fn(&Parts) -> RequestOrganization + Send + Sync>;
pub(super) type ExemptFn = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
pub(crate) type SourceFn = Arc<dyn Fn(&Parts) -> Option<u64> + Send + Sync>;

/// A function that names the source of a request, as one that hashes the name.
pub(crate) fn source_fn<F, K>(source: F) -> SourceFn
where
    F: Fn(&Parts) -> Option<K> + Send + Sync + 'static,
    K: Hash,
{
    let hasher = RandomState::new();
    Arc::new(move |parts| source(parts).map(|key| hasher.hash_one(key)))
}

/// Where a layer reads the organization of each request.
#[derive(Clone)]
pub(super) enum OrganizationSource {
    Request(OrganizationFn),
    Identifier(Arc<IdentifierSuffix>),
}

/// The results of a policy's functions for one request.
#[derive(Default)]
pub(super) struct RequestPolicy {
    /// `None` if the policy has no selector, or one that reads the credentials.
    pub(super) organization: Option<RequestOrganization>,
    pub(super) exempt: bool,
    pub(super) source: Option<u64>,
}

#[derive(Clone)]
pub(super) struct Policy {
    pub(super) optional: bool,
    pub(super) access: Access,
    pub(super) organization: Option<OrganizationSource>,
    pub(super) authorization: AuthorizationHeader,
    pub(super) decoding: Decoding,
    pub(super) identity: Option<Arc<IdentityHeaders>>,
    pub(super) challenge: Challenge,
    pub(super) exempt: Option<ExemptFn>,
    pub(super) source: Option<SourceFn>,
    pub(super) pass_preflight: bool,
    /// The Bearer tokens that are accepted, if any.
    pub(super) bearer: Option<Arc<BearerTokens>>,
    /// The API keys that are accepted, if any.
    pub(super) api_keys: Option<Arc<ApiKeys>>,
}

impl Policy {
    /// Whether one of the functions is set: only then is the request taken apart.
    pub(super) fn reads_parts(&self) -> bool {
        self.organization_fn().is_some() || self.exempt.is_some() || self.source.is_some()
    }

    pub(super) fn for_request(&self, parts: &Parts) -> RequestPolicy {
        RequestPolicy {
            organization: self.organization_fn().map(|organization| organization(parts)),
            exempt: self.exempt.as_ref().is_some_and(|exempt| exempt(parts)),
            source: self.source.as_ref().and_then(|source| source(parts)),
        }
    }

    fn organization_fn(&self) -> Option<&OrganizationFn> {
        match &self.organization {
            Some(OrganizationSource::Request(organization)) => Some(organization),
            Some(OrganizationSource::Identifier(_)) | None => None,
        }
    }

    /// The credentials without the suffix of their identifier, and the organization that it names. `None` on a layer
    /// that reads no suffix, which doesn't decode them here.
    pub(super) fn cut(
        &self,
        token: BasicToken<'_>,
    ) -> Result<Option<(Credentials, RequestOrganization)>, MalformedCredentials> {
        match &self.organization {
            Some(OrganizationSource::Identifier(suffix)) => {
                suffix.cut(token.decode(self.decoding)?).map(Some)
            }
            Some(OrganizationSource::Request(_)) | None => Ok(None),
        }
    }

    /// The access that a request with this organization asks the engine for.
    pub(super) fn access_of(
        &self,
        organization: Option<RequestOrganization>,
    ) -> Result<Cow<'_, Access>, Rejection> {
        match organization {
            Some(RequestOrganization::Named(organization)) => {
                Ok(Cow::Owned(self.access.clone().organization(organization)))
            }
            Some(RequestOrganization::Unlisted) => {
                tracing::debug!("the request names an organization that the layer does not serve");
                let mut access = self.access.clone();
                access.scope.organization = Some(OrganizationName::Unlisted);
                Ok(Cow::Owned(access))
            }
            // A policy with a selector names no organization itself.
            Some(RequestOrganization::Personal) => Ok(Cow::Borrowed(&self.access)),
            None if self.organization.is_none() => Ok(Cow::Borrowed(&self.access)),
            // `None` on a layer with a selector is a request that the selector can't read, such as one without an
            // identifier where its suffix names the organization.
            Some(RequestOrganization::Refused) | None => {
                tracing::debug!("the request names no organization: the layer's selector found none");
                let rejection = Rejection::new(RejectionKind::OrganizationForbidden);
                Err(rejection.detail_of("the request names no organization"))
            }
        }
    }

    // A browser sends a preflight without credentials: <https://fetch.spec.whatwg.org/#cors-preflight-fetch>.
    pub(super) fn is_passed_preflight(&self, method: &Method, headers: &HeaderMap) -> bool {
        self.pass_preflight
            && method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    pub(super) fn rewrite_authorization(&self, headers: &mut HeaderMap, session: &ClerkSession) {
        match self.authorization {
            AuthorizationHeader::Strip => _ = headers.remove(AUTHORIZATION),
            // It was marked as sensitive when it was read.
            AuthorizationHeader::Keep => {}
            AuthorizationHeader::Bearer => {
                // A compact JWT is base64url and dots, so it is a valid field value. If it ever isn't, the password
                // must still not stay in the field.
                match HeaderValue::try_from(format!("Bearer {}", session.token())) {
                    Ok(mut bearer) => {
                        bearer.set_sensitive(true);
                        headers.insert(AUTHORIZATION, bearer);
                    }
                    Err(_) => _ = headers.remove(AUTHORIZATION),
                }
            }
        }
    }

    /// A key has no token. No layer that accepts keys is built with `Bearer`, but the key must not stay in the field.
    pub(super) fn rewrite_authorization_of_key(&self, headers: &mut HeaderMap) {
        match self.authorization {
            AuthorizationHeader::Keep => {}
            AuthorizationHeader::Strip | AuthorizationHeader::Bearer => _ = headers.remove(AUTHORIZATION),
        }
    }

    /// Without a session, the inner service must see neither Basic credentials that were not verified nor a `Bearer`
    /// token that it could mistake for one of this layer (rule A5).
    pub(super) fn rewrite_authorization_of_anonymous(&self, headers: &mut HeaderMap, is_other_scheme: bool) {
        match self.authorization {
            AuthorizationHeader::Keep => mark_sensitive(headers),
            AuthorizationHeader::Strip if is_other_scheme => mark_sensitive(headers),
            AuthorizationHeader::Strip | AuthorizationHeader::Bearer => _ = headers.remove(AUTHORIZATION),
        }
    }
}

fn mark_sensitive(headers: &mut HeaderMap) {
    if let http::header::Entry::Occupied(mut fields) = headers.entry(AUTHORIZATION) {
        fields.iter_mut().for_each(|field| field.set_sensitive(true));
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("optional", &self.optional)
            .field("access", &self.access)
            .field("organization", &self.organization.as_ref().map(|_| "<fn>"))
            .field("authorization", &self.authorization)
            .field("identity", &self.identity)
            .field("challenge", &self.challenge)
            .field("bearer", &self.bearer)
            .field("api_keys", &self.api_keys)
            .field("exempt", &self.exempt.as_ref().map(|_| "<fn>"))
            .field("pass_preflight", &self.pass_preflight)
            .finish_non_exhaustive()
    }
}
