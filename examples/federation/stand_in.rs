//! Stand-ins for Clerk, for GitHub's token service and for a partner's identity provider.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};
use tower_clerk::federation::{Provider, WorkloadRule};
use tower_clerk::testing::{self, FakeClerk, FakeExternalAccount, FakeIssuer, FakeUser};
use tower_clerk::{Clerk, ConfigError};

use crate::{GITHUB, partner};

/// The `audience` that the job's workflow names, which no other service accepts.
const AUDIENCE: &str = "https://api.acme.example";
const JOB: &str = "repo:acme/app:ref:refs/heads/main";
/// The organization `acme` at GitHub. Its name may be somebody else's one day, its number not.
const OWNER_ID: &str = "583231";

pub(crate) struct StandIn {
    clerk: FakeClerk,
    github: FakeIssuer,
    partner: FakeIssuer,
    /// The user that the job acts as.
    bot: String,
    address: SocketAddr,
}

impl StandIn {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let clerk = FakeClerk::new();
        let bot = clerk.add_user(FakeUser::new("build-bot"));
        let ada = FakeExternalAccount::new("oauth_custom_partner", "ada-7");
        clerk.add_user(FakeUser::new("ada@partner.example").external_account(ada));
        let issuer = |url| FakeIssuer::new(url).clock(clerk.clock());
        let (github, partner) = (issuer(GITHUB), issuer(partner::ISSUER));
        Self { clerk, github, partner, bot, address }
    }

    pub(crate) fn engine(&self) -> Result<Clerk, ConfigError> {
        let main_branch = WorkloadRule::new(JOB, &self.bot).owner_id(OWNER_ID);
        let github = Provider::github_actions(AUDIENCE).rule(main_branch).transport(self.github.clone());
        let partner = Provider::oidc(partner::ISSUER)
            .audience(partner::CLIENT_ID)
            .link_oauth("oauth_custom_partner")
            .trust_amr(["mfa"])
            .transport(self.partner.clone());
        testing::unlimited_builder(&self.clerk)
            .secret_key(self.clerk.secret_key())
            .backend_url(self.clerk.backend_url())
            .provider(github)
            .provider(partner)
            .build()
    }

    pub(crate) fn print_try_lines(&self) {
        let url = format!("http://{}", self.address);
        let member = |name: &str| format!(r#"sed 's/.*"{name}":"\([^"]*\)".*/\1/'"#);
        let types = "urn:ietf:params:oauth";
        println!(
            "no CLERK_PUBLISHABLE_KEY is set: stand-ins for Clerk and two providers run inside this process"
        );
        for line in [
            format!("JOB=$(curl -s '{url}/stand-in/github?audience={AUDIENCE}' | {})", member("value")),
            format!(r#"curl -H "Authorization: Bearer $JOB" {url}/me"#),
            format!(
                r#"TOKEN=$(curl -s {url}/auth/token -d grant_type={types}:grant-type:token-exchange -d subject_token_type={types}:token-type:jwt -d subject_token=$JOB | {})"#,
                member("access_token")
            ),
            format!(r#"curl -H "Authorization: Bearer $TOKEN" {url}/me"#),
            format!("curl -sL -b '' {url}/login"),
        ] {
            println!("try: {line}");
        }
    }

    /// The addresses of the two providers that a job and a browser use.
    pub(crate) fn routes(&self) -> Router {
        let github = self.github.clone();
        let token = async move |Query(query): Query<HashMap<String, String>>| {
            let audience = query.get("audience").map_or("https://github.com/acme", String::as_str);
            let token = github
                .assertion(JOB, audience)
                .claim("repository", "acme/app")
                .claim("repository_owner", "acme")
                .claim("repository_owner_id", OWNER_ID)
                .claim("ref", "refs/heads/main")
                .claim("event_name", "push")
                .sign();
            Json(json!({ "value": token }))
        };
        let pages = Pages { issuer: self.partner.clone(), codes: Arc::default() };
        Router::new().route("/github", get(token)).merge(
            Router::new()
                .route("/partner/authorize", get(authorize))
                .route("/partner/token", post(redeem))
                .with_state(pages),
        )
    }
}

/// The partner's identity provider, at which Ada is signed in already.
#[derive(Clone)]
struct Pages {
    issuer: FakeIssuer,
    /// The nonces of the requests, by code.
    codes: Arc<Mutex<HashMap<String, String>>>,
}

async fn authorize(State(pages): State<Pages>, Query(query): Query<HashMap<String, String>>) -> Redirect {
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let code = partner::random();
    pages.codes.lock().expect("no holder of the lock panics").insert(code.clone(), of("nonce"));
    Redirect::to(&format!("{}?code={code}&state={}", of("redirect_uri"), of("state")))
}

async fn redeem(State(pages): State<Pages>, Form(form): Form<HashMap<String, String>>) -> Json<Value> {
    let code = form.get("code").cloned().unwrap_or_default();
    let nonce = pages.codes.lock().expect("no holder of the lock panics").remove(&code);
    let Some(nonce) = nonce else { return Json(json!({ "error": "invalid_grant" })) };
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let token = pages
        .issuer
        .assertion("ada-7", partner::CLIENT_ID)
        .claim("nonce", nonce)
        .claim("amr", json!(["pwd", "mfa"]))
        .claim("auth_time", now)
        .life(Duration::from_secs(10 * 60))
        .sign();
    Json(json!({ "id_token": token, "token_type": "Bearer", "access_token": partner::random() }))
}
