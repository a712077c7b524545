//! Bodies both ways: without waiting for their end, and in bounded memory (rule A7).

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::harness::{Gateway, JANE, ask, basic, connect, get, read_answer, read_head, upstream};

/// 256 MiB, or as many as the variable says: 1 GiB in an optimized build takes some seconds.
fn size() -> u64 {
    let mib = std::env::var("GATEWAY_TEST_MIB").map_or(256, |mib| mib.parse().unwrap());
    mib * 1024 * 1024
}

/// The most memory that a process has used, in MiB.
fn most_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn a7_the_first_part_of_a_body_arrives_before_the_last_one_is_sent() {
    let (told, hears) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let echoing = upstream(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_head(&mut reader);
        let mut chunk = String::new();
        while chunk.lines().count() < 2 {
            reader.read_line(&mut chunk).unwrap();
        }
        told.send(chunk.lines().nth(1).unwrap().to_owned()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n").unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
        stream.write_all(b"4\r\nend.\r\n0\r\n\r\n").unwrap();
    });
    let gateway = Gateway::with_upstream(echoing, &[]);
    let mut stream = connect(gateway.address);
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{}Transfer-Encoding: chunked\r\n\r\n", basic(JANE));
    stream.write_all(format!("{head}2\r\nup\r\n").as_bytes()).unwrap();
    // The request's body isn't at its end, and its first part has arrived.
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)).as_deref(), Ok("up"));
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (start, _) = read_head(&mut reader);
    assert!(start.starts_with("HTTP/1.1 200"), "{start}");
    let mut first = [0; 9];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"4\r\ndown\r\n");
    go_on.send(()).unwrap();
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut rest = [0; 9];
    reader.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"4\r\nend.\r\n");
}

#[test]
fn a7_large_bodies_pass_both_ways_in_bounded_memory() {
    let size = size();
    let serving = upstream(move |mut stream| {
        read_head(&mut BufReader::new(stream.try_clone().unwrap()));
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes()).unwrap();
        std::io::copy(&mut std::io::repeat(b'a').take(size), &mut stream).unwrap();
    });
    let gateway = Gateway::with_upstream(serving, &[]);
    let mut stream = connect(gateway.address);
    let begin = Instant::now();
    stream.write_all(&get("/", &[&basic(JANE)])).unwrap();
    let mut reader = BufReader::new(stream);
    read_head(&mut reader);
    let read = std::io::copy(&mut reader.take(size), &mut std::io::sink()).unwrap();
    assert_eq!(read, size);
    let (down, of_down) = (most_memory(gateway.process.0.id()), begin.elapsed());

    let gateway = Gateway::start(&[]);
    let mut stream = connect(gateway.address);
    let begin = Instant::now();
    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{}Content-Length: {size}\r\n\r\n", basic(JANE));
    stream.write_all(head.as_bytes()).unwrap();
    std::io::copy(&mut std::io::repeat(b'a').take(size), &mut stream).unwrap();
    let answer = read_answer(&mut BufReader::new(stream));
    assert_eq!(answer.seen().json["body_length"], size);
    let up = most_memory(gateway.process.0.id());
    let mib = size / 1024 / 1024;
    println!(
        "{mib} MiB down: {of_down:?}, at most {down} MiB of memory; up: {:?}, {up} MiB",
        begin.elapsed()
    );
    assert!(down < 128 && up < 128, "{down} MiB and {up} MiB");
}

#[test]
fn a7_no_body_is_read_before_the_verdict() {
    let gateway = Gateway::start(&[]);
    let mut stream = connect(gateway.address);
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // Without the body, and without an interim answer that asks for it.
    assert_eq!(read_answer(&mut BufReader::new(stream)).status, 401);

    let mut stream = connect(gateway.address);
    stream.write_all(format!("{head}{}\r\n", basic(JANE)).as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (start, _) = read_head(&mut reader);
    assert!(start.starts_with("HTTP/1.1 100"), "{start}");
    stream.write_all(b"hello").unwrap();
    let seen = read_answer(&mut reader).seen();
    assert_eq!((&seen.json["body_length"], seen.field("expect")), (&5.into(), None));
}

#[test]
fn a7_trailers_pass_without_identity() {
    let gateway = Gateway::start(&[("IDENTITY", "headers")]);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\n{}Trailer: X-Checksum, X-Clerk-User-Id, X_Clerk_Org_Id\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nup\r\n0\r\nX-Checksum: 7\r\nX-Clerk-User-Id: user_forged\r\n\
         X_Clerk_Org_Id: org_forged\r\n\r\n",
        basic(JANE)
    );
    let seen = ask(gateway.address, request.as_bytes()).seen();
    assert_eq!(seen.trailers, [("x-checksum".to_owned(), "7".to_owned())]);
    assert_eq!(seen.json["body_length"], 2);
}

#[test]
fn a10_trailers_tell_nothing_about_the_way_of_the_request() {
    let gateway = Gateway::start(&[]);
    let names =
        ["X-Forwarded-For", "x_forwarded_for", "Forwarded", "X-Real-IP", "X-Original-URL", "X-Rewrite-URL"];
    let trailers: String = names.map(|name| format!("{name}: 203.0.113.9\r\n")).concat();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\n{}Trailer: {}, X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nup\r\n0\r\n{trailers}X-Checksum: 7\r\n\r\n",
        basic(JANE),
        names.join(", ")
    );
    let seen = ask(gateway.address, request.as_bytes()).seen();
    assert_eq!(seen.trailers, [("x-checksum".to_owned(), "7".to_owned())]);
}

#[test]
fn a7_a_body_of_any_method_arrives_however_its_length_is_told() {
    let gateway = Gateway::start(&[]);
    for method in ["GET", "POST", "DELETE", "SEARCH"] {
        for framed in
            ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
        {
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{}{framed}", basic(JANE));
            let seen = ask(gateway.address, request.as_bytes()).seen();
            assert_eq!(
                (&seen.json["method"], &seen.json["body_length"]),
                (&method.into(), &5.into()),
                "{framed}"
            );
        }
    }
}
