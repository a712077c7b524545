use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use tower_service::Service;

use super::api_keys::KeyRequest;
use super::bearer::BearerRequest;
use super::future::ResponseFuture;
use super::policy::{Policy, RequestPolicy};
use super::reject::{RejectionResponse, respond};
use crate::access::Access;
use crate::api_keys::{ClerkApiKey, ClerkPrincipal};
use crate::counters::Outcome;
use crate::credentials::{
    Credentials, MalformedCredentials, Presented, from_scheme, presented, presented_and_marked,
};
use crate::engine::Clerk;
use crate::key::CredentialKey;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::{Anonymous, ClerkSession};

/// Middleware that authenticates requests by HTTP Basic against Clerk.
///
/// [`ClerkBasicAuthLayer`](crate::ClerkBasicAuthLayer) creates it. See the [module docs](crate::layer) for the order of
/// its decisions. It adds no error of its own: a rejection is a response, and `Error` is the inner service's.
///
/// The inner service must be [`Clone`]: while a request waits for Clerk, the service that was polled ready is given
/// back, and a clone of it gets the request.
#[derive(Clone)]
pub struct ClerkBasicAuth<S, R = super::EmptyBody> {
    inner: S,
    clerk: Clerk,
    policy: Arc<Policy>,
    response: R,
}

pub(super) enum Decision {
    /// The request holds a session or an `Anonymous` by now.
    Pass,
    Reject(Rejection),
    /// No session is cached, so the engine has to exchange the credentials.
    Exchange(ExchangeRequest),
    /// The engine has to verify a Bearer token.
    Verify(BearerRequest),
    /// The engine has to verify an API key.
    VerifyKey(KeyRequest),
}

pub(super) struct ExchangeRequest {
    key: CredentialKey,
    credentials: Credentials,
    source: Option<u64>,
    access: Access,
}

impl<S, R> ClerkBasicAuth<S, R> {
    pub(super) fn new(inner: S, clerk: Clerk, policy: Arc<Policy>, response: R) -> Self {
        Self { inner, clerk, policy, response }
    }

    pub(super) fn clerk(&self) -> &Clerk {
        &self.clerk
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns a reference to the inner service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Decides about a request, and prepares it for the inner service if it passes at once.
    fn decide<B>(&self, request: &mut Request<B>, request_policy: RequestPolicy) -> Decision {
        let policy = &*self.policy;
        remove_principals(request.extensions_mut());
        if request_policy.exempt || policy.is_passed_preflight(request.method(), request.headers()) {
            let is_other_scheme = is_other_scheme(request.headers()) && !policy.is_bearer(request.headers());
            return self.pass_anonymous(request, is_other_scheme);
        }
        let found = presented_and_marked(request.headers_mut());
        if let Ok(Presented::Other(field)) = &found
            && let Some((tokens, token)) = policy.bearer_of(field)
        {
            let look = self.look_at_bearer(tokens, token, request_policy);
            return self.decide_bearer(request, look);
        }
        let token = match found {
            Ok(Presented::Basic(token)) if policy.challenge.accepts_basic() => token,
            Ok(_) if policy.optional => {
                let is_other_scheme = is_other_scheme(request.headers());
                return self.pass_anonymous(request, is_other_scheme);
            }
            Ok(_) => return self.reject(Rejection::new(RejectionKind::CredentialsMissing)),
            Err(error) => return self.reject(malformed(error)),
        };
        let (cut, organization) = match policy.cut(token) {
            Ok(Some((credentials, organization))) => (Some(credentials), Some(organization)),
            Ok(None) => (None, request_policy.organization),
            Err(error) => return self.reject(malformed(error)),
        };
        if let Some(presented) = self.presented_key(token, cut.as_ref()) {
            let look = self.look_at_key(presented, token, organization, request_policy.source);
            return self.decide_key(request, look);
        }
        let access = match policy.access_of(organization) {
            Ok(access) => access,
            Err(rejection) => return self.reject(rejection),
        };
        // Without their suffix, the credentials are those that another layer gets without one.
        let key = match &cut {
            Some(credentials) => self.clerk.key_of_credentials(credentials),
            None => self.clerk.key_of(token, policy.decoding),
        };
        let decode = || cut.map_or_else(|| token.decode(policy.decoding), Ok);
        if let Some(held) = self.clerk.held(&key, &access) {
            // A hit decodes the password only to renew the proof, which is due once in 0.8 to 0.9 `session_ttl`.
            if let Some(live) = held.proof_due
                && let Ok(credentials) = decode()
            {
                self.clerk.renew_proof(&live, credentials);
            }
            self.pass(request, held.session);
            return Decision::Pass;
        }
        match decode() {
            Ok(credentials) => {
                let (source, access) = (request_policy.source, access.into_owned());
                Decision::Exchange(ExchangeRequest { key, credentials, source, access })
            }
            Err(error) => self.reject(malformed(error)),
        }
    }

    /// Rejects a request without an exchange. The engine counts the outcomes of exchanges.
    pub(super) fn reject(&self, rejection: Rejection) -> Decision {
        self.clerk.count_rejection(&rejection);
        Decision::Reject(rejection)
    }

    pub(super) fn pass<B>(&self, request: &mut Request<B>, session: ClerkSession) {
        self.policy.rewrite_authorization(request.headers_mut(), &session);
        if let Some(identity) = &self.policy.identity {
            identity.rewrite(request.headers_mut(), Some(&session));
        }
        request.extensions_mut().insert(session);
    }

    fn pass_anonymous<B>(&self, request: &mut Request<B>, is_other_scheme: bool) -> Decision {
        if request.headers().contains_key(AUTHORIZATION) {
            self.policy.rewrite_authorization_of_anonymous(request.headers_mut(), is_other_scheme);
        }
        if let Some(identity) = &self.policy.identity {
            identity.rewrite(request.headers_mut(), None);
        }
        let challenge = self.policy.challenge.for_request(request.headers());
        request.extensions_mut().insert(Anonymous::new(challenge));
        self.clerk.count(Outcome::Anonymous);
        Decision::Pass
    }

    fn rejected<B>(&self, rejection: Rejection, request: &HeaderMap) -> Response<B>
    where
        R: RejectionResponse<B>,
    {
        self.clerk.log_rejection(&rejection);
        respond(rejection, &self.response, &self.policy.challenge, request)
    }

    /// Prepares the request for the inner service, or returns the response to its rejection.
    pub(super) fn finish_exchange<B, ResBody>(
        &self,
        result: Result<ClerkPrincipal, Rejection>,
        request: &mut Request<B>,
    ) -> Result<(), Response<ResBody>>
    where
        R: RejectionResponse<ResBody>,
    {
        match result {
            Ok(ClerkPrincipal::Session(session) | ClerkPrincipal::Bearer(session)) => {
                self.pass(request, session);
                Ok(())
            }
            Ok(ClerkPrincipal::ApiKey(key)) => {
                self.pass_key(request, key);
                Ok(())
            }
            Err(rejection) => Err(self.rejected(rejection, request.headers())),
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for ClerkBasicAuth<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: RejectionResponse<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R, ReqBody, ResBody>;

    // Readiness is the inner service's alone: whether a request needs Clerk is not known before it comes (rule A4).
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let mut request_policy = RequestPolicy::default();
        if self.policy.reads_parts() {
            let (parts, body) = request.into_parts();
            request_policy = self.policy.for_request(&parts);
            request = Request::from_parts(parts, body);
        }
        match self.decide(&mut request, request_policy) {
            // The service that was polled ready, not a clone of it.
            Decision::Pass => ResponseFuture::inner(self.inner.call(request)),
            Decision::Reject(rejection) => {
                self.release_readiness();
                ResponseFuture::rejected(self.rejected(rejection, request.headers()))
            }
            Decision::Exchange(ExchangeRequest { key, credentials, source, access }) => {
                self.release_readiness();
                let clerk = self.clerk.clone();
                let exchange = Box::pin(async move {
                    let session = clerk.exchange_credentials(key, credentials, source, &access).await?;
                    Ok(ClerkPrincipal::Session(session))
                });
                ResponseFuture::exchanging(exchange, self.clone(), request)
            }
            Decision::Verify(unverified) => {
                self.release_readiness();
                let verification = Box::pin(unverified.verify(self.clerk.clone()));
                ResponseFuture::exchanging(verification, self.clone(), request)
            }
            Decision::VerifyKey(unverified) => {
                self.release_readiness();
                let verification = Box::pin(unverified.verify(self.clerk.clone()));
                ResponseFuture::exchanging(verification, self.clone(), request)
            }
        }
    }
}

impl<S: Clone, R> ClerkBasicAuth<S, R> {
    /// Drops the service that was polled ready, and with it what it has reserved. Otherwise a permit of a concurrency
    /// limit would be held for as long as Clerk takes to answer (rule A4).
    /// <https://docs.rs/tower-service/latest/tower_service/trait.Service.html#be-careful-when-cloning-inner-services>
    fn release_readiness(&mut self) {
        self.inner = self.inner.clone();
    }
}

/// Removes what a layer outside of this one has left. Behind this one, it must come from this layer (rule A5).
fn remove_principals(extensions: &mut Extensions) {
    if !extensions.is_empty() {
        extensions.remove::<ClerkSession>();
        extensions.remove::<ClerkApiKey>();
        extensions.remove::<Anonymous>();
    }
}

/// Whether the field is certainly of another scheme. A field that only begins like Basic, with a tab in place of the
/// space for example, could be read as Basic further in.
fn is_other_scheme(headers: &HeaderMap) -> bool {
    let looks_like_basic = |field: &HeaderValue| {
        from_scheme(field).get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"basic"))
    };
    matches!(presented(headers), Ok(Presented::Other(_)))
        && !headers.get_all(AUTHORIZATION).iter().any(looks_like_basic)
}

pub(super) fn malformed(error: MalformedCredentials) -> Rejection {
    Rejection::malformed(error.reason())
}

impl<S, R> fmt::Debug for ClerkBasicAuth<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClerkBasicAuth").field("policy", &self.policy).finish_non_exhaustive()
    }
}
