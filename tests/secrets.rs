//! No log line, error or `Debug` output contains a password, a token or a key (rule C6).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other binary uses all of it")]
#[path = "it/common.rs"]
mod common;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use common::{
    BOB, CAROL, JANE, Log, Pair, ask, authorization, basic, code, run_ready_tasks, warm_up,
    with_authorization,
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::guard::SecondFactor;
use tower_clerk::layer::IdentityHeaders;
use tower_clerk::testing::{
    AssertionFlaw, Clock, Endpoint, FakeApiKey, FakeClerk, FakeIssuer, FakeOrganization, FakeUser, Fault,
    RetryAfter, TokenFlaw,
};
use tower_clerk::token_endpoint::{TokenEndpoint, TokenError};
use tower_clerk::transport::{Transport, TransportError, TransportFuture};
use tower_clerk::{
    Access, ApiKeys, AuthorizationHeader, BearerTokens, Clerk, ClerkApiKey, ClerkBasicAuthLayer,
    ClerkPrincipal, ClerkSession, Credentials, OrganizationSelector, Requirement,
};

/// Everything that this process logs, at every level.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    // This includes spans, and the records of dependencies that use the `log` crate.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    log
});

const SLUGS: [&str; 5] = ["reset", "truncated", "redirect", "oversized", "hang"];

const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

/// The secrets that no output may contain.
#[derive(Clone, Default)]
struct Secrets {
    exact: Arc<Mutex<Vec<String>>>,
    /// Beginnings of the payloads and signatures of all JWTs. There are thousands, so they are hashed.
    tokens: Arc<Mutex<HashSet<String>>>,
}

/// The length of such a beginning, which is enough to identify a token.
const BEGINNING: usize = 20;

impl Secrets {
    fn add(&self, secret: impl Into<String>) {
        self.exact.lock().unwrap().push(secret.into());
    }

    /// Adds a credential in all the encodings in which it is sent.
    fn add_pair(&self, (identifier, password): (&str, &str)) {
        self.add(password);
        self.add(format!("{:?}", password.as_bytes()).trim_matches(['[', ']']));
        let pair = format!("{identifier}:{password}");
        self.add(BASE64_STANDARD_NO_PAD.encode(&pair));
        self.add(form_urlencoded::byte_serialize(password.as_bytes()).collect::<String>());
        self.add(password.replace(' ', "%20"));
    }

    /// Adds all JWTs in a text, without their headers, which are all the same and not secret.
    fn add_jwts(&self, text: &str) {
        for word in text.split(|c| !is_token(c) && c != '.').filter(|word| word.starts_with("eyJ")) {
            let parts = word.split('.').skip(1).filter_map(|part| part.get(..BEGINNING));
            self.tokens.lock().unwrap().extend(parts.map(str::to_owned));
        }
    }

    #[track_caller]
    fn check(&self, text: &str, whose: &str) {
        let line = |at: usize| {
            let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
            text[start..].chars().take(300).collect::<String>()
        };
        for secret in &*self.exact.lock().unwrap() {
            if let Some(at) = text.find(secret.as_str()) {
                panic!("{whose} shows {secret:?}: {}", line(at));
            }
        }
        let tokens = self.tokens.lock().unwrap();
        for word in text.split(|c| !is_token(c)) {
            if word.get(..BEGINNING).is_some_and(|beginning| tokens.contains(beginning)) {
                panic!("{whose} shows a token: {}", line(word.as_ptr() as usize - text.as_ptr() as usize));
            }
        }
    }

    #[track_caller]
    fn check_log(&self) -> String {
        let text = String::from_utf8_lossy(&LOG.0.lock().unwrap()).into_owned();
        self.check(&text, "the log");
        text
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Records the tokens of all responses, and checks the headers of all requests as they are printed.
struct Recording(FakeClerk, Secrets);

impl Transport for Recording {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            // Clerk wants an expired token in the query, so a transport must not print the URI, and it is not checked
            // here.
            self.1.check(&format!("{:?}", request.headers()), "a request to Clerk");
            let response = self.0.send(request).await?;
            for value in response.headers().get_all("authorization") {
                self.1.add_jwts(value.to_str().unwrap());
            }
            self.1.add_jwts(&String::from_utf8_lossy(response.body()));
            Ok(response)
        })
    }
}

fn pairs() -> Vec<Pair> {
    vec![
        JANE,
        BOB,
        ("mfa@example.com", "second factor please"),
        ("newdevice@example.com", "trust me on a device"),
        ("locked@example.com", "locked out for an hour"),
        ("banned@example.com", "banned for good"),
        ("expired@example.com", "please choose a new one"),
        ("sso@example.com", "no such password"),
        (JANE.0, "a wrong pass+word%41"),
        ("nobody@example.com", "grüße aus dem nichts"),
    ]
}

/// Sends requests through layers of every kind, and checks everything that can be printed of the responses.
async fn ask_in_every_way(clerk: &Clerk, secrets: &Secrets, pair: Pair) {
    let plain = || ClerkBasicAuthLayer::new(clerk.clone());
    let layers = [
        plain(),
        plain().organization("acme").unwrap(),
        plain().organization("globex").unwrap().authorization_header(AuthorizationHeader::Keep).unwrap(),
        plain().template("partner").unwrap().authorization_header(AuthorizationHeader::Bearer).unwrap(),
        plain().template("missing").unwrap().optional(),
        plain().min_token_lifetime(Duration::from_secs(3_600)),
        plain().form_encoded_credentials(),
    ];
    for layer in layers {
        let response = ask(&layer, basic(pair)).await;
        see(secrets, &response);
        secrets.check(&format!("{layer:?} {clerk:?}"), "a layer");
        see(secrets, &ask(&layer.problem_json(), basic(pair)).await);
    }
    ask_for_tokens(clerk, secrets, pair).await;
}

/// Asks for a token by Basic, in the form, by both at once, and with a parameter that comes twice.
async fn ask_for_tokens(clerk: &Clerk, secrets: &Secrets, pair: Pair) {
    let endpoint = TokenEndpoint::new(clerk.clone()).credentials_in_form();
    let [id, secret] =
        [pair.0, pair.1].map(|part| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>());
    let grant = "grant_type=client_credentials";
    let in_form = format!("{grant}&client_id={id}&client_secret={secret}");
    for (is_basic, form) in [
        (true, grant.to_owned()),
        (false, in_form.clone()),
        (true, in_form.clone()),
        (false, format!("{in_form}&client_secret={secret}")),
        (true, format!("grant_type={secret}")),
    ] {
        let mut request = Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
        if is_basic {
            request = request.header("authorization", authorization(pair));
        }
        let response =
            endpoint.clone().oneshot(request.body(Full::<Bytes>::from(form)).unwrap()).await.unwrap();
        secrets.check(&format!("{response:?} {endpoint:?}"), "a token response");
        let error = response.extensions().get::<TokenError>().map(|error| format!("{error:?} {error}"));
        secrets.check(&error.unwrap_or_default(), "an error");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        match body.contains("access_token") {
            true => secrets.add_jwts(&body),
            false => secrets.check(&body, "an error's body"),
        }
    }
}

fn see(secrets: &Secrets, response: &Response<String>) {
    if let Some(session) = response.extensions().get::<ClerkSession>() {
        secrets.add_jwts(session.token());
        let all = format!("{session:?} {:?} {:?}", session.claims(), session.organization());
        secrets.check(&all, "a session");
    }
    if let Some(key) = response.extensions().get::<ClerkApiKey>() {
        let all = format!("{key:?} {:?}", ClerkPrincipal::of(response.extensions()));
        secrets.check(&all, "an API key");
    }
    if let Some(seen) = response.extensions().get::<common::Seen>() {
        secrets.check(&format!("{seen:?}"), "the inner request");
    }
    if let Some(rejection) = common::rejection(response) {
        secrets.check(&format!("{rejection:?} {rejection}"), "a rejection");
    }
    secrets.check(&format!("{response:?} {}", response.body()), "a response");
}

fn engine(fake: &FakeClerk, secrets: &Secrets, clock: Clock) -> Clerk {
    let builder = Clerk::builder(fake.fapi_url())
        .transport(Recording(fake.clone(), secrets.clone()))
        .credential_secret(KEY)
        .unlimited_sign_ins()
        .clock(clock);
    secrets.check(&format!("{builder:?}"), "a builder");
    builder.build().unwrap()
}

fn secrets() -> Secrets {
    let secrets = Secrets::default();
    pairs().into_iter().for_each(|pair| secrets.add_pair(pair));
    secrets.add(std::str::from_utf8(&KEY).unwrap());
    secrets.add(format!("{KEY:?}"));
    secrets.add(KEY.map(|byte| format!("{byte:02x}")).concat());
    secrets.add(BASE64_STANDARD_NO_PAD.encode(KEY));
    secrets
}

#[tokio::test(start_paused = true)]
async fn c6_no_log_line_and_no_debug_output_of_any_flow_contains_a_secret() {
    LazyLock::force(&LOG);
    let (clock, secrets) = (Clock::system(), secrets());
    let fake = FakeClerk::builder().clock(clock).no_rate_limit().session_minter(true).build();
    fake.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
    let clerk = engine(&fake, &secrets, clock);
    for pair in pairs() {
        ask_in_every_way(&clerk, &secrets, pair).await;
    }
    // Renewals with the last token in the query, a key rotation, a session that is gone, and a sign-out.
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(60)).await;
        fake.rotate_keys();
        ask_in_every_way(&clerk, &secrets, JANE).await;
        run_ready_tasks().await;
    }
    fake.sessions().iter().for_each(|session| _ = fake.revoke_session(session.id()));
    tokio::time::advance(Duration::from_secs(60)).await;
    ask_in_every_way(&clerk, &secrets, JANE).await;
    clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();

    // Each fault, at each endpoint, hits a cold engine.
    let faults = [
        Fault::Hang,
        Fault::Refused,
        Fault::Status(500),
        Fault::StatusWithCode(422, "a_code_of_tomorrow".to_owned()),
        Fault::RateLimited { retry_after: RetryAfter::Seconds(1) },
        Fault::Html(502),
        Fault::Redirect,
        Fault::Reset,
        Fault::Truncated,
        Fault::Oversized,
        Fault::WrongTypes,
        Fault::Empty,
        Fault::NotJson,
        Fault::MissingSession,
        Fault::EmptyJwt,
        Fault::TokenWith(TokenFlaw::BadSignature),
        Fault::TokenWith(TokenFlaw::AlgNone),
        Fault::TokenWith(TokenFlaw::NoExp),
        Fault::TokenWith(TokenFlaw::WrongOrganization),
    ];
    for fault in faults {
        for endpoint in [Endpoint::SignIns, Endpoint::Tokens, Endpoint::TemplateTokens, Endpoint::Jwks] {
            let clerk = engine(&fake, &secrets, clock);
            fake.script(endpoint, fault.clone());
            ask_in_every_way(&clerk, &secrets, JANE).await;
            fake.clear_script(endpoint);
        }
    }

    let log = secrets.check_log();
    assert!(
        log.contains(fake.sessions()[0].user_id()),
        "the log was captured, with user ids at debug level (rule O1)"
    );
    assert!(secrets.tokens.lock().unwrap().len() > 200, "the tokens were collected");
    secrets.check(&format!("{fake:?} {:?}", fake.requests()), "the stand-in");
}

#[tokio::test]
async fn c6_no_log_of_a_dependency_contains_a_secret_on_a_real_socket() {
    LazyLock::force(&LOG);
    let secrets = secrets();
    let fake = FakeClerk::builder().no_rate_limit().session_minter(true).build();
    let faults = [Fault::Reset, Fault::Truncated, Fault::Redirect, Fault::Oversized, Fault::Hang];
    for slug in SLUGS {
        fake.add_organization(FakeOrganization::new(slug));
        fake.add_member("jane", slug, "org:member");
    }
    warm_up(&fake).await;
    let server = fake.serve("127.0.0.1:0").await.unwrap();
    let clerk = Clerk::builder(server.url())
        .credential_secret(KEY)
        .unlimited_sign_ins()
        .upstream_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let layer = ClerkBasicAuthLayer::new(clerk.clone());
    for pair in pairs() {
        see(&secrets, &ask(&layer, basic(pair)).await);
    }
    // Clerk wants the previous token in the query, so it is in the URL of each call that fails here.
    for (fault, slug) in faults.into_iter().zip(SLUGS) {
        let layer = layer.clone().organization(slug).unwrap();
        fake.script(Endpoint::Tokens, Fault::StatusWithCode(422, "missing_expired_token".to_owned()));
        fake.script(Endpoint::Tokens, fault);
        let response = ask(&layer, basic(JANE)).await;
        assert_eq!(code(&response), "upstream_unavailable");
        see(&secrets, &response);
        assert!(fake.requests().last().unwrap().query("expired_token").is_some());
        see(&secrets, &ask(&layer, basic(JANE)).await);
    }
    for request in fake.requests() {
        for text in [request.header("authorization"), request.query("expired_token")].into_iter().flatten() {
            secrets.add_jwts(text);
        }
    }
    server.shutdown().await;
    assert_eq!(code(&ask(&layer, basic(CAROL)).await), "upstream_unavailable");
    let log = secrets.check_log();
    assert!(log.contains("127.0.0.1"), "the log of the HTTP client is captured too");
}

#[test]
fn c6_errors_do_not_quote_misplaced_secrets() {
    let secrets = Secrets::default();
    let key = "sk_live_abcdefghijklmnopqrstuvwxyz0123456789ABCD";
    secrets.add(key);
    secrets.add(&key[8..]);
    let error = Clerk::builder(key).build().unwrap_err();
    secrets.check(&format!("{error:?} {error} {:?}", Clerk::builder(key)), "a configuration error");
    let url = "https://clerk.example.com:4443/v1?password=swordfish-and-chips";
    secrets.add("swordfish-and-chips");
    if let Err(error) = Clerk::builder(url).build() {
        secrets.check(&format!("{error:?} {error}"), "a configuration error");
    }

    for (identifier, password) in
        [("jane", "bell\u{7}in the password"), ("ja:ne", "colon in the name"), ("", "nobody's")]
    {
        secrets.add_pair((identifier, password));
        secrets.add(password.split('\u{7}').next_back().unwrap());
        let error = Credentials::new(identifier, password).unwrap_err();
        secrets.check(&format!("{error:?} {error}"), "an error");
    }
    let credentials = Credentials::new(JANE.0, JANE.1).unwrap();
    secrets.add_pair(JANE);
    secrets.check(&format!("{credentials:?} {:?}", Some(&credentials)), "credentials");
    secrets.check(&format!("{:?}", Access::new().organization("acme")), "an access");
    let error = TransportError::connect("refused");
    secrets.check(&format!("{error:?} {error}"), "a transport error");
}

#[tokio::test(start_paused = true)]
async fn c6_malformed_credentials_are_never_shown() {
    LazyLock::force(&LOG);
    let (clock, secrets) = (Clock::system(), Secrets::default());
    let fake = FakeClerk::builder().clock(clock).build();
    let layer = ClerkBasicAuthLayer::new(engine(&fake, &secrets, clock)).problem_json();
    let broken = [
        "Basic amFuZTpub3QgcXVpdGUgYmFzZTY0!".to_owned(),
        authorization(("jane", "bell\u{7}in the password again")),
        format!("Basic {}", BASE64_STANDARD.encode("jane has no colon but a secret")),
        "Bearer some-opaque-bearer-token-of-somebody".to_owned(),
    ];
    secrets.add("jane has no colon but a secret");
    secrets.add("in the password again");
    for field in &broken {
        secrets.add(field.split_once(' ').unwrap().1);
        see(&secrets, &ask(&layer, with_authorization(field)).await);
    }
    secrets.check_log();
}

#[tokio::test(start_paused = true)]
async fn c6_bearer_tokens_are_never_shown() {
    LazyLock::force(&LOG);
    let (clock, secrets) = (Clock::system(), Secrets::default());
    let fake = FakeClerk::builder().clock(clock).build();
    let clerk = engine(&fake, &secrets, clock);
    let of = || {
        let tokens = BearerTokens::new().authorized_parties(["https://app.example.com"]);
        ClerkBasicAuthLayer::new(clerk.clone()).accept_bearer(tokens).unwrap()
    };
    let layers = [
        of(),
        of().organization("acme").unwrap(),
        of().authorization_header(AuthorizationHeader::Keep).unwrap(),
    ];
    let session = fake.open_session(JANE.0);
    let token = || fake.token(&session).origin("https://app.example.com");
    let mut jwts =
        vec![token().sign(), token().organization("acme").sign(), token().origin("https://x.net").sign()];
    for flaw in [
        TokenFlaw::Expired,
        TokenFlaw::BadSignature,
        TokenFlaw::UnknownKid,
        TokenFlaw::AlgNone,
        TokenFlaw::AlgHs256,
        TokenFlaw::NoExp,
        TokenFlaw::WrongIssuer,
    ] {
        jwts.push(token().flaw(flaw).sign());
    }
    for jwt in &jwts {
        secrets.add_jwts(jwt);
    }
    for _ in ["before a revocation", "after it"] {
        for jwt in jwts.iter().chain(&jwts) {
            for layer in &layers {
                let field = format!("Bearer {jwt}");
                see(&secrets, &ask(&layer.clone().problem_json(), with_authorization(&field)).await);
                secrets.check(&format!("{layer:?} {clerk:?}"), "a layer");
            }
        }
        clerk.revoke_all();
    }
    assert!(secrets.check_log().contains("rejected"), "the log was captured");
}

#[tokio::test(start_paused = true)]
async fn c6_assertions_and_tickets_are_never_shown() {
    LazyLock::force(&LOG);
    let (clock, secrets) = (Clock::system(), Secrets::default());
    let fake = FakeClerk::builder().clock(clock).no_rate_limit().build();
    let ci = FakeIssuer::new("https://ci.example").clock(fake.clock());
    let rule = WorkloadRule::new("repo:acme/app:ref:main", "user_bot");
    let provider =
        Provider::oidc(ci.issuer()).audience("https://api.example").rule(rule).transport(ci.clone());
    let clerk = Clerk::builder(fake.fapi_url())
        .transport(Recording(fake.clone(), secrets.clone()))
        .secret_key(fake.secret_key())
        .backend_url(fake.backend_url())
        .unlimited_sign_ins()
        .clock(clock)
        .provider(provider)
        .build()
        .unwrap();
    fake.add_user(FakeUser::new("bot").id("user_bot"));
    let job = |sub: &str| ci.assertion(sub, "https://api.example");
    let mut jwts = vec![job("repo:acme/app:ref:main").sign(), job("repo:acme/app:ref:other").sign()];
    jwts.push(job("repo:acme/app:ref:main").skew(-3600).sign());
    jwts.push(job("repo:acme/app:ref:main").claim("iss", "https://other.example").sign());
    for flaw in [
        AssertionFlaw::AlgNone,
        AssertionFlaw::BadSignature,
        AssertionFlaw::UnknownKid,
        AssertionFlaw::OwnJwk,
    ] {
        jwts.push(job("repo:acme/app:ref:main").flaw(flaw).sign());
    }
    jwts.push("eyJhbGciOiJSUzI1NiJ9.not-base64-but-somebodys-secret.AAAA".to_owned());
    for jwt in &jwts {
        secrets.add_jwts(jwt);
    }
    secrets.add("somebodys-secret");
    let access = Access::new();
    for round in ["before a fault", "with one", "after a ban"] {
        for jwt in &jwts {
            let assertion = Assertion::new(jwt.clone()).nonce("n-0S6_WzA2Mj-secret");
            match clerk.exchange(&assertion, &access).await {
                Ok(session) => {
                    secrets.add_jwts(session.token());
                    secrets.check(&format!("{session:?} {:?}", session.assurance()), "a session");
                }
                Err(rejection) => {
                    let all = format!("{rejection:?} {rejection} {:?}", rejection.detail());
                    secrets.check(&all, "a rejection");
                }
            }
            secrets.check(&format!("{assertion:?} {clerk:?}"), "an assertion");
        }
        match round {
            "before a fault" => {
                clerk.revoke_all();
                fake.script(Endpoint::SignIns, Fault::Status(500));
            }
            _ => {
                fake.ban("user_bot");
                clerk.revoke_user("user_bot");
            }
        }
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    secrets.add("n-0S6_WzA2Mj-secret");
    // The tickets went to Clerk in the bodies of the sign-ins.
    for ticket in fake.requests_to(Endpoint::SignIns).iter().filter_map(|request| request.form("ticket")) {
        secrets.add(ticket);
    }
    assert!(secrets.check_log().contains("exchange_assertion"), "the log was captured");
}

#[tokio::test(start_paused = true)]
async fn c6_api_keys_are_never_shown() {
    LazyLock::force(&LOG);
    let (clock, secrets) = (Clock::system(), Secrets::default());
    let fake = FakeClerk::builder().clock(clock).no_rate_limit().build();
    let of = |key| fake.api_key_secret(&fake.add_api_key(key));
    let (id, jane) = fake.demo_api_key("jane");
    let keys = [
        jane,
        fake.demo_api_key("acme").1,
        of(FakeApiKey::new("banned@example.com")),
        of(FakeApiKey::new("jane").kind("machine_secret")),
        "ak_made-up-and-\u{fc}nknown".to_owned(),
    ];
    let names = ["__token__", &*fake.user_id("jane").unwrap(), "jane@example.com"];
    for (name, key) in names.iter().flat_map(|name| keys.iter().map(move |key| (*name, key))) {
        secrets.add_pair((name, key));
        secrets.add(&key[3..]);
    }
    secrets.add(fake.secret_key());
    // Each engine asks anew, and the faults hit the calls of the first requests.
    let faults =
        [Fault::Status(500), Fault::Truncated, Fault::WrongTypes, Fault::NotJson, Fault::Status(401)];
    for fault in std::iter::once(None).chain(faults.into_iter().map(Some)) {
        let builder = Clerk::builder(fake.fapi_url()).secret_key(fake.secret_key()).clock(clock);
        let transport = Recording(fake.clone(), secrets.clone());
        let builder = builder.backend_url(fake.backend_url()).transport(transport);
        let clerk =
            builder.backend_rate(10_000, Duration::from_secs(1)).unlimited_sign_ins().build().unwrap();
        let accepting = || ClerkBasicAuthLayer::new(clerk.clone()).accept_api_keys(ApiKeys::new()).unwrap();
        if let Some(fault) = fault {
            fake.script(Endpoint::VerifyApiKey, fault);
        }
        for layer in [
            accepting().identity_headers(IdentityHeaders::new()),
            accepting().organization("acme").unwrap(),
            accepting().form_encoded_credentials().authorization_header(AuthorizationHeader::Keep).unwrap(),
        ] {
            let guard = layer.require(Requirement::new().scope("missing")).unwrap();
            let guarded = layer.layer(guard.layer(service_fn(common::me)));
            for (name, key) in names.iter().flat_map(|name| keys.iter().map(move |key| (*name, key))) {
                see(&secrets, &ask(&layer, basic((name, key))).await);
                see(&secrets, &ask(&layer.clone().problem_json(), basic((name, key))).await);
                see(&secrets, &guarded.clone().oneshot(basic((name, key))).await.unwrap());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            secrets.check(&format!("{layer:?} {guard:?} {clerk:?} {:?}", clerk.stats()), "a layer");
        }
        fake.clear_script(Endpoint::VerifyApiKey);
    }
    let log = secrets.check_log();
    assert!(log.contains(&id) && log.contains("a guard refuses the API key"), "the log was captured");
}

/// The flows that decode credentials in other ways, and those that answer behind the layer.
#[tokio::test(start_paused = true)]
async fn c6_no_other_charset_suffix_guard_or_form_of_answer_shows_a_secret() {
    LazyLock::force(&LOG);
    let (clock, secrets) = (Clock::system(), secrets());
    let fake = FakeClerk::builder().clock(clock).no_rate_limit().build();
    let clerk = engine(&fake, &secrets, clock);
    let passwords = ["p\u{e4}ssw\u{f6}rd of nobody else", "pa\u{308}sswo\u{308}rd of nobody else"];
    let mut fields = Vec::new();
    for identifier in [JANE.0, "jane@example.com/acme", "jane@example.com/unlisted"] {
        for password in [JANE.1, passwords[0], passwords[1]] {
            secrets.add_pair((identifier, password));
            fields.push(authorization((identifier, password)));
        }
        // In Latin-1.
        let pair = [identifier.as_bytes(), b":p\xe4ssw\xf6rd of nobody else"].concat();
        let token = BASE64_STANDARD.encode(pair);
        secrets.add(token.trim_end_matches('='));
        fields.push(format!(" Basic {token}"));
    }
    let of = || ClerkBasicAuthLayer::new(clerk.clone()).accept_bearer(BearerTokens::new()).unwrap();
    let suffix = || OrganizationSelector::identifier_suffix('/', ["acme"]);
    let layers = [
        of().latin1_fallback(),
        of().normalize_nfc().latin1_fallback().form_encoded_credentials(),
        of().organization_by(suffix()).unwrap().authorization_header(AuthorizationHeader::Keep).unwrap(),
        of().organization_by(suffix()).unwrap().latin1_fallback().optional(),
    ];
    let jwt = fake.token(&fake.open_session(JANE.0)).sign();
    secrets.add_jwts(&jwt);
    // Fields that only look like another scheme, or like none.
    let odd =
        ["Bearer\t", "Bearer,", " Bearer  ", "Bearer x ", "Bearers "].map(|scheme| format!("{scheme}{jwt}"));
    for layer in &layers {
        let strict = Requirement::new()
            .role("admin")
            .second_factor(SecondFactor::Required { within: Duration::from_secs(60) });
        let guard = layer.require(strict).unwrap();
        for field in fields.iter().chain(&odd) {
            let request = || {
                let mut request = with_authorization(field);
                request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                request
            };
            see(&secrets, &ask(layer, request()).await);
            see(&secrets, &ask(&layer.clone().problem_json().grpc_rejections(), request()).await);
            let guarded = layer.layer(guard.layer(service_fn(common::me)));
            see(&secrets, &guarded.oneshot(request()).await.unwrap());
        }
        secrets.check(&format!("{layer:?} {guard:?}"), "a layer");
        for field in [JANE.0, "jane@example.com/acme"] {
            clerk.forgive(field);
        }
    }
    secrets.check(
        &format!("{:?} {:?}", clerk.stats(), Credentials::new(JANE.0, JANE.1).unwrap().to_header()),
        "an engine",
    );
    assert!(secrets.check_log().contains("a guard refuses the session"), "the log was captured");
}

/// A password that is nowhere in this program in plain text: its encoded beginning, and the part that it repeats,
/// encoded and with all bits flipped. It is long, so that a buffer that is freed without being wiped still contains
/// some of it.
#[cfg(target_os = "linux")]
const SEALED: (&str, &str, [u8; 21]) = (
    "amFuZUBleGFtcGxlLmNvbTp4",
    "THE3dlh3MlJ0WjltS3A0czhKZDNR",
    *b"\xb3\x8e\xc8\x89\xa7\x88\xcd\xad\x8b\xa5\xc6\x92\xb4\x8f\xcb\x8c\xc7\xb5\x9b\xcc\xae",
);

/// Returns whether the password is anywhere in this process's memory. The buffer of the search is flipped as soon as it
/// is read, so that the search does not find itself.
#[cfg(target_os = "linux")]
fn is_in_memory(flipped: &[u8]) -> bool {
    use std::os::unix::fs::FileExt as _;

    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut part = vec![0; 1 << 20];
    for map in maps.lines().filter(|map| map.contains(" rw")) {
        let (start, end) = map.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        while at < end {
            let most = part.len().min(usize::try_from(end - at).unwrap());
            // Another test may have unmapped this memory in the meantime.
            let Ok(read @ 1..) = memory.read_at(&mut part[..most], at) else { break };
            part[..read].iter_mut().for_each(|byte| *byte = !*byte);
            if part[..read].windows(flipped.len()).any(|window| window == flipped) {
                return true;
            }
            // A match across the end of this part is found at the start of the next one.
            let next = if read == most && most == part.len() { read - flipped.len() } else { read };
            at += next as u64;
        }
    }
    false
}

/// Sends the stand-in another password, whose copies it may keep in memory.
#[cfg(target_os = "linux")]
struct Swapping(FakeClerk);

#[cfg(target_os = "linux")]
impl Transport for Swapping {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        let path = request.uri().path();
        let other = if path.ends_with("/sign_ins") {
            Some("strategy=password&identifier=jane&password=correct+horse+battery+staple".to_owned())
        } else if path.ends_with("/api_keys/verify") {
            Some(format!("{{\"secret\":\"{}\"}}", self.0.demo_api_key("jane").1))
        } else {
            None
        };
        self.0.send(request.map(|body| other.map_or(body, Bytes::from)))
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn c6_no_copy_of_a_password_is_left_in_memory_after_its_exchange() {
    let (beginning, part, flipped) = SEALED;
    let field = format!("Basic {beginning}{}", part.repeat(230));
    let clock = Clock::system();
    let fake = FakeClerk::builder().clock(clock).build();
    let builder = Clerk::builder(fake.fapi_url()).transport(Swapping(fake.clone())).clock(clock);
    let layer = ClerkBasicAuthLayer::new(builder.build().unwrap());
    for layer in [layer.clone(), layer.clone().form_encoded_credentials()] {
        for _ in 0..2 {
            assert_eq!(ask(&layer, with_authorization(&field)).await.status(), 200);
        }
    }
    // With a letter before it that the layer decodes or composes.
    let layer = layer.latin1_fallback().normalize_nfc();
    for letter in [&b"\xe4"[..], "a\u{308}x".as_bytes()] {
        let beginning = BASE64_STANDARD.encode([b"jane@example.com:", letter].concat());
        let field = format!("Basic {beginning}{}", part.repeat(115));
        for layer in [layer.clone(), layer.clone().form_encoded_credentials()] {
            assert_eq!(ask(&layer, with_authorization(&field)).await.status(), 200);
        }
    }
    // The same as an API key.
    let builder = Clerk::builder(fake.fapi_url()).secret_key(fake.secret_key()).clock(clock);
    let builder = builder.backend_url(fake.backend_url()).transport(Swapping(fake.clone()));
    let layer = ClerkBasicAuthLayer::new(builder.build().unwrap()).accept_api_keys(ApiKeys::new()).unwrap();
    let field = format!("Basic {}{}", BASE64_STANDARD.encode("__token__:ak_xx"), part.repeat(230));
    for layer in [layer.clone(), layer.form_encoded_credentials()] {
        let response = ask(&layer, with_authorization(&field)).await;
        assert!(response.extensions().get::<ClerkApiKey>().is_some(), "{response:?}");
    }
    run_ready_tasks().await;
    assert!(!is_in_memory(&flipped), "a copy of the password or the key is left");
    let found = std::hint::black_box(flipped.map(|byte| !byte).to_vec());
    assert!(is_in_memory(&flipped), "a copy would have been found");
    drop(found);
}
