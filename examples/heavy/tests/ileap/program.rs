//! The program itself: its settings, and its addresses.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// The example's command, with no settings but these.
fn command(settings: &[(&str, &str)]) -> Command {
    let test = std::env::current_exe().unwrap();
    // Cargo builds examples before tests, into a folder beside theirs, but names no path to them.
    let program: PathBuf = test.ancestors().nth(2).unwrap().join("examples/ileap");
    assert!(
        program.exists(),
        "{program:?} isn't built; run `cargo build -p tower-clerk-heavy-examples --examples`"
    );
    let mut command = Command::new(program);
    command.env_clear().env("LISTEN_ADDR", "127.0.0.1:0").env("SIGN_IN_RATE", "off");
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

#[test]
fn i6_an_unusable_setting_ends_the_program_with_one_line_that_names_it() {
    for (names, value) in [
        ("PUBLIC_URL", "api.example.com"),
        ("PUBLIC_URL", "https://api.example.com/?a=b"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TOKEN_AUDIENCE", "https://api.example.com"),
        ("CLERK_ORGANIZATION", "Not A Slug"),
        ("AUTHORIZED_PARTIES", "https://app.example.com"),
        ("LISTEN_ADDR", "localhost"),
        ("SIGN_IN_RATE", "fast"),
    ] {
        unusable(&[(names, value)], names);
    }
    unusable(&[("CLERK_JWT_TEMPLATE", "partner")], "TOKEN_AUDIENCE");
    // Links can't begin with an address that nothing can be sent to.
    let publishable_key = ("CLERK_PUBLISHABLE_KEY", "pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk");
    for every in ["0.0.0.0:0", "[::]:0"] {
        unusable(&[publishable_key, ("LISTEN_ADDR", every)], "PUBLIC_URL");
    }
}

fn unusable(settings: &[(&str, &str)], named: &str) {
    let output = command(settings).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{settings:?}: {error}");
    assert!(error.starts_with(&format!("{named}: ")) && error.lines().count() == 1, "{settings:?}: {error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn i2_links_begin_with_the_public_url() {
    let settings = [("PUBLIC_URL", "https://api.example.com/pact/")];
    let mut child = command(&settings).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let _process = Process(child);
    let mut lines = String::new();
    let address = loop {
        let mut line = String::new();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "the program ended before it listened: {lines}");
        if let Some(address) = line.trim().strip_prefix("listening on ") {
            break address.to_owned();
        }
        lines += &line;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let document = runtime.block_on(async {
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
        let uri = format!("{address}/.well-known/openid-configuration").parse().unwrap();
        let response = client.build_http::<http_body_util::Empty<bytes::Bytes>>().get(uri).await.unwrap();
        http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes()
    });
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["token_endpoint"], "https://api.example.com/pact/auth/token");
    assert_eq!(document["jwks_uri"], "https://api.example.com/pact/jwks");
    // The whole flow is printed, for the address that it listens on.
    for path in ["/auth/token", "/2/footprints", "/2/ileap/tad", "/2/events", "/jwks"] {
        assert!(lines.contains(&format!("{address}{path}")), "{path}: {lines}");
    }
}
