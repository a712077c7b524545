//! The status, the message and the metadata of each rejection, as a tonic client reads them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tonic::Code;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;
use tower_clerk::layer::{EmptyBody, GrpcRejections, respond};
use tower_clerk::testing::{self, Endpoint, FakeClerk, Fault};
use tower_clerk::{Anonymous, Challenge, Clerk, ClerkBasicAuthLayer, Rejection, RejectionKind};

use crate::common::{
    BOB, EXPIRED, JANE, JANE_WRONG, MFA, asking, assert_rejected, check, client, metadata, serve,
    serve_behind,
};

#[tokio::test]
async fn a3_a_tonic_client_learns_why_each_credential_is_rejected() {
    let (fake, clerk) = testing::unlimited();
    let layer = ClerkBasicAuthLayer::new(clerk.clone()).grpc_rejections();
    let address = serve(layer.clone()).await;
    for _ in 0..2 {
        assert!(check(address, Some(JANE)).await.unwrap(), "by an exchange, then from the cache");
    }
    assert_eq!(fake.count(Endpoint::SignIns), 1);

    let status =
        assert_rejected(check(address, None).await, Code::Unauthenticated, RejectionKind::CredentialsMissing);
    assert_eq!(status.message(), "credentials are required");
    let malformed = check(address, Some((JANE.0, ""))).await;
    let status = assert_rejected(malformed, Code::Unauthenticated, RejectionKind::CredentialsMalformed);
    assert_eq!(status.message(), "the password is empty", "the detail, where there is one");
    let wrong = check(address, Some(JANE_WRONG)).await;
    assert_rejected(wrong, Code::Unauthenticated, RejectionKind::CredentialsRejected);

    let denied = Code::PermissionDenied;
    assert_rejected(check(address, Some(MFA)).await, denied, RejectionKind::SecondFactorRequired);
    assert_rejected(check(address, Some(EXPIRED)).await, denied, RejectionKind::AccountActionRequired);
    let globex = serve(layer.organization("globex").unwrap()).await;
    assert_rejected(check(globex, Some(BOB)).await, denied, RejectionKind::OrganizationForbidden);
    assert!(check(globex, Some(JANE)).await.unwrap());
}

#[tokio::test]
async fn a3_a_tonic_client_learns_when_a_call_may_be_repeated() {
    let (fake, clerk) = testing::unlimited();
    let address = serve(ClerkBasicAuthLayer::new(clerk).grpc_rejections()).await;
    fake.script(Endpoint::SignIns, Fault::Status(500));
    let status = assert_rejected(
        check(address, Some(JANE)).await,
        Code::Unavailable,
        RejectionKind::UpstreamUnavailable,
    );
    let seconds: u64 = metadata(&status, "retry-after").unwrap().parse().unwrap();
    let millis: u64 = metadata(&status, "grpc-retry-pushback-ms").unwrap().parse().unwrap();
    assert_eq!(millis.div_ceil(1000), seconds);

    for guess in ["1", "2", "3", "4"] {
        let wrong = check(address, Some((BOB.0, guess))).await;
        assert_rejected(wrong, Code::Unauthenticated, RejectionKind::CredentialsRejected);
    }
    let throttled = check(address, Some((BOB.0, "5"))).await;
    let status = assert_rejected(throttled, Code::ResourceExhausted, RejectionKind::Throttled);
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert!(metadata(&status, "retry-after").is_some());
}

#[tokio::test]
async fn a3_a_tonic_client_learns_of_a_sign_in_budget_that_is_spent_and_of_a_misconfiguration() {
    let fake = FakeClerk::builder().no_rate_limit().build();
    let builder = Clerk::builder(fake.fapi_url()).transport(fake.clone());
    let clerk = builder.sign_in_wait(Duration::ZERO).build().unwrap();
    let address = serve(ClerkBasicAuthLayer::new(clerk).grpc_rejections()).await;
    for number in 0..5 {
        let unknown = format!("nobody{number}@example.com");
        let rejected = check(address, Some((&unknown, "wrong"))).await;
        assert_rejected(rejected, Code::Unauthenticated, RejectionKind::CredentialsRejected);
    }
    let status = assert_rejected(
        check(address, Some(JANE)).await,
        Code::Unavailable,
        RejectionKind::UpstreamRateLimited,
    );
    assert!(metadata(&status, "grpc-retry-pushback-ms").is_some());

    let (fake, clerk) = testing::unlimited();
    fake.reconfigure(|instance| instance.native_api(false));
    let address = serve(ClerkBasicAuthLayer::new(clerk).grpc_rejections()).await;
    let status =
        assert_rejected(check(address, Some(JANE)).await, Code::Internal, RejectionKind::Misconfigured);
    assert_eq!(metadata(&status, "retry-after"), None);
}

/// A service behind the layer that rejects each request, with the kind that a header names.
#[derive(Clone)]
struct Refuses;

impl NamedService for Refuses {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl Service<Request<Body>> for Refuses {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let anonymous = request.extensions().get::<Anonymous>();
        let challenge = anonymous.map_or_else(Challenge::default, |anonymous| anonymous.challenge().clone());
        let is_named = |kind: &&RejectionKind| request.headers()["x-kind"] == kind.code();
        let kind = *RejectionKind::ALL.iter().find(is_named).unwrap();
        let renderer = GrpcRejections::new(EmptyBody::default());
        ready(Ok(respond(Rejection::new(kind), &renderer, &challenge, request.headers())))
    }
}

#[tokio::test]
async fn a3_a_handler_rejects_by_every_kind_like_the_layer() {
    let (_fake, clerk) = testing::unlimited();
    let layer = ClerkBasicAuthLayer::new(clerk).optional().grpc_rejections();
    let mut client = client(serve_behind(layer, Refuses).await).await;
    for kind in RejectionKind::ALL.iter().copied() {
        let code = match kind.status().as_u16() {
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            429 => Code::ResourceExhausted,
            503 => Code::Unavailable,
            _ => Code::Internal,
        };
        let mut request = asking(None);
        request.metadata_mut().insert("x-kind", kind.code().parse().unwrap());
        let answer = client.check(request).await.map(|_| true);
        assert_eq!(assert_rejected(answer, code, kind).message(), kind.title());
    }
}
