//! The process of the clients: good users, guessers, odd requests, and sockets that are closed half-way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_clerk::Credentials;

use crate::{Failure, PASSWORD, Random, USERS, identifier};

/// Clients of each kind, and the pause between two requests of one.
const GOOD: (usize, Duration) = (40, Duration::from_millis(100));
const GUESSERS: (usize, Duration) = (4, Duration::from_millis(200));
const ODD: (usize, Duration) = (2, Duration::from_millis(100));
const HALF_WAY: (usize, Duration) = (4, Duration::from_millis(200));

/// The statuses of answers, by the kind of the client and the status; 0 where there was none.
type Answers = Arc<Mutex<BTreeMap<(&'static str, u16), u64>>>;

type Http = Client<HttpConnector, Empty<Bytes>>;

/// Sends requests for so many seconds, and prints a line: `KIND STATUS COUNT`, with semicolons between.
pub(crate) async fn run(address: &str, seconds: &str) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let (answers, http) = (Answers::default(), Client::builder(TokioExecutor::new()).build_http());
    let mut clients = tokio::task::JoinSet::new();
    for (kind, (count, pause)) in [("good", GOOD), ("guess", GUESSERS), ("odd", ODD), ("half", HALF_WAY)] {
        for client in 0..count {
            let (address, answers, http) = (address.to_owned(), Arc::clone(&answers), http.clone());
            clients.spawn(async move {
                let mut random = Random(client as u64 + 1);
                while Instant::now() < end {
                    let status = match kind {
                        "half" => half_way(&address, &mut random).await,
                        _ => ask(&http, &address, authorization(kind, &mut random), &mut random).await,
                    };
                    *answers
                        .lock()
                        .unwrap_or_else(|it| it.into_inner())
                        .entry((kind, status))
                        .or_default() += 1;
                    tokio::time::sleep(pause).await;
                }
            });
        }
    }
    while clients.join_next().await.is_some() {}
    let answers = answers.lock().unwrap_or_else(|it| it.into_inner());
    let counts: Vec<_> =
        answers.iter().map(|((kind, status), count)| format!("{kind} {status} {count}")).collect();
    println!("{}", counts.join("; "));
    Ok(())
}

/// The field of a request.
fn authorization(kind: &str, random: &mut Random) -> Option<HeaderValue> {
    let number = random.below(USERS);
    let credentials = match kind {
        "good" => Credentials::new(identifier(number), PASSWORD),
        "guess" if random.below(2) == 0 => Credentials::new(identifier(USERS + number), "a guess"),
        // Of one user in fifty, so that the others aren't paused.
        "guess" => Credentials::new("user-of-the-guessers@example.com", number.to_string()),
        _ => {
            return match random.below(5) {
                0 => None,
                1 => Some(HeaderValue::from_static("Basic !!!")),
                2 => Some(HeaderValue::from_static("Negotiate abc")),
                3 => HeaderValue::from_str(&format!("Basic {}", "YTpi".repeat(3_000))).ok(),
                _ => HeaderValue::from_bytes(b"Basic YT\xffpi").ok(),
            };
        }
    };
    credentials.ok().map(|credentials| credentials.to_header())
}

fn path(random: &mut Random) -> &'static str {
    if random.below(2) == 0 { "/frontend" } else { "/backend" }
}

async fn ask(http: &Http, address: &str, field: Option<HeaderValue>, random: &mut Random) -> u16 {
    let request = Request::get(format!("http://{address}{}", path(random))).body(Empty::new());
    let Ok(mut request) = request else { return 0 };
    if let Some(field) = field {
        request.headers_mut().insert(AUTHORIZATION, field);
    }
    let Ok(response) = http.request(request).await else { return 0 };
    let status = response.status().as_u16();
    // To the end, so that the connection is used again.
    _ = response.into_body().collect().await;
    status
}

/// Sends a part of a request, or all of it, and goes away.
async fn half_way(address: &str, random: &mut Random) -> u16 {
    let field = authorization("good", random).map(|field| field.as_bytes().to_vec()).unwrap_or_default();
    let head = [format!("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: ", path(random)).into_bytes(), field];
    let request = [head.concat(), b"\r\n\r\n".to_vec()].concat();
    let sent = if random.below(2) == 0 { request.len() } else { random.below(request.len()) };
    if let Ok(mut socket) = TcpStream::connect(address).await {
        _ = socket.write_all(&request[..sent]).await;
    }
    0
}

/// Reads the line again.
pub(crate) fn judge(line: &str) -> Vec<String> {
    let counts = line.split("; ").filter_map(|part| {
        let mut words = part.split(' ');
        Some((words.next()?, words.next()?.parse::<u16>().ok()?, words.next()?.parse::<u64>().ok()?))
    });
    let counts: Vec<_> = counts.collect();
    let of = |kind: &str, is: fn(u16) -> bool| -> u64 {
        counts.iter().filter(|(of, status, _)| *of == kind && is(*status)).map(|(_, _, count)| count).sum()
    };
    let (served, all) = (of("good", |status| status == 200), of("good", |_| true));
    println!("good users: {served} of {all} requests served, the others answered 503 while Clerk had faults");
    let promises = [
        ("good users are served or answered 503", of("good", |status| status != 200 && status != 503) == 0),
        ("nine tenths of the requests of good users are served", served * 10 >= all * 9 && all > 0),
        ("no guess is let in", of("guess", |status| status == 200) == 0),
        ("odd requests are answered 401", of("odd", |status| status != 401) == 0),
    ];
    promises.iter().filter(|(_, kept)| !kept).map(|(promise, _)| (*promise).to_owned()).collect()
}
