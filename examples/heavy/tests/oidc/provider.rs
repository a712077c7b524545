//! A process of Node with the provider, and a browser that signs in at it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower_clerk::testing;

const REDIRECT: &str = "https://app.example/callback";

/// The provider, which ends when this is dropped.
pub(crate) struct OidcProvider {
    process: Child,
    /// Kept, since a process whose output is closed ends with its next line.
    _said: BufReader<ChildStdout>,
    issuer: String,
}

/// An ID token, and the nonce of the request for it.
pub(crate) struct NonceAndToken {
    pub(crate) nonce: String,
    pub(crate) token: String,
}

impl OidcProvider {
    /// Starts a provider of its own for a test, unless it isn't installed.
    pub(crate) fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        if !folder.join("node_modules/oidc-provider").exists() {
            return left_out();
        }
        let process = Command::new("node")
            .arg("provider.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut process) = process else { return left_out() };
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let lines = said.by_ref().lines().map_while(Result::ok);
        let address = lines.into_iter().find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        Some(Self { process, _said: said, issuer: address.expect("the provider listens") })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs with new keys from now on. The old ones stay in the key set.
    pub(crate) async fn rotate_keys(&self) {
        self.post("/test/rotate", None, String::new()).await;
    }

    /// Removes the old keys from the key set.
    pub(crate) async fn retire_keys(&self) {
        self.post("/test/retire", None, String::new()).await;
    }

    /// Signs a person in at an application of the provider's, by the code flow, with a fresh nonce.
    pub(crate) async fn sign_in(&self, client: &str, person: &str, acr: &str) -> NonceAndToken {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let nonce = format!("nonce-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let mut url = format!(
            "{}/auth?response_type=code&scope=openid&client_id={client}&redirect_uri={REDIRECT}&nonce={nonce}\
             &login_hint={person}&acr_values={acr}",
            self.issuer
        );
        let mut cookies = BTreeMap::new();
        let code = loop {
            if let Some(query) = url.strip_prefix(REDIRECT) {
                let query = url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
                break query.into_owned().find(|(name, _)| name == "code").expect("a code").1;
            }
            url = self.follow(&url, &mut cookies).await;
        };
        let form = format!("grant_type=authorization_code&code={code}&redirect_uri={REDIRECT}");
        let answer = self.post("/token", Some(client), form).await;
        NonceAndToken {
            nonce,
            token: answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned(),
        }
    }

    /// Follows one redirect, with the cookies of the provider.
    async fn follow(&self, url: &str, cookies: &mut BTreeMap<String, String>) -> String {
        let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::get(url).header(COOKIE, sent.join("; ")).body(Full::default()).unwrap();
        let response = send(request).await;
        for field in response.headers().get_all(SET_COOKIE) {
            let cookie = field.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            if value.is_empty() {
                cookies.remove(name)
            } else {
                cookies.insert(name.to_owned(), value.to_owned())
            };
        }
        let to = response.headers().get(LOCATION);
        let to = to.unwrap_or_else(|| panic!("no redirect from {url}: {response:?}")).to_str().unwrap();
        if to.starts_with('/') { format!("{}{to}", self.issuer) } else { to.to_owned() }
    }

    async fn post(&self, path: &str, client: Option<&str>, form: String) -> Value {
        let mut request = Request::post(format!("{}{path}", self.issuer))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(client) = client {
            request = request.header(AUTHORIZATION, testing::basic(client, "secret+of+a+test"));
        }
        let response = send(request.body(Full::from(form)).unwrap()).await;
        assert!(response.status().is_success(), "{path}: {response:?}");
        serde_json::from_slice(response.body()).unwrap_or_default()
    }
}

/// Says that the provider isn't installed. Where everything has to be, that is an error.
fn left_out<T>() -> Option<T> {
    assert!(std::env::var_os("REQUIRE_NODE").is_none(), "node and `npm ci` in tests/oidc are needed");
    // Past the capture of tests that pass.
    let mut stderr = std::io::stderr();
    _ = writeln!(stderr, "LEFT OUT, not installed: node, or `npm ci` in examples/heavy/tests/oidc");
    None
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn send(request: Request<Full<Bytes>>) -> Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}
