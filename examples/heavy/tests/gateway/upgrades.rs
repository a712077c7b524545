//! WebSockets through the gateway (rule A7).

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Gateway, JANE, ask, basic, connect, get, read_head, upstream};

const HANDSHAKE: [&str; 4] = [
    "Connection: keep-alive, Upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Sec-WebSocket-Version: 13\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
];

/// An upstream that accepts a WebSocket, and answers each byte by the next one until the client closes.
pub(crate) fn socket() -> SocketAddr {
    upstream(|mut stream| {
        let (start, fields) = read_head(&mut BufReader::new(stream.try_clone().unwrap()));
        assert_eq!(start, "GET /socket HTTP/1.1");
        let field = |name: &str| fields.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
        assert!(field("authorization").unwrap().starts_with("Bearer "));
        assert_eq!((field("connection"), field("upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!(field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).unwrap() == 1 {
            stream.write_all(&[byte[0] + 1]).unwrap();
        }
        // A proxy in front may be gone by now.
        _ = stream.write_all(b"bye");
    })
}

/// Opens a WebSocket to [`socket`] through the server at this address, and talks through it.
pub(crate) fn talk(address: SocketAddr) -> (TcpStream, BufReader<TcpStream>) {
    let handshake = |more: &str| get("/socket", &[&HANDSHAKE[..], &[more]].concat());
    assert_eq!(ask(address, &handshake("")).status, 401);

    let mut stream = connect(address);
    stream.write_all(&handshake(&basic(JANE))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (start, fields) = read_head(&mut reader);
    assert!(start.starts_with("HTTP/1.1 101"), "{start}");
    assert!(fields.contains(&("upgrade".into(), "websocket".into())), "{fields:?}");
    assert!(fields.contains(&("sec-websocket-accept".into(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into())));
    let mut hello = [0; 5];
    reader.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
    for byte in [1, 7, 200] {
        stream.write_all(&[byte]).unwrap();
        let mut answer = [0];
        reader.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [byte + 1]);
    }
    (stream, reader)
}

#[test]
fn a7_a_websocket_is_authenticated_at_its_start_and_passes_bytes_both_ways() {
    let gateway = Gateway::with_upstream(socket(), &[]);
    let (stream, mut reader) = talk(gateway.address);
    // Each direction ends by itself.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"bye");
}

#[test]
fn a7_no_other_protocol_is_upgraded_to() {
    // In a connection of HTTP/2 to the upstream, the client could send requests past the gateway.
    let gateway = Gateway::start(&[]);
    let lines = [
        "Connection: Upgrade, HTTP2-Settings\r\n",
        "Upgrade: h2c\r\n",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    ];
    let seen = ask(gateway.address, &get("/", &[&[&*basic(JANE)], &lines[..]].concat())).seen();
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(seen.field(name), None);
    }
    // Nor where the upstream wants to.
    let forward = upstream(|mut stream| {
        read_head(&mut BufReader::new(stream.try_clone().unwrap()));
        _ = stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    });
    let gateway = Gateway::with_upstream(forward, &[]);
    assert_eq!(ask(gateway.address, &get("/", &[&basic(JANE)])).status, 502);
    assert_eq!(ask(gateway.address, &get("/", &[&[&*basic(JANE)], &HANDSHAKE[..]].concat())).status, 502);
}
