//! The grant of RFC 8693 (rule E7).

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use serde_json::json;
use tower_clerk::federation::{Provider, WorkloadRule};
use tower_clerk::testing::{AssertionFlaw, FakeExternalAccount, FakeIssuer, FakeUser};
use tower_clerk::token_endpoint::{TokenEndpoint, TokenErrorCode};
use tower_clerk::{Access, BearerTokens, RejectionKind};

use super::{Answer, FORM, form, send, token};
use crate::common::{JANE, World, ask, logged, with_authorization};

const CI: &str = "https://ci.example";
const LOGIN: &str = "https://login.example";
const AUDIENCE: &str = "https://api.acme.example";
const JOB: &str = "repo:acme/app:ref:refs/heads/main";
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const TYPES: &str = "urn:ietf:params:oauth:token-type:";

/// An instance with two providers: one of jobs, which act as `build-bot`, and one of people, who are linked.
struct Exchange {
    world: World,
    ci: FakeIssuer,
    login: FakeIssuer,
}

impl Exchange {
    fn new() -> Self {
        let issuers = [CI, LOGIN].map(FakeIssuer::new);
        let [ci, login] = issuers.clone();
        let world = World::backend_with(
            |fake| fake.no_rate_limit(),
            move |engine| {
                let job = WorkloadRule::new(JOB, "user_bot");
                let jobs = Provider::oidc(CI).audience(AUDIENCE).rule(job).transport(ci);
                let people = Provider::oidc(LOGIN).audience("portal").link_oauth("oauth_custom_acme");
                engine.provider(jobs).provider(people.transport(login))
            },
        );
        world.fake.add_user(FakeUser::new("build-bot").id("user_bot"));
        world.fake.add_member("user_bot", "acme", "org:member");
        let ada = FakeExternalAccount::new("oauth_custom_acme", "ada-7");
        world.fake.add_user(FakeUser::new("ada@example.com").id("user_ada").external_account(ada));
        let [ci, login] = issuers.map(|issuer| issuer.clock(world.fake.clock()));
        Self { world, ci, login }
    }

    fn endpoint(&self) -> TokenEndpoint {
        self.world.endpoint().accept_token_exchange().unwrap()
    }

    fn job(&self) -> String {
        self.ci.assertion(JOB, AUDIENCE).sign()
    }
}

fn exchange_of(assertion: &str) -> String {
    format!("{GRANT}&subject_token_type={TYPES}jwt&subject_token={assertion}")
}

async fn exchange(endpoint: &TokenEndpoint, assertion: &str) -> Answer {
    send(endpoint.clone(), form(None, exchange_of(assertion))).await
}

#[tokio::test(start_paused = true)]
async fn e7_an_assertion_becomes_clerks_token_in_the_answer_of_rfc_8693() {
    let setup = Exchange::new();
    let endpoint = setup.endpoint();
    let answer = exchange(&endpoint, &setup.job()).await;
    assert_eq!(answer.claims()["sub"], "user_bot");
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["issued_token_type"], format!("{TYPES}access_token"));
    assert!((29..=60).contains(&answer.expires_in()), "{answer:?}");
    assert_eq!((answer.field("cache-control"), answer.field("pragma")), ("no-store", "no-cache"));
    assert_eq!(answer.json.as_object().unwrap().len(), 4);

    let layer = setup.world.layer().accept_bearer(BearerTokens::new()).unwrap();
    let response = ask(&layer, with_authorization(&format!("Bearer {}", answer.token()))).await;
    assert_eq!(response.into_body(), "user_bot");

    for (requested, issued) in [("access_token", "access_token"), ("jwt", "jwt")] {
        let body = format!("{}&requested_token_type={TYPES}{requested}", exchange_of(&setup.job()));
        let answer = send(endpoint.clone(), form(None, body)).await;
        assert_eq!(answer.json["issued_token_type"], format!("{TYPES}{issued}"));
    }
    // Client credentials have the answer that they had.
    assert!(token(&endpoint, JANE).await.json.get("issued_token_type").is_none());
}

#[tokio::test(start_paused = true)]
async fn e7_a_malformed_exchange_is_refused_before_the_assertion_is_looked_at() {
    let setup = Exchange::new();
    let endpoint = setup.endpoint();
    let assertion = setup.job();
    let right = exchange_of(&assertion);
    let basic = crate::common::authorization(JANE);
    let cases = [
        (None, GRANT.to_owned(), "invalid_request"),
        (None, format!("{GRANT}&subject_token={assertion}"), "invalid_request"),
        (None, format!("{GRANT}&subject_token_type={TYPES}jwt"), "invalid_request"),
        (None, format!("{GRANT}&subject_token_type={TYPES}jwt&subject_token=%ff"), "invalid_request"),
        (
            None,
            format!("{GRANT}&subject_token_type={TYPES}access_token&subject_token={assertion}"),
            "invalid_request",
        ),
        (
            None,
            format!("{GRANT}&subject_token_type={TYPES}saml2&subject_token={assertion}"),
            "invalid_request",
        ),
        (None, format!("{right}&subject_token={assertion}"), "invalid_request"),
        (None, format!("{right}&requested_token_type={TYPES}refresh_token"), "invalid_request"),
        (None, format!("{right}&actor_token={assertion}&actor_token_type={TYPES}jwt"), "invalid_request"),
        (None, format!("{right}&actor_token_type={TYPES}jwt"), "invalid_request"),
        (None, format!("{right}&resource=https%3A%2F%2Fother.example"), "invalid_target"),
        (None, format!("{right}&client_id=jane&client_secret=secret"), "invalid_request"),
        (Some(basic.as_str()), right.clone(), "invalid_request"),
        (None, format!("{right}&scope=acme"), "invalid_scope"),
    ];
    for (field, body, code) in cases {
        let answer = send(endpoint.clone(), form(field, body.clone())).await;
        assert_eq!(answer.failure(), (400, code), "{body}");
        assert!(answer.rejection.is_none(), "{body}");
    }
    let get = Request::get("/token")
        .header(CONTENT_TYPE, FORM)
        .body(Full::new(Bytes::from(right.clone())))
        .unwrap();
    assert_eq!(send(endpoint.clone(), get).await.status, 405);
    assert!(setup.world.fake.requests().is_empty(), "nobody was asked");
    // A client may say who it is, and may send what other services need.
    let answer = send(endpoint, form(None, format!("{right}&client_id=any&audience=any&actor_token="))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn e7_an_assertion_that_is_not_accepted_is_400_invalid_request() {
    let setup = Exchange::new();
    let endpoint = setup.endpoint();
    let ci = |sub: &str, aud: &str| setup.ci.assertion(sub, aud);
    for (what, assertion) in [
        ("no JWT", "e30.e30".to_owned()),
        ("a password", "correct+horse".to_owned()),
        ("of another issuer", FakeIssuer::new("https://elsewhere.example").assertion(JOB, AUDIENCE).sign()),
        ("without a signature", ci(JOB, AUDIENCE).flaw(AssertionFlaw::AlgNone).sign()),
        ("of a foreign key", ci(JOB, AUDIENCE).flaw(AssertionFlaw::ForeignKey).sign()),
        ("for another audience", ci(JOB, "https://other.example").sign()),
        ("expired", ci(JOB, AUDIENCE).skew(-3600).sign()),
        ("of an unmapped job", ci("repo:acme/app:ref:refs/heads/other", AUDIENCE).sign()),
    ] {
        let answer = exchange(&endpoint, &assertion).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{what}");
        assert_eq!(answer.error.as_ref().map(|error| error.code()), Some(TokenErrorCode::InvalidRequest));
        let kind = answer.rejection.as_ref().map(tower_clerk::Rejection::kind);
        assert_eq!(kind, Some(RejectionKind::CredentialsRejected), "{what}");
        assert_eq!(
            (answer.field("www-authenticate"), answer.field("cache-control")),
            ("", "no-store"),
            "{what}"
        );
    }
    assert_eq!(setup.world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn e7_a_nonce_comes_from_the_application_and_never_from_the_form() {
    #[derive(Clone)]
    struct Nonce(&'static str);
    let setup = Exchange::new();
    let endpoint = setup.endpoint().nonce_from(|parts| Some(parts.extensions.get::<Nonce>()?.0.to_owned()));
    let ask = async |endpoint: &TokenEndpoint, nonce: Option<&'static str>, parameters: &str| {
        let ada = setup.login.assertion("ada-7", "portal").claim("nonce", "n-1").sign();
        let mut request = form(None, exchange_of(&ada) + parameters);
        if let Some(nonce) = nonce {
            request.extensions_mut().insert(Nonce(nonce));
        }
        send(endpoint.clone(), request).await
    };
    let answer = ask(&endpoint, Some("n-1"), "").await;
    assert_eq!(answer.claims()["sub"], "user_ada");
    for (endpoint, nonce, parameters) in [
        (&endpoint, Some("n-2"), ""),
        (&endpoint, Some(""), ""),
        (&endpoint, None, ""),
        (&endpoint, None, "&nonce=n-1"),
        (&setup.endpoint(), Some("n-1"), ""),
    ] {
        let answer = ask(endpoint, nonce, parameters).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{nonce:?} {parameters}");
    }
}

#[tokio::test(start_paused = true)]
async fn e7_an_assertion_of_a_person_serves_once() {
    let setup = Exchange::new();
    let endpoint = setup.endpoint().nonce_from(|_| Some("n-1".to_owned()));
    let ada = setup.login.assertion("ada-7", "portal").claim("nonce", "n-1").sign();
    assert_eq!(exchange(&endpoint, &ada).await.status, 200);
    assert_eq!(exchange(&endpoint, &ada).await.failure(), (400, "invalid_request"));
    // That of a job is a credential until it expires.
    let job = setup.job();
    for _ in 0..3 {
        assert_eq!(exchange(&endpoint, &job).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn e7_a_second_factor_that_nobody_attests_is_invalid_request_as_a_policy_is() {
    let setup = Exchange::new();
    setup.world.fake.require_second_factor("user_ada", true);
    let endpoint = setup.endpoint().nonce_from(|_| Some("n-1".to_owned()));
    let ada = setup.login.assertion("ada-7", "portal").claim("nonce", "n-1").sign();
    let answer = exchange(&endpoint, &ada).await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
    let kind = answer.rejection.as_ref().map(tower_clerk::Rejection::kind);
    assert_eq!(kind, Some(RejectionKind::SecondFactorRequired));
}

#[tokio::test(start_paused = true)]
async fn e7_the_organization_is_that_of_the_endpoint_or_of_the_scope() {
    let setup = Exchange::new();
    let of = |name: &str| setup.endpoint().organization(name).unwrap();
    let answer = exchange(&of("acme"), &setup.job()).await;
    assert_eq!(answer.claims()["o"]["slg"], "acme");
    assert_eq!(exchange(&of("globex"), &setup.job()).await.failure(), (400, "unauthorized_client"));
    let chosen = setup.endpoint().access_from(|request| match (request.scope(), request.audience()) {
        (None, None) => Some(Access::new()),
        (Some("acme"), _) | (None, Some("https://acme.example")) => Some(Access::new().organization("acme")),
        (Some("globex"), _) => Some(Access::new().organization("globex")),
        _ => None,
    });
    let ask = async |parameters: &str| {
        send(chosen.clone(), form(None, exchange_of(&setup.job()) + parameters)).await
    };
    assert!(ask("").await.claims().get("o").is_none());
    assert_eq!(ask("&scope=acme").await.claims()["o"]["slg"], "acme");
    assert_eq!(ask("&audience=https%3A%2F%2Facme.example").await.claims()["o"]["slg"], "acme");
    for scope in ["globex", "unknown"] {
        assert_eq!(ask(&format!("&scope={scope}")).await.failure(), (400, "invalid_scope"), "{scope}");
    }
    // The assertion is verified first, so that the list of scopes is nobody's business without one.
    let body = exchange_of("e30.e30.e30") + "&scope=unknown";
    assert_eq!(send(chosen.clone(), form(None, body)).await.failure(), (400, "invalid_request"));
}

#[tokio::test(start_paused = true)]
async fn e7_the_grant_is_an_opt_in_and_may_be_the_only_one() {
    let setup = Exchange::new();
    let plain = setup.world.endpoint();
    assert_eq!(exchange(&plain, &setup.job()).await.failure(), (400, "unsupported_grant_type"));
    let only = plain.token_exchange_only().unwrap();
    assert_eq!(token(&only, JANE).await.failure(), (400, "unsupported_grant_type"));
    assert_eq!(exchange(&only, &setup.job()).await.status, 200);
    let without = World::backend().endpoint().accept_token_exchange();
    assert!(without.unwrap_err().to_string().contains("provider"));
}

#[tokio::test(start_paused = true)]
async fn e7_the_discovery_document_names_the_grants_of_the_endpoint() {
    let setup = Exchange::new();
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let endpoint = setup.world.endpoint();
    for (endpoint, grants) in [
        (endpoint.clone(), json!(["client_credentials"])),
        (setup.endpoint(), json!(["client_credentials", exchange])),
        (endpoint.token_exchange_only().unwrap(), json!([exchange])),
    ] {
        let document = endpoint.discovery("https://a.example/token", "https://a.example/jwks").unwrap();
        let answer = send(document, Request::get("/").body(()).unwrap()).await;
        assert_eq!(answer.json["grant_types_supported"], grants);
    }
}

#[tokio::test(start_paused = true)]
async fn e7_no_log_and_no_answer_shows_an_assertion() {
    let setup = Exchange::new();
    let endpoint = setup.endpoint();
    let right = setup.job();
    let wrong = setup.ci.assertion(JOB, AUDIENCE).flaw(AssertionFlaw::BadSignature).sign();
    let text = logged(async {
        for assertion in [&right, &wrong] {
            let answer = exchange(&endpoint, assertion).await;
            let shown = format!("{answer:?} {:?} {endpoint:?}", answer.error);
            assert!(assertion.split('.').all(|part| !shown.contains(part)), "{shown}");
        }
    })
    .await;
    assert!(text.contains("credentials_rejected"), "{text}");
    for part in [&right, &wrong].into_iter().flat_map(|assertion| assertion.split('.').skip(1)) {
        assert!(!text.contains(part), "{text}");
    }
}
