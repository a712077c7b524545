//! The gateway beside plain forwarding by hyper, in one run.
//!
//! `cargo test --release -p tower-clerk-heavy-examples --test gateway -- --ignored --nocapture throughput`
//! (after `cargo build --release -p tower-clerk-heavy-examples --examples`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::harness::{Gateway, JANE, Process, basic, connect, get, read_answer};

const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(4);

/// Requests in a second over connections that stay open.
fn rate(address: SocketAddr) -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let request = get("/a", &[&basic(JANE)]);
                let stream = connect(address);
                stream.set_nodelay(true).unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut stream, mut count) = (stream, 0);
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(&request).unwrap();
                    assert_eq!(read_answer(&mut reader).status, 200);
                    count += 1;
                }
                count
            })
        })
        .collect();
    std::thread::sleep(TIME);
    stop.store(true, Ordering::Relaxed);
    let count: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    count / TIME.as_secs()
}

/// A process of its own, as the gateway is one: this very program, with one of the functions below.
fn start(function: &str, upstream: &str) -> (Process, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("throughput::{function}")])
        .env("UPSTREAM", upstream)
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.split_once("serves on ")?.1.parse().ok());
    (Process(child), address.unwrap())
}

#[tokio::main]
async fn serve(app: Router) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("serves on {}", listener.local_addr().unwrap());
    axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| _ = stream.set_nodelay(true)), app)
        .await
        .unwrap();
}

#[test]
#[ignore = "serves until it is killed, for `a7_throughput_beside_plain_forwarding`"]
fn a7_an_upstream_for_the_measurement() {
    if std::env::var_os("UPSTREAM").is_some() {
        serve(Router::new().fallback(|| async { "hello" }));
    }
}

#[test]
#[ignore = "serves until it is killed, for `a7_throughput_beside_plain_forwarding`"]
fn a7_plain_forwarding_for_the_measurement() {
    let Ok(upstream) = std::env::var("UPSTREAM") else { return };
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let forward = move |mut request: Request| {
        *request.uri_mut() = format!("http://{upstream}{}", request.uri().path()).parse().unwrap();
        request.headers_mut().remove("host");
        let client = client.clone();
        async move { client.request(request).await.unwrap().map(Body::new) }
    };
    serve(Router::new().fallback(forward));
}

#[test]
#[ignore = "a measurement, for an optimized build on an idle machine"]
fn a7_throughput_beside_plain_forwarding() {
    let (_upstream, upstream) = start("a7_an_upstream_for_the_measurement", "-");
    let (_plain, plain) = start("a7_plain_forwarding_for_the_measurement", &upstream.to_string());
    let bearer = Gateway::with_upstream(upstream, &[]);
    let headers = Gateway::with_upstream(upstream, &[("IDENTITY", "headers")]);
    for round in 0..3 {
        let direct = rate(upstream);
        let (plain, bearer, headers) = (rate(plain), rate(bearer.address), rate(headers.address));
        let part = |of: u64| of * 100 / plain;
        println!(
            "round {round}: direct {direct}/s, plain forwarding {plain}/s, gateway with a JWT {bearer}/s ({} %), with identity headers {headers}/s ({} %)",
            part(bearer),
            part(headers)
        );
        assert!(part(bearer) > 50 && part(headers) > 50);
    }
}
