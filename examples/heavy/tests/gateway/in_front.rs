//! nginx and Caddy in front of the gateway as a reverse proxy, with the configurations of `docs/gateway.md`.

use std::fs;
use std::io::BufReader;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Answer, Gateway, JANE, Seen, ask, basic, free_port, get, read_answer};
use crate::proxies::{ALONE, Proxy, left_out, place, replaced, start_caddy, start_nginx};
use crate::smuggling::survivors;
use crate::tls::make_certificate;
use crate::upgrades::{socket, talk};

/// The address that clients have here, which isn't the proxy's.
const CLIENT: [u8; 4] = [127, 0, 0, 2];

/// Fields by which a client names itself, its host and its scheme.
const FORGED: [&str; 8] = [
    "X-Forwarded-For: 203.0.113.9",
    "X_Forwarded_For: 203.0.113.9",
    "X-Forwarded-Host: www.example",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Prefix: /admin",
    "Forwarded: for=203.0.113.9;host=www.example",
    "X-Real-IP: 203.0.113.9",
    "Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Clerk-User-Id",
];

/// A proxy in front of a gateway.
struct Front {
    name: &'static str,
    /// Where it speaks HTTP/1.1 without TLS, for requests byte by byte.
    plain: SocketAddr,
    /// Where it speaks TLS.
    tls: SocketAddr,
    certificate: PathBuf,
    _proxy: Proxy,
}

/// The block of this language on the page about the gateway.
fn of_the_page(language: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gateway.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap().to_owned()
}

/// Starts a proxy in front of a gateway, where both it and OpenSSL are installed.
fn front(name: &'static str, gateway: &Gateway) -> Option<Front> {
    let (plain, folder) = place(&format!("front-{name}"));
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    make_certificate(&folder)?;
    let certificate = folder.join("certificate.pem");
    let key = folder.join("key.pem");
    let proxy = if name == "nginx" {
        let text = of_the_page("nginx");
        let listen = format!("listen {plain};\n    listen {tls} ssl http2;");
        let text = replaced(&text, "listen 443 ssl http2;", &listen);
        let text = replaced(&text, "/etc/nginx/api.example.com.pem", certificate.to_str()?);
        let text = replaced(&text, "/etc/nginx/api.example.com.key", key.to_str()?);
        let text = replaced(&text, "127.0.0.1:3000", &gateway.address.to_string());
        start_nginx(plain, &folder, &text)
    } else {
        let text = replaced(&of_the_page("caddyfile"), "127.0.0.1:3000", &gateway.address.to_string());
        let text = replaced(&text, "{\n\tservers {", &format!("{{\n{ALONE}\tservers {{"));
        // Caddy has no site with and without TLS, so the same one is there twice.
        let (options, site) = text.split_once("api.example.com {").unwrap();
        let (http, https) = (plain.port(), tls.port());
        let tls_files = format!("tls {} {}", certificate.display(), key.display());
        let text = format!(
            "{options}http://:{http} {{\n\tbind 127.0.0.1{site}\n\
             https://:{https} {{\n\tbind 127.0.0.1\n\t{tls_files}{site}"
        );
        start_caddy(plain, &folder, &text)
    };
    Some(Front { name, plain, tls, certificate, _proxy: proxy? })
}

/// Both proxies, one after another, each in front of a gateway with these settings.
fn each(settings: &[(&str, &str)], test: impl Fn(&Front)) {
    for name in ["nginx", "caddy"] {
        let gateway = Gateway::start(settings);
        if let Some(front) = front(name, &gateway) {
            test(&front);
        }
    }
}

/// Sends a request from [`CLIENT`], and reads the answer.
fn ask_as_client(address: SocketAddr, request: &[u8]) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream: TcpStream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((CLIENT, 0).into()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::io::Write::write_all(&mut &stream, request).unwrap();
    read_answer(&mut BufReader::new(stream))
}

/// The version of HTTP in which curl is answered over TLS, and the body, where curl is installed.
fn curl(front: &Front, arguments: &[&str]) -> Option<(String, Value)> {
    let asked = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--http2", "--max-time", "20", "--noproxy", "*"])
        .args(["--interface", "127.0.0.2", "--user", JANE, "--write-out", "\n%{http_version}", "--cacert"])
        .arg(&front.certificate)
        .args(arguments)
        .arg(format!("https://localhost:{}/a?b", front.tls.port()))
        .stdin(Stdio::null())
        .output();
    let Ok(asked) = asked else {
        left_out("curl");
        return None;
    };
    let said = String::from_utf8(asked.stdout).unwrap();
    assert!(asked.status.success(), "{}: {}", front.name, String::from_utf8_lossy(&asked.stderr));
    let (body, version) = said.rsplit_once('\n').unwrap();
    Some((version.to_owned(), serde_json::from_str(body).unwrap()))
}

fn field<'a>(seen: &'a Value, name: &str) -> Option<&'a str> {
    let fields = seen["headers"].as_array().unwrap();
    fields.iter().find(|field| field[0] == name).and_then(|field| field[1].as_str())
}

#[test]
fn a10_no_spelling_of_an_identity_field_survives_a_proxy_in_front_of_the_gateway() {
    for identity in ["headers", "bearer"] {
        each(&[("IDENTITY", identity), ("TRUSTED_PROXIES", "127.0.0.1")], |front| {
            assert!(survivors(front.plain, "/anything") >= 10, "{}", front.name);
        });
    }
}

#[test]
fn a10_the_way_of_a_request_is_told_by_the_proxy_in_front() {
    for (trusted, client, scheme) in [("127.0.0.1", "127.0.0.2", "https"), ("", "127.0.0.1", "http")] {
        each(&[("TRUSTED_PROXIES", trusted)], |front| {
            let lines = FORGED.map(|line| format!("{line}\r\n")).concat();
            let answer = ask_as_client(front.plain, &get("/", &[&basic(JANE), &lines]));
            let seen: Seen = answer.seen();
            let name = front.name;
            assert_eq!(seen.field("x-forwarded-for"), Some(client), "{name}");
            assert_eq!(seen.field("x-forwarded-proto"), Some("http"), "{name}");
            let forwarded = seen.field("forwarded").unwrap();
            assert!(forwarded.starts_with(&format!("for={client};")), "{name}: {forwarded}");
            if !trusted.is_empty() {
                assert_eq!(seen.field("x-forwarded-host"), Some("api.example"), "{name}");
            }
            for forged in ["x_forwarded_for", "x-forwarded-prefix", "x-real-ip", "x-clerk-user-id"] {
                assert_eq!(seen.field(forged), None, "{name}");
            }

            let forged: Vec<&str> = FORGED[..7].iter().flat_map(|line| ["--header", line]).collect();
            let body = "x".repeat(100_000);
            let Some((version, seen)) = curl(front, &[&forged[..], &["--data", &body]].concat()) else {
                return;
            };
            assert_eq!(
                (&*version, &seen["path"], &seen["body_length"]),
                ("2", &"/a?b".into(), &100_000.into())
            );
            assert_eq!(field(&seen, "x-forwarded-for"), Some(client), "{name}");
            assert_eq!(field(&seen, "x-forwarded-proto"), Some(scheme), "{name}");
            assert!(field(&seen, "authorization").unwrap().starts_with("Bearer ey"));
            if !trusted.is_empty() {
                let host = field(&seen, "x-forwarded-host").unwrap();
                assert_eq!(host.split(':').next(), Some("localhost"), "{name}");
            }
        });
    }
}

#[test]
fn a7_a_websocket_passes_a_proxy_in_front() {
    for name in ["nginx", "caddy"] {
        let gateway = Gateway::with_upstream(socket(), &[]);
        if let Some(front) = front(name, &gateway) {
            talk(front.plain);
        }
    }
}

#[test]
fn a9_a_proxy_in_front_passes_each_status_on_with_its_reason() {
    each(&[("SIGN_IN_RATE", "1/60s")], |front| {
        let name = front.name;
        let unnamed = ask(front.plain, &get("/", &[]));
        assert_eq!((unnamed.status, &unnamed.json()["code"]), (401, &"credentials_missing".into()), "{name}");
        assert!(unnamed.field("www-authenticate").unwrap().starts_with("Basic realm="), "{name}");
        assert_eq!(ask(front.plain, &get("/", &[&basic(JANE)])).status, 200, "{name}");
        let answer = ask(front.plain, &get("/", &[&basic(crate::harness::BOB)]));
        assert_eq!((answer.status, &answer.json()["code"]), (503, &"upstream_rate_limited".into()), "{name}");
        assert!(answer.field("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{name}");
    });
    for name in ["nginx", "caddy"] {
        let gateway = Gateway::start(&[]);
        let front = front(name, &gateway);
        drop(gateway);
        if let Some(front) = front {
            assert_eq!(ask(front.plain, &get("/", &[&basic(JANE)])).status, 502, "{name}");
        }
    }
}
