//! Tests the program as a shell starts it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use fake_clerk::{FakeClerk, WebhookSecret};

use super::socket::{exchange, sign_in};
use super::webhook_socket::read_request;

fn program(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-clerk"));
    for name in [
        "FAKE_CLERK_ADDR",
        "FAKE_CLERK_LIMITS",
        "CLERK_SECRET_KEY",
        "FAKE_CLERK_WEBHOOK_URL",
        "FAKE_CLERK_WEBHOOK_SECRET",
    ] {
        command.env_remove(name);
    }
    command.env("FAKE_CLERK_ADDR", "127.0.0.1:0").envs(settings.iter().copied());
    command.stdin(Stdio::null());
    command
}

/// Runs the program with unusable settings, and returns its only line on stderr. The exit code must be 2.
fn refused(settings: &[(&str, &str)]) -> String {
    let Output { status, stdout, stderr } = program(settings).output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.as_slice(), text.lines().count()), (Some(2), &[][..], 1), "{text}");
    text.trim_end().to_owned()
}

/// A running program, which is killed when dropped.
struct Running {
    child: Child,
    address: std::net::SocketAddr,
}

impl Running {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = program(settings).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("fake clerk listening on http://");
        let address = address.unwrap_or_else(|| panic!("it printed {line:?}")).parse().unwrap();
        Self { child, address }
    }

    fn stderr(mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn unusable_settings_are_reported_with_advice() {
    let text = refused(&[("FAKE_CLERK_ADDR", "4400")]);
    assert!(text.starts_with("FAKE_CLERK_ADDR: ") && text.ends_with("must be like 127.0.0.1:4400"), "{text}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = refused(&[("FAKE_CLERK_ADDR", &taken.local_addr().unwrap().to_string())]);
    assert!(text.ends_with("set FAKE_CLERK_ADDR (127.0.0.1:0 for a free port)"), "{text}");
    assert_eq!(refused(&[("FAKE_CLERK_LIMITS", "none")]), "FAKE_CLERK_LIMITS: must be off or unset");
    let text = refused(&[("CLERK_SECRET_KEY", "hunter2")]);
    assert_eq!(text, "CLERK_SECRET_KEY: must begin with sk_test_ or sk_live_");
    let url = ("FAKE_CLERK_WEBHOOK_URL", "http://127.0.0.1:1/");
    for url in ["https://app.example/", "127.0.0.1:3000", "/webhooks"] {
        let text = refused(&[("FAKE_CLERK_WEBHOOK_URL", url)]);
        let expected = "FAKE_CLERK_WEBHOOK_URL: must be like http://127.0.0.1:3000/webhooks/clerk";
        assert_eq!(text, expected, "{url}");
    }
    let text = refused(&[url, ("FAKE_CLERK_WEBHOOK_SECRET", "hunter2")]);
    assert_eq!(text, "FAKE_CLERK_WEBHOOK_SECRET: must be whsec_ and 24 to 64 bytes in base64");
    let text = refused(&[("FAKE_CLERK_WEBHOOK_SECRET", WebhookSecret::random().expose())]);
    assert_eq!(text, "FAKE_CLERK_WEBHOOK_SECRET: needs FAKE_CLERK_WEBHOOK_URL; set both or neither");
}

#[test]
fn it_prints_the_key_and_the_organization_ids() {
    let clerk = FakeClerk::new();
    let running = Running::start(&[("CLERK_SECRET_KEY", ""), ("FAKE_CLERK_LIMITS", "")]);
    let text = running.stderr();
    assert!(text.contains(&format!("\nexport CLERK_SECRET_KEY={}\n", clerk.secret_key())), "{text}");
    // The README uses these ids in commands that must work as typed.
    for slug in ["acme", "globex"] {
        let (_, id) =
            text.split_once(&format!("{slug} is ")).unwrap_or_else(|| panic!("no {slug} in {text}"));
        let id: String = id.chars().take_while(|&c| c.is_ascii_alphanumeric() || c == '_').collect();
        assert!(include_str!("../../README.md").contains(&format!("| `{slug}` | `{id}` |")), "{slug}: {id}");
    }
    // A key from the environment may be a real one.
    let running = Running::start(&[("CLERK_SECRET_KEY", "sk_test_given")]);
    assert!(!running.stderr().contains("sk_test_given"));
}

#[tokio::test]
async fn its_limits_can_be_turned_off() {
    for (limits, expected) in [("", "HTTP/1.1 429"), ("off", "HTTP/1.1 200")] {
        let running = Running::start(&[("FAKE_CLERK_LIMITS", limits)]);
        for _ in 0..5 {
            let answer = exchange(running.address, &sign_in(running.address)).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        let answer = exchange(running.address, &sign_in(running.address)).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn a_ban_by_curl_makes_a_webhook_fly() {
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/clerk", receiver.local_addr().unwrap());
    let secret = WebhookSecret::random();
    let clerk = FakeClerk::new();
    let jane = clerk.user_id("jane").unwrap();
    assert!(include_str!("../../README.md").contains(&format!("/v1/users/{jane}/ban ")), "{jane}");
    for given in ["", secret.expose()] {
        let settings = [("FAKE_CLERK_WEBHOOK_URL", url.as_str()), ("FAKE_CLERK_WEBHOOK_SECRET", given)];
        let running = Running::start(&settings);
        let ban = format!(
            "POST /v1/users/{jane}/ban HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            running.address,
            clerk.secret_key()
        );
        let answer = exchange(running.address, &ban).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let (mut stream, _) = receiver.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap();
        let printed = running.stderr();
        // A given secret may be a real one, so it isn't printed.
        let printed =
            printed.lines().find_map(|line| line.strip_prefix("export CLERK_WEBHOOK_SIGNING_SECRET="));
        let secret = match given {
            "" => printed.unwrap().parse().unwrap(),
            _ => secret.clone(),
        };
        assert_eq!(printed.is_none(), !given.is_empty());
        let time = header("svix-timestamp").parse().unwrap();
        assert_eq!(header("svix-signature"), secret.sign(header("svix-id"), time, body.as_bytes()));
        assert!(body.contains(r#""type":"user.updated""#) && body.contains(r#""banned":true"#), "{body}");
    }
}
