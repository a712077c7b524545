//! Streams, calls that need no credentials, other clients, other settings, and the example.

use std::convert::Infallible;

use http::{HeaderValue, Request, Response};
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tower::{Layer as _, Service as _};
use tower_clerk::layer::RejectionResponse;
use tower_clerk::{ClerkBasicAuthLayer, Rejection, RejectionKind, testing};

use crate::common::{JANE, JANE_WRONG, MFA, asking, assert_rejected, check, client, metadata, plain, serve};
use crate::example;

#[tokio::test]
async fn a3_a_streaming_call_is_let_in_or_rejected_like_any_other() {
    let (_fake, clerk) = testing::unlimited();
    let mut client = client(serve(ClerkBasicAuthLayer::new(clerk).grpc_rejections()).await).await;
    let mut changes = client.watch(asking(Some(JANE))).await.unwrap().into_inner();
    assert_eq!(changes.next().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
    let rejected = client.watch(asking(Some(JANE_WRONG))).await.map(|_| true);
    assert_rejected(rejected, Code::Unauthenticated, RejectionKind::CredentialsRejected);
}

#[tokio::test]
async fn a3_an_optional_grpc_layer_lets_calls_without_credentials_pass() {
    let (_fake, clerk) = testing::unlimited();
    let layer = ClerkBasicAuthLayer::new(clerk).grpc_rejections();
    let optional = serve(layer.clone().optional()).await;
    assert!(check(optional, None).await.unwrap());
    let wrong = check(optional, Some(JANE_WRONG)).await;
    assert_rejected(wrong, Code::Unauthenticated, RejectionKind::CredentialsRejected);
    let exempt = serve(layer.exempt(|parts| parts.uri.path() == "/grpc.health.v1.Health/Check")).await;
    assert!(check(exempt, Some(JANE_WRONG)).await.unwrap());
}

#[tokio::test]
async fn a3_other_clients_of_a_grpc_server_get_the_ordinary_rejection() {
    let (_fake, clerk) = testing::unlimited();
    let layer = ClerkBasicAuthLayer::new(clerk).problem_json_with(Body::new::<String>).grpc_rejections();
    let address = serve(layer).await;
    for content_type in ["text/plain", "application/grpc-web", "application/grpc-web+proto"] {
        let answer = plain(address, content_type).await;
        assert!(answer.starts_with("http/1.1 401 "), "{answer}");
        assert!(answer.contains("\r\nwww-authenticate: basic realm="), "{answer}");
        assert!(answer.contains("\r\ncontent-type: application/problem+json\r\n"), "{answer}");
        assert!(answer.contains(r#""code":"credentials_missing""#), "{answer}");
        assert!(!answer.contains("grpc-status"), "{answer}");
    }
    let answer = plain(address, "application/grpc").await;
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("\r\ngrpc-status: 16\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
}

/// Without the setting the client infers a status from the HTTP status, and a proxy that asks sees no 2xx.
#[tokio::test]
async fn a3_without_the_setting_a_grpc_client_gets_the_http_status() {
    let (_fake, clerk) = testing::unlimited();
    let address = serve(ClerkBasicAuthLayer::new(clerk)).await;
    assert!(check(address, Some(JANE)).await.unwrap());
    for (credentials, code) in [(None, Code::Unauthenticated), (Some(MFA), Code::PermissionDenied)] {
        let status = check(address, credentials).await.unwrap_err();
        assert_eq!((status.code(), metadata(&status, "x-clerk-code")), (code, None), "{status:?}");
    }
    let answer = plain(address, "application/grpc").await;
    assert!(answer.starts_with("http/1.1 401 ") && !answer.contains("grpc-status"), "{answer}");
}

#[tokio::test]
async fn a3_tonics_body_fits_each_renderer() {
    async fn answer<R: RejectionResponse<Body>>(
        layer: ClerkBasicAuthLayer<R>,
        content_type: &str,
    ) -> Response<Body> {
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert("content-type", HeaderValue::from_str(content_type).unwrap());
        let inner =
            tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
        layer.layer(inner).call(request).await.unwrap()
    }
    let (_fake, clerk) = testing::unlimited();
    let layer = ClerkBasicAuthLayer::new(clerk);
    let closure = |it: &Rejection| Response::new(Body::new(it.code().to_owned()));
    for content_type in ["text/plain", "application/grpc"] {
        assert_eq!(answer(layer.clone(), content_type).await.status(), 401);
        assert_eq!(
            answer(layer.clone().problem_json_with(Body::new::<String>), content_type).await.status(),
            401
        );
        assert_eq!(answer(layer.clone().with_rejection_response(closure), content_type).await.status(), 401);
    }
    let layer = layer.with_rejection_response(closure).grpc_rejections();
    assert_eq!(answer(layer.clone(), "text/plain").await.status(), 401);
    assert_eq!(answer(layer.clone(), "application/grpc").await.status(), 200);
    assert_eq!(
        answer(layer.problem_json_with(Body::new::<String>), "application/grpc").await.status(),
        401,
        "replaced"
    );
}

#[tokio::test]
async fn a3_the_tonic_example_serves_and_its_client_tells_rejections_apart() {
    let (_fake, clerk) = testing::unlimited();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(example::serve(listener, clerk));
    let ask = |credentials| example::check(url.clone(), credentials);
    assert_eq!(ask(Some("jane@example.com:correct horse battery staple")).await.unwrap(), "Serving");
    let refused = ask(Some("mfa@example.com:second factor please")).await.unwrap_err().to_string();
    assert!(refused.starts_with("PermissionDenied (second_factor_required): HTTP Basic"), "{refused}");
    let refused = ask(None).await.unwrap_err().to_string();
    assert_eq!(refused, "Unauthenticated (credentials_missing): credentials are required");
    assert!(plain(address, "text/plain").await.contains(r#""code":"credentials_missing""#));
}

/// As `grpcurl` does before it calls a method.
#[tokio::test]
async fn a3_the_tonic_example_tells_its_services_to_users_of_the_instance_only() {
    let (_fake, clerk) = testing::unlimited();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(example::serve(listener, clerk));
    let mut client = ServerReflectionClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
    let ask = || {
        let message_request = Some(MessageRequest::ListServices(String::new()));
        tokio_stream::once(ServerReflectionRequest { host: String::new(), message_request })
    };
    let rejected = client.server_reflection_info(ask()).await.map(|_| true);
    assert_rejected(rejected, Code::Unauthenticated, RejectionKind::CredentialsMissing);
    let mut request = tonic::Request::new(ask());
    let field = testing::basic(JANE.0, JANE.1);
    request.metadata_mut().insert("authorization", field.as_bytes().try_into().unwrap());
    let mut answers = client.server_reflection_info(request).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("{answer:?}") };
    assert!(services.service.iter().any(|service| service.name == "grpc.health.v1.Health"), "{services:?}");
}
