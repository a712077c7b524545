//! Upstreams that are away, slow or broken, which no client takes for wrong credentials (rules A7 and A9).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::harness::{Gateway, JANE, ask, basic, connect, free_port, get, read_answer, read_head, upstream};

#[test]
fn a9_an_upstream_that_is_away_is_a_502() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let gateway = Gateway::with_upstream(nowhere, &[]);
    let answer = ask(gateway.address, &get("/", &[&basic(JANE)]));
    assert_eq!((answer.status, &answer.json()["code"]), (502, &"bad_gateway".into()));
    assert_eq!(answer.field("www-authenticate"), None);
    // The verdict comes first.
    assert_eq!(ask(gateway.address, &get("/", &[])).status, 401);

    // One that closes, or that speaks something else.
    for reply in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 2"] {
        let broken = upstream(move |mut stream| {
            read_head(&mut BufReader::new(stream.try_clone().unwrap()));
            _ = stream.write_all(reply);
        });
        let gateway = Gateway::with_upstream(broken, &[]);
        assert_eq!(ask(gateway.address, &get("/", &[&basic(JANE)])).status, 502);
    }
}

#[test]
fn a9_a_slow_upstream_is_a_504_unless_the_request_is_still_on_its_way() {
    let silent = upstream(|mut stream| {
        // It reads on, but never answers.
        std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
    });
    let gateway = Gateway::with_upstream(silent, &[("UPSTREAM_TIMEOUT_SECS", "1")]);
    let begin = Instant::now();
    let answer = ask(gateway.address, &get("/", &[&basic(JANE)]));
    assert_eq!((answer.status, &answer.json()["code"]), (504, &"gateway_timeout".into()));
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());

    // A client that sends a part each half second isn't slower than the upstream.
    let mut stream = connect(gateway.address);
    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{}Content-Length: 4\r\n\r\n", basic(JANE));
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(b"a").unwrap();
    }
    let begin = Instant::now();
    assert_eq!(read_answer(&mut BufReader::new(stream)).status, 504);
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());

    // One that stops is slow itself.
    let mut stream = connect(gateway.address);
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut BufReader::new(stream)).status, 408);
}

#[test]
fn a9_a_body_that_the_client_has_garbled_is_a_400_and_no_fault_of_the_upstream() {
    let gateway = Gateway::start(&[]);
    for body in ["5;a\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\nhello\r\n"] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\n{}Transfer-Encoding: chunked\r\n\r\n{body}", basic(JANE));
        let answer = ask(gateway.address, request.as_bytes());
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"bad_request".into()), "{body}");
    }
}

#[test]
fn a9_an_answer_that_breaks_off_is_broken_for_the_client_too() {
    for body in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let (break_off, breaks_off) = mpsc::channel();
        let breaks_off = Mutex::new(breaks_off);
        let breaking = upstream(move |mut stream| {
            read_head(&mut BufReader::new(stream.try_clone().unwrap()));
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{body}").as_bytes()).unwrap();
            breaks_off.lock().unwrap().recv().unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            _ = stream.read(&mut [0]);
        });
        let gateway = Gateway::with_upstream(breaking, &[]);
        let mut stream = connect(gateway.address);
        stream.write_all(&get("/", &[&basic(JANE)])).unwrap();
        let mut reader = BufReader::new(stream);
        // The head has arrived.
        reader.fill_buf().unwrap();
        break_off.send(()).unwrap();
        let answer = read_answer(&mut reader);
        assert_eq!((answer.status, &*answer.body, answer.is_complete), (200, &b"half"[..], false));
    }
}

#[test]
fn a7_statuses_fields_and_empty_bodies_pass_unchanged() {
    for (reply, status, body) in [
        ("401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2", 401, "no"),
        ("304 Not Modified\r\nETag: \"a\"", 304, ""),
        ("204 No Content", 204, ""),
        ("302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0", 302, ""),
        ("500 Oh\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nConnection: X-Hop\r\nX-Hop: 1", 500, "no"),
    ] {
        let reply = format!("HTTP/1.1 {reply}\r\nX-Mine: 1\r\n\r\n{body}");
        let serving = upstream(move |mut stream| {
            read_head(&mut BufReader::new(stream.try_clone().unwrap()));
            stream.write_all(reply.as_bytes()).unwrap();
        });
        let gateway = Gateway::with_upstream(serving, &[]);
        let answer = ask(gateway.address, &get("/", &[&basic(JANE)]));
        assert_eq!((answer.status, &*answer.body), (status, body.as_bytes()));
        assert_eq!((answer.field("x-mine"), answer.field("x-hop")), (Some("1"), None));
    }
    // The length of an answer to HEAD is that of the body that isn't sent.
    let serving = upstream(|mut stream| {
        let (start, _) = read_head(&mut BufReader::new(stream.try_clone().unwrap()));
        assert!(start.starts_with("HEAD "), "{start}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").unwrap();
    });
    let gateway = Gateway::with_upstream(serving, &[]);
    let mut stream = connect(gateway.address);
    let request = String::from_utf8(get("/", &[&basic(JANE)])).unwrap().replacen("GET", "HEAD", 1);
    stream.write_all(request.as_bytes()).unwrap();
    let (start, fields) = read_head(&mut BufReader::new(stream));
    assert!(start.starts_with("HTTP/1.1 200"), "{start}");
    assert!(fields.contains(&("content-length".into(), "7".into())), "{fields:?}");
}
