//! What one layer wants: of a request, and done to it.

use std::fmt;
use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::organization::RequestOrganization;
use crate::access::Access;
use crate::credentials::Decoding;
use crate::session::ClerkSession;

/// What becomes of the `Authorization` field before the inner service sees the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizationHeader {
    /// It is removed: the inner service has no business with the password. The default.
    #[default]
    Strip,
    /// It stays, marked sensitive.
    Keep,
    /// It is replaced by `Bearer <jwt>`, for services that verify Clerk's tokens themselves.
    Bearer,
}

pub(super) type OrganizationFn = Arc<dyn Fn(&Parts) -> RequestOrganization + Send + Sync>;
pub(super) type ExemptFn = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
pub(super) type SourceFn = Arc<dyn Fn(&Parts) -> Option<u64> + Send + Sync>;

/// What the functions of a policy say of a request.
#[derive(Default)]
pub(super) struct RequestPolicy {
    /// `None` where the policy has no selector.
    pub(super) organization: Option<RequestOrganization>,
    pub(super) exempt: bool,
    pub(super) source: Option<u64>,
}

#[derive(Clone)]
pub(super) struct Policy {
    pub(super) optional: bool,
    pub(super) access: Access,
    pub(super) organization: Option<OrganizationFn>,
    pub(super) authorization: AuthorizationHeader,
    pub(super) decoding: Decoding,
    pub(super) challenge: HeaderValue,
    pub(super) exempt: Option<ExemptFn>,
    pub(super) source: Option<SourceFn>,
    pub(super) pass_preflight: bool,
}

impl Policy {
    /// Whether a decision needs the request's parts, which costs taking it apart.
    pub(super) fn reads_parts(&self) -> bool {
        self.organization.is_some() || self.exempt.is_some() || self.source.is_some()
    }

    pub(super) fn for_request(&self, parts: &Parts) -> RequestPolicy {
        RequestPolicy {
            organization: self.organization.as_ref().map(|organization| organization(parts)),
            exempt: self.exempt.as_ref().is_some_and(|exempt| exempt(parts)),
            source: self.source.as_ref().and_then(|source| source(parts)),
        }
    }

    /// A CORS preflight, which a browser sends without credentials (Fetch, section 3.2.2).
    pub(super) fn is_passed_preflight(&self, method: &Method, headers: &HeaderMap) -> bool {
        self.pass_preflight
            && method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The field as the inner service gets it with a session.
    pub(super) fn treat(&self, headers: &mut HeaderMap, session: &ClerkSession) {
        match self.authorization {
            AuthorizationHeader::Strip => _ = headers.remove(AUTHORIZATION),
            AuthorizationHeader::Keep => mark_sensitive(headers),
            AuthorizationHeader::Bearer => {
                // A compact JWT is base64url and dots, so it always fits a field; should it not, it goes missing.
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

    /// The field as the inner service gets it without a session: no Basic that nobody checked, and no `Bearer`
    /// that could be taken for ours.
    pub(super) fn treat_anonymous(&self, headers: &mut HeaderMap, is_other_scheme: bool) {
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
            .field("challenge", &self.challenge)
            .field("exempt", &self.exempt.as_ref().map(|_| "<fn>"))
            .field("pass_preflight", &self.pass_preflight)
            .finish_non_exhaustive()
    }
}
