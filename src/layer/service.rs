use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};
use tower_service::Service;

use super::future::ResponseFuture;
use super::organization::RequestOrganization;
use super::policy::{Policy, RequestPolicy};
use super::reject::{RejectionResponse, finish};
use crate::access::Access;
use crate::counters::Outcome;
use crate::credentials::{Credentials, MalformedCredentials, Presented, presented};
use crate::engine::Clerk;
use crate::key::CredentialKey;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::{Anonymous, ClerkSession};

/// The service that [`ClerkBasicAuthLayer`](crate::ClerkBasicAuthLayer) makes.
#[derive(Clone)]
pub struct ClerkBasicAuth<S, R = super::EmptyBody> {
    inner: S,
    clerk: Clerk,
    policy: Arc<Policy>,
    response: R,
}

/// What is to be done with a request.
enum Decision {
    /// It goes on, with a session or as `Anonymous`.
    Pass,
    Reject(Rejection),
    /// Clerk has to be asked.
    Exchange(ExchangeRequest),
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

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Judges a request, and makes it ready for the inner service where it passes at once.
    fn decide<B>(&self, request: &mut Request<B>, request_policy: RequestPolicy) -> Decision {
        let policy = &*self.policy;
        // Nobody outside can know these types, but another layer could have left one (rule A5).
        request.extensions_mut().remove::<ClerkSession>();
        request.extensions_mut().remove::<Anonymous>();
        if request_policy.exempt || policy.is_passed_preflight(request.method(), request.headers()) {
            let is_other_scheme = is_other_scheme(request.headers());
            return self.pass_anonymous(request, is_other_scheme);
        }
        let token = match presented(request.headers()) {
            Ok(Presented::Basic(token)) => token,
            Ok(_) if policy.optional => {
                let is_other_scheme = is_other_scheme(request.headers());
                return self.pass_anonymous(request, is_other_scheme);
            }
            Ok(_) => return self.reject(Rejection::new(RejectionKind::CredentialsMissing)),
            Err(error) => return self.reject(malformed(error)),
        };
        let key = self.clerk.key_of(token, policy.decoding);
        let for_organization;
        let access = match request_policy.organization {
            Some(RequestOrganization::Named(organization)) => {
                for_organization = policy.access.clone().organization(organization);
                &for_organization
            }
            // The policy itself names no organization where it has a selector.
            Some(RequestOrganization::Personal) | None => &policy.access,
            Some(RequestOrganization::Refused) => {
                tracing::debug!("the request names no organization: the layer's selector found none");
                let rejection = Rejection::new(RejectionKind::OrganizationForbidden);
                return self.reject(rejection.detail_of("the request names no organization"));
            }
        };
        if let Some(held) = self.clerk.held(&key, access) {
            // Decoded on a hit only when the proof is due, which is once in most of an hour.
            if let Some(live) = held.proof_due
                && let Ok(credentials) = token.decode(policy.decoding)
            {
                self.clerk.renew_proof(live, credentials);
            }
            self.pass(request, held.session);
            return Decision::Pass;
        }
        match token.decode(policy.decoding) {
            Ok(credentials) => Decision::Exchange(ExchangeRequest {
                key,
                credentials,
                source: request_policy.source,
                access: access.clone(),
            }),
            Err(error) => self.reject(malformed(error)),
        }
    }

    /// A rejection that Clerk has no part in; the engine counts the others.
    fn reject(&self, rejection: Rejection) -> Decision {
        self.clerk.count(Outcome::of(rejection.kind()));
        Decision::Reject(rejection)
    }

    fn pass<B>(&self, request: &mut Request<B>, session: ClerkSession) {
        self.policy.treat(request.headers_mut(), &session);
        request.extensions_mut().insert(session);
    }

    fn pass_anonymous<B>(&self, request: &mut Request<B>, is_other_scheme: bool) -> Decision {
        if request.headers().contains_key(AUTHORIZATION) {
            self.policy.treat_anonymous(request.headers_mut(), is_other_scheme);
        }
        request.extensions_mut().insert(Anonymous::new(self.policy.challenge.clone()));
        self.clerk.count(Outcome::Anonymous);
        Decision::Pass
    }

    fn rejected<B>(&self, rejection: Rejection) -> Response<B>
    where
        R: RejectionResponse<B>,
    {
        let response = self.response.rejection_response(&rejection);
        finish(response, rejection, &self.policy.challenge)
    }

    /// What the answer to a question makes of its request.
    pub(super) fn answered<B, ResBody>(
        &self,
        answer: Result<ClerkSession, Rejection>,
        request: &mut Request<B>,
    ) -> Result<(), Response<ResBody>>
    where
        R: RejectionResponse<ResBody>,
    {
        match answer {
            Ok(session) => {
                self.pass(request, session);
                Ok(())
            }
            Err(rejection) => Err(self.rejected(rejection)),
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

    // Only the inner service's readiness counts: Clerk's is nobody's business before a request comes (rule A4).
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
            // The very service that was polled ready, at once and without a clone.
            Decision::Pass => ResponseFuture::inner(self.inner.call(request)),
            Decision::Reject(rejection) => {
                self.give_readiness_back();
                ResponseFuture::rejected(self.rejected(rejection))
            }
            Decision::Exchange(ExchangeRequest { key, credentials, source, access }) => {
                self.give_readiness_back();
                let clerk = self.clerk.clone();
                let exchange =
                    Box::pin(async move { clerk.exchange(key, credentials, source, &access).await });
                ResponseFuture::exchanging(exchange, self.clone(), request)
            }
        }
    }
}

impl<S: Clone, R> ClerkBasicAuth<S, R> {
    /// Drops the service that was polled ready, and with it whatever it has reserved: a place in a concurrency limit
    /// would else be held for as long as Clerk takes to answer (rule A4).
    /// <https://docs.rs/tower-service/latest/tower_service/trait.Service.html#be-careful-when-cloning-inner-services>
    fn give_readiness_back(&mut self) {
        self.inner = self.inner.clone();
    }
}

/// Whether what the field holds is another scheme's for certain. What begins like Basic may be taken for it by the
/// next who reads it: a tab where the space should be.
fn is_other_scheme(headers: &HeaderMap) -> bool {
    let looks_like_basic = |field: &HeaderValue| {
        field.as_bytes().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"basic"))
    };
    matches!(presented(headers), Ok(Presented::Other))
        && !headers.get_all(AUTHORIZATION).iter().any(looks_like_basic)
}

fn malformed(error: MalformedCredentials) -> Rejection {
    Rejection::new(RejectionKind::CredentialsMalformed).detail_of(error.reason().as_str())
}

impl<S, R> fmt::Debug for ClerkBasicAuth<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClerkBasicAuth").field("policy", &self.policy).finish_non_exhaustive()
    }
}
