//! The program itself: its settings, HTTP/2, and its end (rules A7 and A9).

use std::io::{BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Gateway, JANE, ask, basic, command, connect, get, read_head, upstream};

#[test]
fn a9_an_unusable_setting_ends_the_program_with_one_line_that_names_it() {
    for (name, value) in [
        ("UPSTREAM_URL", "127.0.0.1:8080"),
        ("UPSTREAM_URL", "http://127.0.0.1:8080/base"),
        ("UPSTREAM_URL", "ftp://127.0.0.1"),
        ("IDENTITY", "Bearer"),
        ("ORGANIZATION_PATH", "/orgs/{*org}"),
        ("ORGANIZATION_PATH", "/orgs/acme"),
        ("FORWARD_AUTH", "apache"),
        ("FORWARD_AUTH", "nginx,caddy"),
        ("NO_PROMPT_FOR_FETCH", "yes"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("UPSTREAM_TIMEOUT_SECS", "0"),
        ("UPSTREAM_TIMEOUT_SECS", "1.5"),
        ("LISTEN_ADDR", "localhost"),
        ("CLERK_FAPI_URL", "http://clerk.example.com"),
        ("SIGN_IN_RATE", "fast"),
    ] {
        let output = command(&[(name, value)]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {error}");
        assert!(
            error.starts_with(&format!("{name}: ")) && error.lines().count() == 1,
            "{name}={value}: {error}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a7_http_2_is_spoken_by_prior_knowledge() {
    let gateway = Gateway::start(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let json = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let field = basic(JANE);
        let mut request = hyper::Request::post("http://api.example/a?b")
            .header("authorization", field.trim().strip_prefix("Authorization: ").unwrap());
        for line in ["a=1", "b=2"] {
            request = request.header("cookie", line);
        }
        request = request.header("x_clerk_user_id", "user_forged");
        let request = request.body(http_body_util::Full::new(bytes::Bytes::from("hello"))).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!((answer.status(), answer.version()), (hyper::StatusCode::OK, hyper::Version::HTTP_2));
        http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes()
    });
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["method"], &json["path"], &json["body_length"]),
        (&"POST".into(), &"/a?b".into(), &5.into())
    );
    let fields: Vec<(String, String)> = serde_json::from_value(json["headers"].clone()).unwrap();
    assert!(fields.contains(&("cookie".into(), "a=1; b=2".into())), "{fields:?}");
    assert!(fields.contains(&("x-forwarded-host".into(), "api.example".into())), "{fields:?}");
    assert!(!fields.iter().any(|(name, _)| name == "x_clerk_user_id"));
}

#[test]
fn a7_a_signal_lets_requests_in_flight_end_and_then_ends_the_program() {
    let (told, hears) = std::sync::mpsc::channel();
    let slow = upstream(move |mut stream| {
        read_head(&mut BufReader::new(stream.try_clone().unwrap()));
        told.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
    });
    let mut gateway = Gateway::with_upstream(slow, &[]);
    let mut stream = connect(gateway.address);
    stream.write_all(&get("/", &[&basic(JANE)])).unwrap();
    hears.recv_timeout(Duration::from_secs(10)).unwrap();
    let pid = gateway.process.0.id().to_string();
    let begin = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &pid]).stdin(Stdio::null()).status().unwrap().success());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    let status = gateway.process.0.wait().unwrap();
    assert!(status.success() && begin.elapsed() < Duration::from_secs(10), "{status} {:?}", begin.elapsed());
}

#[test]
fn a10_a_preflight_is_no_way_past_the_gateway() {
    let gateway = Gateway::start(&[]);
    let lines = ["Origin: https://app.example\r\n", "Access-Control-Request-Method: GET\r\n"];
    let request = String::from_utf8(get("/", &lines)).unwrap().replacen("GET", "OPTIONS", 1);
    assert_eq!(ask(gateway.address, request.as_bytes()).status, 401);
    assert_eq!(ask(gateway.address, &get("/healthz/../admin", &[])).status, 401);
    assert_eq!(ask(gateway.address, &get("/healthz/", &[])).status, 401);
    let tunnel =
        |lines: &str| format!("CONNECT www.example:443 HTTP/1.1\r\nHost: www.example:443\r\n{lines}\r\n");
    assert_eq!(ask(gateway.address, tunnel("").as_bytes()).status, 401);
    assert_eq!(ask(gateway.address, tunnel(&basic(JANE)).as_bytes()).status, 405);
    let of_server = format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{}\r\n", basic(JANE));
    let seen = ask(gateway.address, of_server.as_bytes()).seen();
    assert_eq!((&seen.json["method"], &seen.json["path"]), (&"OPTIONS".into(), &"*".into()));
}
