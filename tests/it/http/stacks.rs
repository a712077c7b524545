//! The layer in common stacks: axum, hyper on a socket, a plain `ServiceBuilder`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{
    BOB, CAROL, JANE, World, ask, authorization, basic, code, in_time, organization_of, warm_up,
};
use axum::Extension;
use axum::Router;
use axum::extract::{OriginalUri, Request as AxumRequest};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_clerk::testing::Endpoint;
use tower_clerk::{ClerkSession, Rejection, RequestOrganization};

async fn whoami(Extension(session): Extension<ClerkSession>) -> String {
    let organization = session.organization().and_then(|organization| organization.slug()).unwrap_or("-");
    format!("{} {organization}", session.user_id())
}

async fn call(app: &Router, path: &str, pair: Option<crate::common::Pair>) -> (StatusCode, String) {
    let mut request = AxumRequest::get(path);
    if let Some(pair) = pair {
        request = request.header("authorization", authorization(pair));
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = in_time(app.clone().oneshot(request)).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_axum_router_with_a_policy_for_each_route_signs_in_once() {
    let world = World::new();
    let of_path = world
        .layer()
        .organization_from(|parts| {
            Some(parts.uri.path().strip_prefix("/orgs/")?.split('/').next()?.to_owned())
        })
        .problem_json();
    let app = Router::new()
        .route("/me", get(whoami).layer(world.layer().problem_json()))
        .route("/orgs/{org}/me", get(whoami))
        .route_layer(of_path)
        .route("/healthz", get(|| async { "ok" }));
    assert_eq!(call(&app, "/healthz", None).await, (StatusCode::OK, "ok".to_owned()));
    let (status, body) = call(&app, "/orgs/acme/me", None).await;
    assert_eq!(status, 401);
    assert!(body.contains("credentials_missing"));
    for (slug, status) in [("acme", 200), ("globex", 403), ("acme", 200)] {
        let (answered, body) = call(&app, &format!("/orgs/{slug}/me"), Some(BOB)).await;
        assert_eq!((answered.as_u16(), body.ends_with(" acme")), (status, status == 200), "{slug}: {body}");
    }
    assert_eq!(call(&app, "/nowhere", None).await.0, 404, "`route_layer` leaves unknown paths alone");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// A nested router strips the prefix from the path, so a selector by the path finds no organization there.
#[tokio::test(start_paused = true)]
async fn a8_a_selector_without_a_match_under_an_axum_nest_is_forbidden() {
    let world = World::new();
    let by_path =
        world.layer().organization_from(|parts| parts.uri.path().split('/').nth(2).map(str::to_owned));
    let nested = Router::new().route("/me", get(whoami)).layer(by_path.problem_json());
    let app = Router::new().nest("/orgs/{org}", nested);
    for user in [CAROL, BOB, JANE] {
        let (status, body) = call(&app, "/orgs/acme/me", Some(user)).await;
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("organization_forbidden"), "{body}");
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn a8_original_uri_holds_the_whole_path_under_an_axum_nest() {
    let world = World::new();
    let by_path = world.layer().organization_from(|parts| {
        let whole = parts.extensions.get::<OriginalUri>()?;
        Some(whole.path().strip_prefix("/orgs/")?.split('/').next()?.to_owned())
    });
    let nested = Router::new().route("/me", get(whoami)).layer(by_path);
    let app = Router::new().nest("/orgs/{org}", nested);
    assert_eq!(call(&app, "/orgs/acme/me", Some(CAROL)).await.0, 403);
    assert_eq!(call(&app, "/orgs/globex/me", Some(BOB)).await.0, 403);
    let (status, body) = call(&app, "/orgs/acme/me", Some(BOB)).await;
    assert_eq!((status.as_u16(), body.ends_with(" acme")), (200, true), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a8_only_an_explicit_answer_selects_the_personal_account() {
    let world = World::new();
    let of = |answer: RequestOrganization| world.layer().organization_from(move |_| answer.clone());
    let response = ask(&of(RequestOrganization::Personal), basic(JANE)).await;
    assert_eq!(organization_of(&response), None);
    assert_eq!(
        organization_of(&ask(&of(RequestOrganization::named("acme")), basic(JANE)).await),
        Some("acme")
    );
    // Jane's session is cached by now. Her answer is the same as that for unknown credentials.
    for pair in [JANE, (JANE.0, "wrong")] {
        for absent in [RequestOrganization::Refused, None::<String>.into()] {
            assert_eq!(code(&ask(&of(absent), basic(pair)).await), "organization_forbidden");
        }
    }
    assert_eq!(code(&ask(&of(RequestOrganization::Refused), Request::new(())).await), "credentials_missing");
    // If the layer is optional, a request without credentials passes without a session.
    let optional = of(RequestOrganization::Refused).optional();
    assert_eq!(ask(&optional, Request::new(())).await.body(), "nobody");
    assert_eq!(code(&ask(&optional, basic(JANE)).await), "organization_forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_layer_on_a_whole_axum_router_guards_unknown_paths_too() {
    let world = World::new();
    let app = Router::new().route("/me", get(whoami)).layer(world.layer().problem_json());
    assert_eq!(call(&app, "/nowhere", None).await.0, 401);
    assert_eq!(call(&app, "/nowhere", Some(JANE)).await.0, 404);
    let (status, body) = call(&app, "/me", Some(JANE)).await;
    assert_eq!((status.as_u16(), body.ends_with(" -")), (200, true));
}

#[tokio::test(start_paused = true)]
async fn inner_layers_see_sessions_and_outer_layers_see_rejections() {
    let world = World::new();
    let rejections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&rejections);
    let service = ServiceBuilder::new()
        .map_response(move |response: Response<String>| {
            seen.fetch_add(usize::from(response.extensions().get::<Rejection>().is_some()), Ordering::SeqCst);
            response
        })
        .layer(world.layer())
        .map_request(|request: Request<()>| {
            assert!(request.extensions().get::<ClerkSession>().is_some());
            request
        })
        .service(service_fn(crate::common::me));
    assert_eq!(service.clone().oneshot(Request::new(())).await.unwrap().status(), 401);
    assert_eq!(service.clone().oneshot(basic(JANE)).await.unwrap().status(), 200);
    assert_eq!(service.clone().oneshot(basic((JANE.0, "wrong"))).await.unwrap().status(), 401);
    assert_eq!(rejections.load(Ordering::SeqCst), 2);
}

/// Sends the text of one request over a socket, and reads the whole response.
async fn raw(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            body.len() >= length.map_or(0, |length| length.parse().unwrap())
        });
        if whole || read == 0 {
            return text;
        }
    }
}

#[tokio::test]
async fn hyper_on_a_socket_answers_over_one_keep_alive_connection() {
    let fake = tower_clerk::testing::FakeClerk::new();
    warm_up(&fake).await;
    let server = fake.serve("127.0.0.1:0").await.unwrap();
    let clerk = tower_clerk::Clerk::builder(server.url()).build().unwrap();
    let service = ServiceBuilder::new()
        .layer(tower_clerk::ClerkBasicAuthLayer::new(clerk).problem_json())
        .service(service_fn(|request: Request<Incoming>| async move {
            let user = request.extensions().get::<ClerkSession>().unwrap().user_id().to_owned();
            // Rule A7: the layer does not read the body, so the service gets all of it.
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("{user} sent {}", body.len()))))
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request| service.clone().oneshot(request));
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = raw(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("www-authenticate: Basic realm=\"api\", charset=\"UTF-8\""), "{answer}");
    assert!(answer.contains("credentials_missing"));
    for _ in 0..2 {
        let field = authorization(JANE);
        let request =
            format!("POST / HTTP/1.1\r\nhost: x\r\nauthorization: {field}\r\ncontent-length: 5\r\n\r\nhello");
        let answer = raw(&mut stream, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(" sent 5"), "{answer}");
    }
    let head =
        format!("HEAD / HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", authorization((JANE.0, "no")));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\n"),
        "HEAD has no body: {answer}"
    );
    assert_eq!(fake.count(Endpoint::SignIns), 2);
}

#[tokio::test]
async fn a7_an_upgraded_connection_is_authenticated_once_at_its_start() {
    let world = World::new();
    let service = ServiceBuilder::new().layer(world.layer()).service(service_fn(
        |request: Request<Incoming>| async move {
            tokio::spawn(async move {
                let upgraded = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
                let (mut read, mut write) = tokio::io::split(upgraded);
                tokio::io::copy(&mut read, &mut write).await
            });
            let switching = Response::builder().status(101).header("connection", "upgrade");
            Ok::<_, Infallible>(switching.header("upgrade", "echo").body(Full::<Bytes>::default()).unwrap())
        },
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request| service.clone().oneshot(request));
        let connection = hyper::server::conn::http1::Builder::new();
        connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n";
    let answer = raw(&mut stream, &format!("{upgrade}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let answer = raw(&mut stream, &format!("{upgrade}authorization: {}\r\n\r\n", authorization(JANE))).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    world.clerk.revoke_user(world.fake.sessions()[0].user_id());
    stream.write_all(b"still here").await.unwrap();
    let mut echoed = [0; 10];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"still here");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_body_passes_through_unchanged() {
    let world = World::new();
    let app =
        Router::new().route("/", post(|body: Bytes| async move { body })).layer(world.layer().problem_json());
    for _ in 0..2 {
        let request = AxumRequest::post("/").header("authorization", authorization(JANE));
        let request = request.body(axum::body::Body::from("all of it")).unwrap();
        let response = in_time(app.clone().oneshot(request)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "all of it");
    }
}
