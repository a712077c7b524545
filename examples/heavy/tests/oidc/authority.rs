//! A provider behind TLS with a certificate authority of its own, as the API server of Kubernetes is, where OpenSSL is
//! installed (rule X1).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use bytes::Bytes;
use http::Request;
use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::testing::{self, FakeClerk, FakeIssuer, FakeUser};
use tower_clerk::{Access, ClerkSession, Rejection, RejectionKind};

const SERVICE_ACCOUNT: &str = "system:serviceaccount:prod:deployer";
const AUDIENCE: &str = "https://api.acme.example";
const DISCOVERY: &str = ".well-known/openid-configuration";

/// OpenSSL's server for files, which ends when this is dropped.
struct TlsServer {
    process: Child,
    /// Kept, since a process whose output is closed ends with its next line.
    _said: BufReader<ChildStdout>,
    port: u16,
}

impl TlsServer {
    fn start(folder: &Path) -> Self {
        let server =
            ["s_server", "-accept", "127.0.0.1:0", "-cert", "leaf.pem", "-key", "leaf-key.pem", "-WWW"];
        let process = Command::new("openssl")
            .args(server)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = process.unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "OpenSSL listens");
            if let Some((_, port)) = line.trim().strip_prefix("ACCEPT ").and_then(|it| it.rsplit_once(':')) {
                break port.parse().unwrap();
            }
        };
        Self { process, _said: said, port }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Makes a certificate. `None` if OpenSSL isn't installed.
fn certificate(folder: &Path, file: &str, name: &str, more: &[&str]) -> Option<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .args([
            format!("/CN={name}"),
            "-keyout".into(),
            format!("{file}-key.pem"),
            "-out".into(),
            format!("{file}.pem"),
        ])
        .args(more)
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    if made.is_err() {
        assert!(std::env::var_os("REQUIRE_PROXIES").is_none(), "openssl must be installed");
        println!("skipped: openssl isn't installed");
    }
    assert!(made.ok()?.success(), "openssl makes no certificate");
    Some(())
}

/// A folder with the certificates of two authorities, and one for `localhost` by the first of them.
fn certificates() -> Option<PathBuf> {
    let folder = std::env::temp_dir().join(format!("tower-clerk-authority-{}", std::process::id()));
    fs::create_dir_all(folder.join(".well-known")).unwrap();
    let is_authority = ["-addext", "basicConstraints=critical,CA:TRUE"];
    certificate(&folder, "own", "own", &is_authority)?;
    certificate(&folder, "another", "another", &is_authority)?;
    let by_own = ["-CA", "own.pem", "-CAkey", "own-key.pem", "-addext", "subjectAltName=DNS:localhost"];
    certificate(
        &folder,
        "leaf",
        "localhost",
        &[&by_own[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat(),
    )?;
    Some(folder)
}

/// Exchanges an assertion at a new engine, which holds no keys yet.
async fn exchange(
    issuer: &FakeIssuer,
    change: impl FnOnce(Provider) -> Provider,
) -> Result<ClerkSession, Rejection> {
    let fake = FakeClerk::builder().empty().build();
    fake.add_user(FakeUser::new("deployer").id("user_bot"));
    let provider =
        Provider::kubernetes(issuer.issuer(), AUDIENCE).rule(WorkloadRule::new(SERVICE_ACCOUNT, "user_bot"));
    let clerk = testing::unlimited_builder(&fake)
        .secret_key(fake.secret_key())
        .backend_url(fake.backend_url())
        .provider(change(provider))
        .build()
        .unwrap();
    let assertion = Assertion::new(issuer.assertion(SERVICE_ACCOUNT, AUDIENCE).sign());
    clerk.exchange(&assertion, &Access::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_the_keys_of_a_provider_with_an_authority_of_its_own_come_by_that_authority_alone() {
    let Some(folder) = certificates() else { return };
    let server = TlsServer::start(&folder);
    let issuer = FakeIssuer::new(format!("https://localhost:{}", server.port));
    for file in [DISCOVERY, "jwks"] {
        let request = Request::get(format!("{}/{file}", issuer.issuer())).body(Bytes::new()).unwrap();
        let document = issuer.handle(request).await.unwrap();
        fs::write(folder.join(file), document.body()).unwrap();
    }
    let pem = |file: &str| fs::read(folder.join(file)).unwrap();

    let session = exchange(&issuer, |provider| provider.ca_certificate(pem("own.pem"))).await;
    assert_eq!(session.unwrap_or_else(|rejection| panic!("{rejection:?}")).user_id(), "user_bot");

    let by_address = format!("https://127.0.0.1:{}/jwks", server.port);
    let refused: [Result<_, _>; 3] = [
        exchange(&issuer, |provider| provider).await,
        exchange(&issuer, |provider| provider.ca_certificate(pem("another.pem"))).await,
        // The certificate is for another name.
        exchange(&issuer, |provider| provider.ca_certificate(pem("own.pem")).key_set_url(by_address)).await,
    ];
    for (at, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused.unwrap_err().kind(), RejectionKind::UpstreamUnavailable, "{at}");
    }
    fs::remove_dir_all(folder).unwrap();
}
