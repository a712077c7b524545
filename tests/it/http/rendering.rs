//! Each renderer in front of services with each kind of response body (rules A2, A3).

use std::convert::Infallible;

use crate::common::{JANE, World, authorization, basic, in_time};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::layer::{EmptyBody, GrpcRejections, RejectionResponse, respond};
use tower_clerk::{Anonymous, ClerkBasicAuthLayer, Rejection, RejectionKind};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a proxy that forwards what a server streams.
type Proxied = BoxBody<Bytes, BoxError>;

fn proxied(text: String) -> Proxied {
    Full::from(text).map_err(|never| match never {}).boxed()
}

fn request(content_type: &str) -> Request<()> {
    Request::post("/").header(CONTENT_TYPE, content_type).body(()).unwrap()
}

/// Status, content type and body of the answer to a request without credentials, and whether the layer lets one with
/// credentials pass.
async fn answer<R, B>(layer: &ClerkBasicAuthLayer<R>, content_type: &str) -> (u16, String, String)
where
    R: RejectionResponse<B>,
    B: hyper::body::Body<Data = Bytes> + Default,
    B::Error: std::fmt::Debug,
{
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(B::default())));
    let service = layer.layer(inner);
    let mut with_credentials = basic(JANE);
    with_credentials.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
    let passed = in_time(service.clone().oneshot(with_credentials)).await.unwrap();
    assert!(passed.status() == 200 && passed.extensions().get::<Rejection>().is_none());

    let response = service.oneshot(request(content_type)).await.unwrap();
    assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::CredentialsMissing);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let content_type = response.headers().get(CONTENT_TYPE).map(|field| field.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
}

/// All renderers that fit a body with a default, given a function that makes the body of a text.
async fn assert_renders<B>(world: &World, body: fn(String) -> B)
where
    B: hyper::body::Body<Data = Bytes> + Default + 'static,
    B::Error: std::fmt::Debug,
{
    let problem = r#"{"code":"credentials_missing","status":401,"title":"credentials are required"}"#;
    let plain = |status, content_type: &str, body: &str| (status, content_type.to_owned(), body.to_owned());
    let as_grpc = plain(200, "application/grpc", "");
    let closure = move |it: &Rejection| {
        let response = Response::builder().status(418).header(CONTENT_TYPE, "text/plain");
        response.body(body(it.code().to_owned())).unwrap()
    };
    let empty = world.layer();
    let json = world.layer().problem_json_with(body);
    let custom = world.layer().with_rejection_response(closure);
    for content_type in ["text/html", "application/grpc-web", "application/grpc"] {
        let is_grpc = content_type == "application/grpc";
        let expected = |ordinary: &(u16, String, String)| match is_grpc {
            true => as_grpc.clone(),
            false => ordinary.clone(),
        };
        let ordinary = plain(401, "", "");
        assert_eq!(answer::<_, B>(&empty, content_type).await, ordinary);
        assert_eq!(answer::<_, B>(&empty.clone().grpc_rejections(), content_type).await, expected(&ordinary));
        let ordinary = plain(401, "application/problem+json", problem);
        assert_eq!(answer::<_, B>(&json, content_type).await, ordinary);
        assert_eq!(answer::<_, B>(&json.clone().grpc_rejections(), content_type).await, expected(&ordinary));
        let ordinary = plain(418, "text/plain", "credentials_missing");
        assert_eq!(answer::<_, B>(&custom, content_type).await, ordinary, "rule A2: another 4xx");
        assert_eq!(
            answer::<_, B>(&custom.clone().grpc_rejections(), content_type).await,
            expected(&ordinary)
        );
    }
}

/// `problem_json`, where the body is made from a string.
async fn assert_problem_json<B>(world: &World)
where
    B: hyper::body::Body<Data = Bytes> + Default + From<String>,
    B::Error: std::fmt::Debug,
{
    let layer = world.layer().problem_json();
    let (status, content_type, body) = answer::<_, B>(&layer, "application/grpc").await;
    assert_eq!((status, content_type.as_str()), (401, "application/problem+json"));
    assert!(body.contains(r#""code":"credentials_missing""#), "{body}");
    assert_eq!(answer::<_, B>(&layer.grpc_rejections(), "application/grpc").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a3_every_renderer_fits_the_bodies_of_hyper_axum_and_a_proxy() {
    let world = World::new();
    assert_renders::<Proxied>(&world, proxied).await;
    assert_renders::<axum::body::Body>(&world, axum::body::Body::from).await;
    assert_renders::<Full<Bytes>>(&world, Full::from).await;
    assert_renders::<String>(&world, |text| text).await;
    assert_problem_json::<axum::body::Body>(&world).await;
    assert_problem_json::<Full<Bytes>>(&world).await;
    assert_problem_json::<String>(&world).await;
}

/// A body without a default.
struct Sealed(String);

#[tokio::test(start_paused = true)]
async fn a3_problem_json_with_makes_a_body_of_any_type() {
    let layer = World::new().layer().problem_json_with(Sealed);
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Sealed(String::new()))));
    let response = layer.layer(inner).oneshot(request("text/plain")).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let body: serde_json::Value = serde_json::from_str(&response.into_body().0).unwrap();
    assert_eq!(body["code"], "credentials_missing");
}

/// At once, after an exchange, from a remembered refusal, and from a handler.
#[tokio::test(start_paused = true)]
async fn a3_a_rejection_is_rendered_for_grpc_wherever_it_comes_from() {
    let world = World::new();
    let renderer = GrpcRejections::new(EmptyBody::default());
    let handler = service_fn(move |request: Request<()>| async move {
        let challenge = request.extensions().get::<Anonymous>().unwrap().challenge().clone();
        let rejection = Rejection::new(RejectionKind::Forbidden);
        Ok::<_, Infallible>(respond::<String, _>(rejection, &renderer, &challenge, request.headers()))
    });
    let service = world.layer().optional().with_rejection_response(renderer).layer(handler);
    let ask = |field: Option<String>| {
        let mut request = request("application/grpc+proto");
        request
            .headers_mut()
            .extend(field.map(|field| (http::header::AUTHORIZATION, field.parse().unwrap())));
        in_time(service.clone().oneshot(request))
    };
    let wrong = authorization((JANE.0, "wrong"));
    for (field, code, status) in [
        (Some("Basic !".to_owned()), "credentials_malformed", "16"),
        (Some(wrong.clone()), "credentials_rejected", "16"),
        (Some(wrong), "credentials_rejected", "16"),
        (Some(authorization(("mfa@example.com", "second factor please"))), "second_factor_required", "7"),
        (None, "forbidden", "7"),
    ] {
        let response = ask(field).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-clerk-code"], code);
        assert_eq!(response.headers()["grpc-status"], status, "{code}");
        assert_eq!(response.extensions().get::<Rejection>().unwrap().code(), code);
    }
}

/// An implementation outside of the crate that wraps the one for gRPC can't pass the HTTP 200 on.
#[derive(Clone)]
struct Wrapped(GrpcRejections<EmptyBody>);

impl RejectionResponse<String> for Wrapped {
    fn rejection_response(&self, rejection: &Rejection) -> Response<String> {
        let mut response: Response<String> = self.0.rejection_response(rejection);
        *response.status_mut() = http::StatusCode::OK;
        response.headers_mut().insert("grpc-status", "16".parse().unwrap());
        response
    }
}

#[tokio::test(start_paused = true)]
async fn a3_only_the_setting_answers_a_rejection_with_200() {
    let wrapped = Wrapped(GrpcRejections::new(EmptyBody::default()));
    let layer = World::new().layer().with_rejection_response(wrapped);
    assert_eq!(answer::<_, String>(&layer, "application/grpc").await.0, 401);
    assert_eq!(answer::<_, String>(&layer.clone().grpc_rejections(), "application/grpc").await.0, 200);
    let replaced = layer.grpc_rejections().problem_json();
    assert_eq!(
        answer::<_, String>(&replaced, "application/grpc").await.0,
        401,
        "replaced by a later renderer"
    );
}
