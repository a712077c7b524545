//! Requests of browsers and odd clients: scripts, preflights, requests that ask before they send a body (rule A7).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_clerk::testing::Endpoint;
use tower_clerk::{BearerTokens, ClerkSession, Requirement, Role};

use crate::common::{BOB, JANE, World, ask, authorization, basic, in_time, with_authorization};

const BASIC: &str = r#"Basic realm="api", charset="UTF-8""#;
const UNKNOWN: &str = r#"xBasic realm="api", charset="UTF-8""#;
const BEARER: &str = r#"Bearer realm="api""#;

/// The fields that a browser adds to a page's own `fetch`.
fn by_script<B>(mut request: Request<B>) -> Request<B> {
    let headers = request.headers_mut();
    headers.insert("sec-fetch-dest", "empty".parse().unwrap());
    headers.insert("sec-fetch-mode", "cors".parse().unwrap());
    headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
    request
}

/// The fields that a browser adds to a request for a page.
fn by_navigation<B>(mut request: Request<B>) -> Request<B> {
    let headers = request.headers_mut();
    headers.insert("sec-fetch-dest", "document".parse().unwrap());
    headers.insert("sec-fetch-mode", "navigate".parse().unwrap());
    request
}

fn challenges(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all(WWW_AUTHENTICATE).iter().map(|field| field.to_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a7_a_script_is_challenged_without_a_prompt_if_the_layer_says_so() {
    let world = World::unlimited();
    let (plain, sparing) = (world.layer(), world.layer().no_prompt_for_fetch());
    let wrong = || basic((JANE.0, "wrong"));
    let requests = [Request::new, |()| with_authorization("Basic !")];
    for request in requests.into_iter().map(|new| new(())).chain([wrong(), wrong()]) {
        for (layer, script, expected) in
            [(&plain, true, BASIC), (&sparing, true, UNKNOWN), (&sparing, false, BASIC)]
        {
            let request = if script { by_script(request.clone()) } else { by_navigation(request.clone()) };
            let response = ask(layer, request).await;
            assert_eq!(response.status(), 401);
            assert_eq!(challenges(response.headers()), [expected]);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
    let response = ask(&sparing, Request::new(())).await;
    assert_eq!(challenges(response.headers()), [BASIC], "curl and others");
    // No other verdict than without the setting.
    assert_eq!(ask(&sparing, by_script(basic(JANE))).await.status(), 200);
    let forbidden = sparing.organization("globex").unwrap();
    let response = ask(&forbidden, by_script(basic(BOB))).await;
    assert_eq!((response.status().as_u16(), challenges(response.headers())), (403, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a7_a_cache_is_told_which_fields_choose_the_challenge() {
    let world = World::new();
    let read = "sec-fetch-dest, sec-fetch-mode, x-requested-with";
    let sparing = world.layer().no_prompt_for_fetch();
    for request in [Request::new(()), by_script(Request::new(()))] {
        assert_eq!(ask(&sparing, request).await.headers()[VARY], read);
    }
    assert!(!ask(&world.layer(), Request::new(())).await.headers().contains_key(VARY));
    let custom = sparing.with_rejection_response(|_: &_| {
        Response::builder().header(VARY, "accept").body(String::new()).unwrap()
    });
    let response = ask(&custom, Request::new(())).await;
    let fields: Vec<_> = response.headers().get_all(VARY).iter().collect();
    assert_eq!(fields, ["accept", read], "a renderer's own stays");
}

#[tokio::test(start_paused = true)]
async fn a7_the_order_of_settings_does_not_matter_for_a_scripts_challenge() {
    let world = World::new();
    let bearer = BearerTokens::new;
    let realm = "partners";
    let layers = [
        world.layer().no_prompt_for_fetch().realm(realm).unwrap().accept_bearer(bearer()).unwrap(),
        world.layer().realm(realm).unwrap().accept_bearer(bearer()).unwrap().no_prompt_for_fetch(),
        world.layer().accept_bearer(bearer()).unwrap().no_prompt_for_fetch().realm(realm).unwrap(),
    ];
    for layer in layers {
        let (basic, bearer) = (BASIC.replace("api", realm), BEARER.replace("api", realm));
        let response = ask(&layer, by_script(Request::new(()))).await;
        assert_eq!(challenges(response.headers()), [&*bearer]);
        let response = ask(&layer, Request::new(())).await;
        assert_eq!(challenges(response.headers()), [&*basic, &*bearer]);
        let response = ask(&layer, by_script(with_authorization("Bearer a.b.c"))).await;
        let refused = challenges(response.headers());
        assert!(refused.len() == 1 && refused[0].starts_with(&format!("{bearer}, error=\"invalid_token\"")));
    }
}

/// A guard, an extractor and a handler behind an optional layer.
#[tokio::test(start_paused = true)]
async fn a7_guards_and_extractors_spare_a_script_the_prompt_too() {
    let world = World::new();
    let layer = world.layer().optional().no_prompt_for_fetch();
    let guard = layer.require(Requirement::new().role(Role::new("org:admin"))).unwrap();
    let extracts = get(async |session: ClerkSession| session.user_id().to_owned());
    let app = Router::new()
        .route("/guarded", get(async || "in").layer(guard))
        .route("/extracted", extracts)
        .layer(layer);
    for path in ["/guarded", "/extracted"] {
        let request = || Request::get(path).body(Body::empty()).unwrap();
        let of_script = in_time(app.clone().oneshot(by_script(request()))).await.unwrap();
        assert_eq!((of_script.status().as_u16(), challenges(of_script.headers())), (401, vec![UNKNOWN]));
        let navigation = in_time(app.clone().oneshot(by_navigation(request()))).await.unwrap();
        assert_eq!((navigation.status().as_u16(), challenges(navigation.headers())), (401, vec![BASIC]));
    }
}

/// The question of a browser is about a request that may be made by a script; it says nothing about the preflight itself.
#[tokio::test(start_paused = true)]
async fn a7_a_preflight_and_an_exempt_path_pass_beside_the_setting_for_scripts() {
    let world = World::new();
    let layer =
        world.layer().no_prompt_for_fetch().pass_preflight().exempt(|parts| parts.uri.path() == "/healthz");
    let mut preflight = by_script(Request::new(()));
    *preflight.method_mut() = Method::OPTIONS;
    preflight.headers_mut().insert("origin", "https://app.example".parse().unwrap());
    assert_eq!(ask(&layer, preflight.clone()).await.status(), 401, "no preflight yet");
    preflight.headers_mut().insert("access-control-request-method", "GET".parse().unwrap());
    assert_eq!(ask(&layer, preflight).await.status(), 200);
    for method in ["GET", "HEAD", "OPTIONS", "PROPFIND"] {
        let request = Request::builder().method(method).uri("/healthz").header("expect", "100-continue");
        assert_eq!(ask(&layer, request.body(()).unwrap()).await.status(), 200, "{method}");
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

/// A server whose service reads the body, and counts how often it was called.
async fn reading_server(world: &World) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service =
        ServiceBuilder::new().layer(world.layer()).service(service_fn(move |request: Request<Incoming>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("{} bytes", body.len()))))
            }
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let service = hyper::service::service_fn(move |request| service.clone().oneshot(request));
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, calls)
}

#[tokio::test]
async fn a7_a_client_that_asks_before_it_sends_a_body_is_told_not_to_if_it_is_rejected() {
    let world = World::unlimited();
    let (address, calls) = reading_server(&world).await;
    let head = "PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n";
    let rejected = [String::new(), "authorization: Basic !\r\n".to_owned(), field((JANE.0, "wrong"))];
    // The second wrong password is refused from memory.
    for fields in rejected.iter().chain(rejected.last()) {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.write_all(format!("{head}{fields}\r\n").as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 401 "), "no interim response: {head}");
        // The body that isn't sent must not be waited for: the connection ends.
        let mut rest = Vec::new();
        in_time(stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), "");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);

    // A miss, then a hit.
    for _ in 0..2 {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.write_all(format!("{head}{}\r\n", field(JANE)).as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let mut body = [0; 7];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"5 bytes");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2, "one for each password");
}

fn field(pair: (&str, &str)) -> String {
    format!("authorization: {}\r\n", authorization(pair))
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(in_time(stream.read_line(&mut head)).await.unwrap() > 0, "no response but {head:?}");
    }
    head
}
