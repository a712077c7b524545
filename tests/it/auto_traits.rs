//! The traits that users rely on without a call: taking one of them away from a public type breaks their code.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::fs;
use std::future::Ready;
use std::marker::PhantomData;
use std::path::Path;

use http::{Request, Response};
use tower::util::BoxCloneService;
use tower_clerk::backend::{
    Answer, BackendClient, BackendClientBuilder, BackendError, BackendErrorKind, InstanceData, Json,
    ListOrder, MembershipQuery, OrganizationQuery, Page, UserQuery,
};
use tower_clerk::enroll::{Enrollment, EnrollmentFactor};
use tower_clerk::error::{
    ClaimsError, InstanceError, MalformedCredentials, MalformedReason, RequirementError, SecretKeyError,
};
use tower_clerk::federation::{
    Algorithm, Assertion, Assurance, Provider, ProviderError, ProviderErrorKind, WorkloadRule,
};
use tower_clerk::guard::{
    Require, RequireLayer, Reverification, ReverificationJson, ReverificationLevel, SecondFactor,
};
use tower_clerk::layer::{
    EmptyBody, GrpcRejections, IdentityField, IdentityHeaders, ProblemJson, ProblemJsonWith,
};
use tower_clerk::preflight::{Finding, FindingKind};
use tower_clerk::stats::{
    CircuitState, Outcome, ReplicaStats, Stats, UpstreamCalls, WebhookDeliveries, WebhookOutcome,
};
use tower_clerk::store::{
    InvalidRedisUrl, InvalidStoreKey, RedisStore, SqliteStore, Store, StoreError, StoreErrorKind, StoreKey,
};
use tower_clerk::token_endpoint::{
    self, DiscoveryDocument, KeySet, ResponseBody, TokenEndpoint, TokenError, TokenErrorCode, TokenRequest,
};
use tower_clerk::transport::TransportError;
use tower_clerk::webhook::{
    self, ClerkWebhookService, Event, EventData, MembershipData, OrganizationData, SessionData, UserData,
    VerifiableIdentifier, WebhookError, WebhookErrorKind, WebhookSecretError, WebhookSecrets,
    WebhookVerifier,
};
use tower_clerk::{
    Access, Anonymous, ApiKeys, AuthorizationHeader, BearerRefusal, BearerTokens, Challenge, Claims, Clerk,
    ClerkApi, ClerkApiKey, ClerkBasicAuth, ClerkBasicAuthLayer, ClerkBuilder, ClerkPrincipal, ClerkSession,
    Clock, ConfigError, Credentials, Organization, OrganizationSelector, OrganizationSession, Permission,
    Rejection, RejectionKind, RequestOrganization, Requirement, Role, guard, layer,
};

/// A value that any thread may have.
fn value<T: Debug + Send + Sync + Unpin + 'static>() {}

fn clone<T: Debug + Clone + Send + Sync + Unpin + 'static>() {}

fn copy<T: Debug + Copy + Eq + Send + Sync + Unpin + 'static>() {}

fn error<T: Error + Send + Sync + Unpin + 'static>() {}

/// The traits that a server needs of a service or its future, which may hold a body that isn't `Sync`.
fn moved<T: Debug + Send + 'static>() {}

fn unpin<T: Unpin>() {}

/// Like axum's body: `Send` and not `Sync`.
type Body = PhantomData<Cell<u8>>;

/// Like a route of axum: neither it nor its future is `Sync`.
type Route = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

/// A service whose future is `Unpin`.
#[derive(Clone)]
struct Direct;

impl tower::Service<Request<Body>> for Direct {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(PhantomData)))
    }
}

type Renderer = GrpcRejections<ProblemJsonWith<fn(String) -> Body>>;

#[test]
fn values_are_debug_send_sync_and_unpin() {
    value::<BackendClientBuilder>();
    clone::<Answer<u64>>();
    clone::<BackendClient>();
    clone::<BackendError>();
    error::<BackendError>();
    copy::<BackendErrorKind>();
    clone::<InstanceData>();
    clone::<Json>();
    copy::<ListOrder>();
    clone::<MembershipQuery>();
    clone::<OrganizationQuery>();
    clone::<Page<UserData>>();
    clone::<UserQuery>();
    value::<Enrollment>();
    value::<RedisStore>();
    value::<SqliteStore>();
    value::<Store>();
    value::<StoreKey>();
    value::<ClerkBuilder>();
    clone::<Access>();
    clone::<Anonymous>();
    clone::<ApiKeys>();
    clone::<ClerkApiKey>();
    clone::<ClerkPrincipal>();
    clone::<BearerTokens>();
    clone::<Challenge>();
    clone::<Claims>();
    clone::<Clerk>();
    clone::<ClerkSession>();
    clone::<Clock>();
    clone::<Credentials>();
    clone::<EnrollmentFactor>();
    clone::<Finding>();
    clone::<Organization>();
    clone::<OrganizationSelector>();
    clone::<OrganizationSession>();
    clone::<Permission>();
    clone::<Rejection>();
    clone::<RequestOrganization>();
    clone::<Requirement>();
    clone::<Role>();
    clone::<ReplicaStats>();
    clone::<Stats>();
    clone::<UpstreamCalls>();
    copy::<TokenErrorCode>();
    value::<ResponseBody>();
    value::<TokenRequest<'static>>();
    error::<TokenError>();
    clone::<Event>();
    clone::<EventData>();
    clone::<Assertion>();
    clone::<Assurance>();
    clone::<Provider>();
    clone::<WorkloadRule>();
    copy::<Algorithm>();
    copy::<ProviderErrorKind>();
    error::<ProviderError>();
    clone::<MembershipData>();
    clone::<OrganizationData>();
    clone::<SessionData>();
    clone::<UserData>();
    clone::<VerifiableIdentifier>();
    clone::<WebhookDeliveries>();
    clone::<WebhookSecrets>();
    clone::<WebhookVerifier>();
    copy::<WebhookErrorKind>();
    copy::<WebhookOutcome>();
    error::<WebhookError>();
    error::<WebhookSecretError>();
    copy::<AuthorizationHeader>();
    copy::<BearerRefusal>();
    copy::<CircuitState>();
    copy::<ClerkApi>();
    copy::<FindingKind>();
    copy::<MalformedReason>();
    copy::<Outcome>();
    copy::<RejectionKind>();
    copy::<Reverification>();
    copy::<ReverificationLevel>();
    copy::<SecondFactor>();
    copy::<StoreErrorKind>();
    error::<ClaimsError>();
    error::<ConfigError>();
    error::<InstanceError>();
    error::<MalformedCredentials>();
    error::<RequirementError>();
    error::<SecretKeyError>();
    error::<StoreError>();
    error::<InvalidRedisUrl>();
    error::<InvalidStoreKey>();
    error::<TransportError>();
}

#[test]
fn layers_and_services_are_what_servers_need() {
    clone::<EmptyBody>();
    copy::<IdentityField>();
    clone::<IdentityHeaders>();
    clone::<ProblemJson>();
    clone::<Renderer>();
    clone::<ReverificationJson<Renderer>>();
    clone::<ClerkBasicAuthLayer<Renderer>>();
    clone::<RequireLayer<Renderer>>();
    clone::<ClerkWebhookService>();
    moved::<webhook::ResponseFuture>();
    unpin::<webhook::ResponseFuture>();
    moved::<ClerkBasicAuth<Route, Renderer>>();
    moved::<Require<Route, Renderer>>();
    moved::<layer::ResponseFuture<Route, Renderer, Body, Body>>();
    moved::<guard::ResponseFuture<<Route as tower::Service<Request<Body>>>::Future, Body>>();
    clone::<DiscoveryDocument>();
    clone::<KeySet>();
    clone::<TokenEndpoint>();
    moved::<token_endpoint::ResponseFuture>();
    unpin::<token_endpoint::ResponseFuture>();
    unpin::<ClerkBasicAuth<Direct>>();
    unpin::<Require<Direct>>();
    unpin::<layer::ResponseFuture<Direct, EmptyBody, Body, Body>>();
    unpin::<guard::ResponseFuture<Ready<Result<Response<Body>, Infallible>>, Body>>();
}

/// The names that the modules re-export, without traits, functions and aliases.
#[test]
fn every_public_type_is_listed_here() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let here =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/auto_traits.rs")).unwrap();
    let here: BTreeSet<&str> = here.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let other = [
        "DeviceStore",
        "EventSink",
        "RejectionResponse",
        "SessionStore",
        "SinkError",
        "SinkFuture",
        "StoreFuture",
    ];
    let mut found = 0;
    for file in [
        "lib.rs",
        "federation/mod.rs",
        "guard/mod.rs",
        "layer/mod.rs",
        "store/mod.rs",
        "token_endpoint/mod.rs",
        "webhook/mod.rs",
    ] {
        let text = fs::read_to_string(src.join(file)).unwrap();
        for exports in text.split("pub use ").skip(1).map(|rest| rest.split(';').next().unwrap()) {
            let names = exports.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            for name in names.filter(|name| name.starts_with(char::is_uppercase) && !other.contains(name)) {
                assert!(here.contains(name), "{file}: {name}");
                found += 1;
            }
        }
    }
    assert!(found > 60, "{found}: the re-exports are found");
}
