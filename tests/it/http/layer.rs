//! How the layer changes requests and responses (rules C2, A1-A3, A5-A7).

use std::convert::Infallible;

use crate::common::{
    BOB, JANE, Seen, World, ask, authorization, basic, code, rejection, session, with_authorization,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::error::MalformedReason;
use tower_clerk::layer::{EmptyBody, RejectionResponse, respond};
use tower_clerk::testing::Endpoint;
use tower_clerk::{Anonymous, AuthorizationHeader, BearerTokens, ClerkSession, Rejection, RejectionKind};

fn seen(response: &Response<String>) -> &Seen {
    response.extensions().get::<Seen>().expect("the inner service was called")
}

#[tokio::test(start_paused = true)]
async fn a1_the_challenge_quotes_the_realm() {
    let world = World::new();
    let layer = world.layer().realm(r#"the "partner" API\v1"#).unwrap();
    let response = ask(&layer, Request::new(())).await;
    assert_eq!(
        response.headers()[WWW_AUTHENTICATE],
        r#"Basic realm="the \"partner\" API\\v1", charset="UTF-8""#
    );
    assert!(world.layer().realm("two\r\nlines").is_err());
}

#[tokio::test(start_paused = true)]
async fn a2_a_custom_response_cannot_change_status_and_headers() {
    let world = World::new();
    let layer = world.layer().with_rejection_response(|rejection: &Rejection| {
        Response::builder()
            .status(200)
            .header(CACHE_CONTROL, "public, max-age=3600")
            .header(WWW_AUTHENTICATE, "Negotiate")
            .header(WWW_AUTHENTICATE, "Bearer")
            .header(RETRY_AFTER, "0")
            .header("x-mine", "kept")
            .body(format!("sorry: {}", rejection.code()))
            .unwrap()
    });
    let response = ask(&layer, basic((JANE.0, "wrong"))).await;
    assert_eq!(response.status(), 401);
    let all = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(all(CACHE_CONTROL), ["no-store"]);
    assert_eq!(all(WWW_AUTHENTICATE), ["Basic realm=\"api\", charset=\"UTF-8\""]);
    assert!(all(RETRY_AFTER).is_empty());
    assert_eq!(response.headers()["x-mine"], "kept");
    assert_eq!(response.body(), "sorry: credentials_rejected");
    assert_eq!(rejection(&response).unwrap().kind(), RejectionKind::CredentialsRejected);
    let response = ask(&layer, basic(("mfa@example.com", "second factor please"))).await;
    assert_eq!((response.status(), response.headers().get(WWW_AUTHENTICATE)), (StatusCode::FORBIDDEN, None));
}

#[tokio::test(start_paused = true)]
async fn a3_no_request_turns_a_rejection_into_a_success() {
    let world = World::new();
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc-web"] {
        let mut request = basic((JANE.0, "wrong"));
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        assert_eq!(ask(&world.layer(), request).await.status(), 401);
    }
}

/// A client that sends Latin-1 instead of UTF-8 could not otherwise tell the mistake from a wrong password.
#[tokio::test(start_paused = true)]
async fn c2_the_answer_to_malformed_credentials_states_the_reason() {
    let layer = World::new().layer().problem_json();
    for (pair, reason) in [
        (&b"jane:p\xe4ssword"[..], MalformedReason::NotUtf8),
        (b"jane", MalformedReason::NoColon),
        (b"jane:\x07", MalformedReason::ControlCharacter),
    ] {
        let field = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let response = ask(&layer, with_authorization(&field)).await;
        let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
        let fields = [&body["code"], &body["detail"]].map(|field| field.as_str().unwrap_or_default());
        assert_eq!(fields, ["credentials_malformed", reason.as_str()]);
    }
}

/// A body without `Default` and without `From<String>`.
#[derive(Debug, PartialEq)]
struct Sealed(u16);

#[tokio::test(start_paused = true)]
async fn a3_any_body_type_works() {
    let world = World::new();
    let full =
        service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let response = world.layer().problem_json().layer(full).oneshot(Request::new(())).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"], "credentials_missing");

    let axum = service_fn(|_: Request<axum::body::Body>| async {
        Ok::<_, Infallible>(Response::new(axum::body::Body::empty()))
    });
    let request = Request::new(axum::body::Body::empty());
    let response = world.layer().problem_json().layer(axum).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");

    let sealed = service_fn(|_: Request<Sealed>| async { Ok::<_, Infallible>(Response::new(Sealed(200))) });
    let layer =
        world.layer().with_rejection_response(|it: &Rejection| Response::new(Sealed(it.status().as_u16())));
    let mut request = Request::new(Sealed(0));
    assert_eq!(layer.layer(sealed).oneshot(request).await.unwrap().into_body(), Sealed(401));
    request = basic(JANE).map(|()| Sealed(0));
    assert_eq!(layer.layer(sealed).oneshot(request).await.unwrap().into_body(), Sealed(200));
}

/// A custom implementation of the trait.
#[derive(Clone)]
struct Shouting;

impl RejectionResponse<String> for Shouting {
    fn rejection_response(&self, rejection: &Rejection) -> Response<String> {
        Response::new(rejection.code().to_uppercase())
    }
}

#[tokio::test(start_paused = true)]
async fn a3_a_trait_implementation_renders_the_body_like_a_closure() {
    let world = World::new();
    let response = ask(&world.layer().with_rejection_response(Shouting), Request::new(())).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (401, "CREDENTIALS_MISSING"));
}

#[tokio::test(start_paused = true)]
async fn a5_the_authorization_header_is_stripped_kept_or_replaced_on_misses_and_hits() {
    let world = World::new();
    for _ in 0..2 {
        let response = ask(&world.layer(), basic(JANE)).await;
        assert!(!seen(&response).headers.contains_key(AUTHORIZATION));
        let keep = world.layer().authorization_header(AuthorizationHeader::Keep).unwrap();
        let response = ask(&keep, basic(JANE)).await;
        let field = &seen(&response).headers[AUTHORIZATION];
        assert_eq!(field, &authorization(JANE));
        assert!(field.is_sensitive());
        let bearer = world.layer().authorization_header(AuthorizationHeader::Bearer).unwrap();
        let response = ask(&bearer, basic(JANE)).await;
        let field = &seen(&response).headers[AUTHORIZATION];
        assert_eq!(field, &format!("Bearer {}", session(&response).token()));
        assert!(field.is_sensitive());
        assert_eq!(seen(&response).headers.get_all(AUTHORIZATION).iter().count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a6_the_anonymous_extension_carries_the_challenge_of_its_layer() {
    let world = World::new();
    let challenge = service_fn(|request: Request<()>| async move {
        let anonymous = request.extensions().get::<Anonymous>().unwrap();
        let rejection = Rejection::new(RejectionKind::CredentialsMissing);
        let response = respond(rejection, &EmptyBody::default(), anonymous.challenge(), request.headers());
        Ok::<Response<()>, Infallible>(response)
    });
    let layer = world.layer().realm("partners").unwrap();
    for layer in [layer.clone().optional(), layer.exempt(|_| true)] {
        let response = layer.layer(challenge).oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Basic realm=\"partners\", charset=\"UTF-8\"");
    }
}

#[tokio::test(start_paused = true)]
async fn a5_a_session_already_in_the_extensions_is_removed() {
    let world = World::new();
    let bobs = session(&world.get(BOB).await).clone();
    let anonymous = {
        // `Anonymous` has no public constructor, so the test takes one from a request that passed.
        let copy = service_fn(|request: Request<()>| async move {
            let mut response = Response::new(String::new());
            response.extensions_mut().insert(request.extensions().get::<Anonymous>().unwrap().clone());
            Ok::<_, Infallible>(response)
        });
        let response = world.layer().optional().layer(copy).oneshot(Request::new(())).await.unwrap();
        response.extensions().get::<Anonymous>().unwrap().clone()
    };
    let stale = |mut request: Request<()>| {
        request.extensions_mut().insert(bobs.clone());
        request.extensions_mut().insert(anonymous.clone());
        request
    };
    let optional = world.layer().optional();
    let response = ask(&optional, stale(Request::new(()))).await;
    assert!(response.extensions().get::<ClerkSession>().is_none(), "the session of another user");
    assert!(seen(&response).is_anonymous);
    for _ in 0..2 {
        let response = ask(&optional, stale(basic(JANE))).await;
        assert_ne!(session(&response).user_id(), bobs.user_id());
        assert!(!seen(&response).is_anonymous);
    }
    let exempt = world.layer().exempt(|_| true);
    assert!(ask(&exempt, stale(basic(JANE))).await.extensions().get::<ClerkSession>().is_none());
}

#[tokio::test(start_paused = true)]
async fn a6_optional_passes_missing_credentials_and_rejects_wrong_ones() {
    let world = World::new();
    let layer = world.layer().optional();
    let response = ask(&layer, Request::new(())).await;
    assert_eq!(response.body(), "nobody");
    assert!(seen(&response).is_anonymous);
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    assert_eq!(code(&ask(&layer, basic((JANE.0, "wrong"))).await), "credentials_rejected");
    assert_eq!(code(&ask(&layer, with_authorization("Basic ?")).await), "credentials_malformed");
    let response = ask(&layer, basic(JANE)).await;
    assert_eq!(response.body(), session(&response).user_id());
    assert!(!seen(&response).is_anonymous);
    // Rule C5: another scheme is anonymous too. Its header is passed on, unless the layer itself sets `Bearer` tokens.
    let response = ask(&layer, with_authorization("Bearer a.b.c")).await;
    assert!(seen(&response).is_anonymous);
    assert!(seen(&response).headers[AUTHORIZATION].is_sensitive());
    let bearer = layer.authorization_header(AuthorizationHeader::Bearer).unwrap();
    let response = ask(&bearer, with_authorization("Bearer a.b.c")).await;
    assert!(!seen(&response).headers.contains_key(AUTHORIZATION));
}

/// HTTP/2 has such values, since `h2` doesn't trim them. A proxy that writes them as HTTP/1.1 hands on what its receiver
/// reads as plain `Basic` or `Bearer`.
#[tokio::test(start_paused = true)]
async fn a5_white_space_in_front_of_the_scheme_hides_no_credentials() {
    let world = World::new();
    let optional = world.layer().optional();
    let exempt = world.layer().exempt(|_| true);
    let bearer = world.layer().exempt(|_| true).accept_bearer(BearerTokens::new()).unwrap();
    for space in [" ", "\t"] {
        let with_space = |pair| with_authorization(&format!("{space}{}", authorization(pair)));
        assert_eq!(code(&ask(&optional, with_space((JANE.0, "wrong"))).await), "credentials_rejected");
        let response = ask(&optional, with_space(JANE)).await;
        assert_eq!(response.body(), session(&response).user_id());
        let response = ask(&exempt, with_space(JANE)).await;
        assert!(seen(&response).is_anonymous && !seen(&response).headers.contains_key(AUTHORIZATION));
        let response = ask(&bearer, with_authorization(&format!("{space}Bearer a.b.c"))).await;
        assert!(seen(&response).is_anonymous && !seen(&response).headers.contains_key(AUTHORIZATION));
    }
}

fn preflight(change: impl FnOnce(&mut Request<()>)) -> Request<()> {
    let mut request = Request::options("/me")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .body(())
        .unwrap();
    change(&mut request);
    request
}

#[tokio::test(start_paused = true)]
async fn a7_only_a_complete_preflight_passes_if_enabled() {
    let world = World::new();
    assert_eq!(ask(&world.layer(), preflight(|_| ())).await.status(), 401, "off by default");
    let layer = world.layer().pass_preflight();
    let response = ask(&layer, preflight(|_| ())).await;
    assert!(response.status() == 200 && seen(&response).is_anonymous);
    let with_basic = |request: &mut Request<()>| {
        request.headers_mut().insert(AUTHORIZATION, authorization(JANE).parse().unwrap());
    };
    assert!(!seen(&ask(&layer, preflight(with_basic)).await).headers.contains_key(AUTHORIZATION), "stripped");
    assert_eq!(ask(&layer, preflight(|it| *it.method_mut() = Method::GET)).await.status(), 401);
    for header in ["origin", "access-control-request-method"] {
        assert_eq!(ask(&layer, preflight(|it| drop(it.headers_mut().remove(header)))).await.status(), 401);
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn a7_an_exempt_request_passes_as_anonymous_with_any_header() {
    let world = World::new();
    let layer = world.layer().exempt(|parts| parts.uri.path() == "/healthz");
    let health = |field: Option<&str>| {
        let mut request = Request::get("/healthz").body(()).unwrap();
        if let Some(field) = field {
            request.headers_mut().insert(AUTHORIZATION, field.parse().unwrap());
        }
        request
    };
    for field in [None, Some("Basic ???"), Some(authorization(JANE).as_str()), Some("Bearer x")] {
        let response = ask(&layer, health(field)).await;
        assert!(response.status() == 200 && seen(&response).is_anonymous, "{field:?}");
        let passed_on = seen(&response).headers.get(AUTHORIZATION);
        assert!(passed_on.is_none_or(|field| !field.to_str().unwrap().starts_with("Basic")), "{field:?}");
    }
    assert_eq!(ask(&layer, Request::new(())).await.status(), 401);
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn a7_head_is_authenticated_like_get() {
    let world = World::new();
    let head = |pair| {
        let mut request = basic(pair);
        *request.method_mut() = Method::HEAD;
        request
    };
    assert_eq!(ask(&world.layer(), head(JANE)).await.status(), 200);
    assert_eq!(ask(&world.layer(), head((JANE.0, "wrong"))).await.status(), 401);
}
