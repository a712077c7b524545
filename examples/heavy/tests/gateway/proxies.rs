//! nginx and Caddy in front, with the configurations that are beside the example.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{BOB, CAROL, Gateway, JANE, Process, ask, basic, free_port, get};

/// A proxy that asks the gateway about each request. It passes on what is let in.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    _process: Process,
}

/// Starts nginx, where it is installed.
pub(crate) fn nginx(gateway: &Gateway, service: SocketAddr) -> Option<Proxy> {
    let (address, folder) = place("nginx");
    let text = adapted("nginx.conf", "listen 80;", &format!("listen {address};"), gateway, service);
    start_nginx(address, &folder, &text)
}

/// Starts nginx with this text in its `http` block.
pub(crate) fn start_nginx(address: SocketAddr, folder: &Path, text: &str) -> Option<Proxy> {
    let temp = |name: &str| format!("{name}_temp_path {};\n", folder.join(name).display());
    let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(temp).concat();
    let main = format!(
        "daemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temps}\
         {text}}}\n",
        folder.display()
    );
    fs::write(folder.join("nginx.conf"), main).unwrap();
    let arguments = |command: &mut Command| {
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(["-e", "stderr"]);
    };
    start(&["nginx", "/usr/sbin/nginx"], arguments, address)
}

/// Starts Caddy, where it is installed.
pub(crate) fn caddy(gateway: &Gateway, service: SocketAddr) -> Option<Proxy> {
    let (address, folder) = place("caddy");
    let site = format!("http://:{} {{\n\tbind 127.0.0.1", address.port());
    let text = adapted("Caddyfile", ":80 {", &site, gateway, service);
    start_caddy(address, &folder, &format!("{{\n{ALONE}}}\n{text}"))
}

/// Options by which Caddy opens neither port 80 nor the one for administrators, which two of them can't share.
pub(crate) const ALONE: &str = "\tadmin off\n\tauto_https disable_redirects\n";

/// Starts Caddy with this file.
pub(crate) fn start_caddy(address: SocketAddr, folder: &Path, text: &str) -> Option<Proxy> {
    fs::write(folder.join("Caddyfile"), text).unwrap();
    let arguments = |command: &mut Command| {
        command.arg("run").arg("--config").arg(folder.join("Caddyfile")).args(["--adapter", "caddyfile"]);
        command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    };
    start(&["caddy"], arguments, address)
}

pub(crate) fn place(name: &str) -> (SocketAddr, PathBuf) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", address.port()));
    fs::create_dir_all(&folder).unwrap();
    (address, folder)
}

/// A configuration as it is beside the example, but for the three addresses.
fn adapted(file: &str, listen: &str, to: &str, gateway: &Gateway, service: SocketAddr) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway").join(file);
    let text = fs::read_to_string(path).unwrap();
    let text =
        text.lines().filter(|line| !line.trim().starts_with('#')).collect::<Vec<_>>().join("\n") + "\n";
    let text = replaced(&text, listen, to);
    let text = replaced(&text, "127.0.0.1:3000", &gateway.address.to_string());
    replaced(&text, "127.0.0.1:8080", &service.to_string())
}

/// A text with a part of it replaced, which it must have once.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} is there once: {text}");
    text.replace(from, to)
}

fn start(programs: &[&str], arguments: impl Fn(&mut Command), address: SocketAddr) -> Option<Proxy> {
    for program in programs {
        let mut command = Command::new(program);
        arguments(&mut command);
        let child = match command.stdin(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("{program} can't be started: {error}"),
        };
        let mut process = Process(child);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let ended = process.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{program} doesn't listen: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        return Some(Proxy { address, _process: process });
    }
    left_out(programs[0]);
    None
}

/// Says that a program isn't installed. Where all have to be, that is an error.
pub(crate) fn left_out(program: &str) {
    let is_required = std::env::var_os("REQUIRE_PROXIES").is_some();
    assert!(!is_required, "{program} must be installed");
    println!("skipped: {program} isn't installed");
}

/// Both proxies, each in front of a gateway with these settings.
pub(crate) fn each(settings: &[(&str, &str)], test: impl Fn(&str, &Gateway, SocketAddr)) {
    for name in ["nginx", "caddy"] {
        let gateway = Gateway::start(&[settings, &[("FORWARD_AUTH", name)]].concat());
        let service = gateway.echo.unwrap();
        let proxy = if name == "nginx" { nginx(&gateway, service) } else { caddy(&gateway, service) };
        if let Some(proxy) = proxy {
            test(name, &gateway, proxy.address);
        }
    }
}

const BY_PATH: (&str, &str) = ("ORGANIZATION_PATH", "/orgs/{org}/{*rest}");

#[test]
fn a10_proxies_pass_on_the_identity_that_the_gateway_names() {
    each(&[("IDENTITY", "headers"), BY_PATH], |name, _, address| {
        let seen = ask(address, &get("/orgs/acme/me?a=1", &[&basic(JANE)])).seen();
        assert_eq!(seen.json["path"], "/orgs/acme/me?a=1");
        assert_eq!(seen.field("authorization"), None, "{name} passes the password on");
        assert_eq!(seen.field("x-clerk-org-slug"), Some("acme"));
        assert_eq!(seen.field("x-clerk-org-role"), Some("org:admin"));
        let seen = ask(address, &get("/orgs/globex/me", &[&basic(JANE)])).seen();
        assert_eq!(
            (seen.field("x-clerk-org-slug"), seen.field("x-clerk-org-role")),
            (Some("globex"), Some("org:member"))
        );
        let open = ask(address, &get("/public/a", &[])).seen();
        assert!(!open.fields.iter().any(|(name, value)| name.contains("clerk") && !value.is_empty()));
    });
}

#[test]
fn a7_a_pages_own_fetch_gets_no_prompt_behind_a_proxy_where_that_is_set() {
    each(&[("NO_PROMPT_FOR_FETCH", "1")], |name, _, address| {
        for (fetch, expected) in [("Sec-Fetch-Dest: empty\r\n", "xBasic realm="), ("", "Basic realm=")] {
            let answer = ask(address, &get("/a", &[fetch]));
            let challenge = answer.field("www-authenticate").unwrap();
            assert!(answer.status == 401 && challenge.starts_with(expected), "{name}: {challenge}");
        }
    });
}

#[test]
fn a10_nginx_passes_the_jwt_on() {
    let gateway = Gateway::start(&[("FORWARD_AUTH", "nginx")]);
    let Some(nginx) = nginx(&gateway, gateway.echo.unwrap()) else { return };
    let seen = ask(nginx.address, &get("/a", &[&basic(JANE)])).seen();
    let jwt = seen.field("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(jwt.split('.').count(), 3, "{jwt}");
}

#[test]
fn a10_a_forged_original_uri_changes_no_organization_behind_a_proxy() {
    each(&[("IDENTITY", "headers"), BY_PATH], |name, _, address| {
        for forged in [
            "X-Original-URI: /orgs/globex/me\r\n",
            "X-Original-URI: /orgs/globex/me\r\nX-Original-Method: GET\r\n",
            "X-Original-URL: /orgs/globex/me\r\n",
            "X_Original_URI: /orgs/globex/me\r\n",
            "X-Forwarded-Uri: /orgs/globex/me\r\n",
            "X-Forwarded-Uri: /orgs/globex/me\r\nX-Forwarded-Method: GET\r\n",
            "X_Forwarded_Uri: /orgs/globex/me\r\n",
            "X-Forwarded-Prefix: /orgs/globex\r\n",
            "X-Rewrite-URL: /orgs/globex/me\r\n",
            "X-Envoy-Original-Path: /orgs/globex/me\r\n",
            "Forwarded: path=/orgs/globex/me\r\n",
        ] {
            let answer = ask(address, &get("/orgs/acme/me", &[&basic(JANE), forged]));
            // A spelling that the proxy passes on may be refused; the others must not reach the gateway.
            if answer.status != 403 || !forged.contains('_') {
                assert_eq!(answer.seen().field("x-clerk-org-slug"), Some("acme"), "{name} {forged}");
            }
        }
    });
}

#[test]
fn a10_no_path_that_a_service_may_read_otherwise_is_open_to_everyone() {
    each(&[("IDENTITY", "headers")], |name, _, address| {
        for open in ["/public/", "/public/a/b-c.min.js", "/public/a?x=../%2f"] {
            assert_eq!(ask(address, &get(open, &[])).status, 200, "{name} {open}");
        }
        for closed in [
            "/orgs/../public/a",
            "/orgs/acme/%2e%2e/%2e%2e/public/a",
            "/orgs/..%2fpublic/a",
            "/public/../orgs/a",
            "/public/..%2forgs/a",
            "/public/..;/orgs/a",
            "/public/%2e%2e;/orgs/a",
            "/public/..%5corgs",
            "/public/..\\orgs",
            "/public%2fa",
            "//public/a",
        ] {
            let status = ask(address, &get(closed, &[])).status;
            assert!([400, 401, 404].contains(&status), "{name} {closed}: {status}");
        }
    });
}

#[test]
fn a7_no_proxy_upgrades_to_another_protocol_than_a_websocket() {
    // In a connection of HTTP/2 to the service, the client could name any user.
    each(&[("IDENTITY", "headers")], |name, _, address| {
        for upgrade in
            ["Upgrade: h2c\r\n", "Upgrade: h2c\r\nUpgrade: websocket\r\n", "Upgrade: websocket, h2c\r\n"]
        {
            for (path, pair) in [("/closed", basic(JANE)), ("/public/a", String::new())] {
                let lines = [
                    &*pair,
                    "Connection: Upgrade\r\n",
                    upgrade,
                    "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
                ];
                let seen = ask(address, &get(path, &lines)).seen();
                assert!(
                    seen.field("upgrade").is_none_or(|to| to == "websocket"),
                    "{name} {path} {upgrade}: {:?}",
                    seen.fields
                );
            }
        }
    });
}

#[test]
fn a9_each_status_of_a_rejection_reaches_the_client_of_a_proxy() {
    each(&[("IDENTITY", "headers"), BY_PATH], |name, _, address| {
        let status = |path: &str, pair: &str| ask(address, &get(path, &[&basic(pair)]));
        let unnamed = ask(address, &get("/orgs/acme/me", &[]));
        assert_eq!(unnamed.status, 401);
        let challenge = unnamed.field("www-authenticate").unwrap();
        assert!(challenge.starts_with("Basic realm="), "{name}: {challenge}");
        assert_eq!(status("/orgs/acme/me", "jane@example.com:wrong").status, 401);
        assert_eq!(status("/orgs/globex/me", BOB).status, 403);
        assert_eq!(status("/elsewhere", CAROL).status, 403);
        assert_eq!(status("/orgs/acme/me", "mfa@example.com:second factor please").status, 403);
        let throttled =
            (0..10).map(|number| status("/orgs/acme/me", &format!("bob@example.com:wrong{number}")));
        let throttled = throttled.into_iter().find(|answer| answer.status != 401).unwrap();
        assert_eq!(throttled.status, 429, "{name}");
        assert!(
            throttled.field("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()),
            "{throttled:?}"
        );
    });
}

#[test]
fn a9_a_gateway_without_a_turn_or_away_lets_no_request_in() {
    each(&[("SIGN_IN_RATE", "1/60s")], |name, _, address| {
        assert_eq!(ask(address, &get("/a", &[&basic(JANE)])).status, 200);
        let answer = ask(address, &get("/a", &[&basic(BOB)]));
        assert_eq!(answer.status, 503, "{name}: {answer:?}");
        assert!(answer.field("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{answer:?}");
        // It was verified, and is still cached.
        assert_eq!(ask(address, &get("/a", &[&basic(JANE)])).status, 200);
    });
    let service = crate::harness::upstream(|_| panic!("no request must reach the service"));
    for name in ["nginx", "caddy"] {
        let gateway = Gateway::start(&[("FORWARD_AUTH", name)]);
        let proxy = if name == "nginx" { nginx(&gateway, service) } else { caddy(&gateway, service) };
        drop(gateway);
        if let Some(proxy) = proxy {
            let answer = ask(proxy.address, &get("/a", &[&basic(JANE)]));
            assert_eq!(answer.status, 502, "{name}");
        }
    }
}
