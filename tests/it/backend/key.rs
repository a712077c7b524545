//! Where the secret key, tickets and passwords may appear with the Backend API (rule C6).

use std::time::Duration;

use crate::common::{JANE, World, backend_builder, basic, code, logged, run_ready_tasks};
use tower_clerk::error::{InstanceError, SecretKeyError};
use tower_clerk::preflight::FindingKind;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk, Fault, GoneSession, RetryAfter};
use tower_clerk::{Clerk, ClerkBasicAuthLayer, ConfigError};

const KEY: &str = "sk_test_0123456789abcdefghijklmnopqrstuvwxyzABCDEF";
const PK_TEST: &str = "pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk";
const PK_LIVE: &str = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k";

/// Exercises every endpoint of the Backend API, with successes, refusals and faults.
async fn use_every_endpoint(world: &World) {
    for pair in [
        JANE,
        ("jane@example.com", "wrong horse"),
        ("newdevice@example.com", "trust me on a device"),
        ("mfa@example.com", "second factor please"),
        ("locked@example.com", "locked out for an hour"),
        ("nobody@example.com", "no such body"),
    ] {
        world.get(pair).await;
        world.get_for(pair, "acme").await;
        tokio::time::sleep(Duration::from_secs(65)).await;
    }
    for endpoint in [
        Endpoint::Users,
        Endpoint::User,
        Endpoint::VerifyPassword,
        Endpoint::SignInTokens,
        Endpoint::SignIns,
        Endpoint::BackendTokens,
        Endpoint::RevokeSession,
        Endpoint::BackendJwks,
    ] {
        for fault in [
            Fault::Status(401),
            Fault::Status(500),
            Fault::NotJson,
            Fault::Redirect,
            Fault::Reset,
            Fault::RateLimited { retry_after: RetryAfter::Seconds(1) },
        ] {
            world.fake.script(endpoint, fault);
            world.clerk.revoke_all();
            world.get(JANE).await;
            tokio::time::sleep(Duration::from_secs(65)).await;
            world.get(JANE).await;
            for finding in world.clerk.preflight().await {
                assert!(!finding.to_string().contains(&KEY[8..]), "{finding}");
            }
            world.fake.clear_script(endpoint);
        }
    }
    world.clerk.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn c6_logs_and_debug_output_show_no_key_ticket_or_password() {
    let fake = |fake: tower_clerk::testing::FakeClerkBuilder| {
        fake.secret_key(KEY).no_rate_limit().gone_session(GoneSession::AuthenticationInvalid)
    };
    let world = World::backend_with(fake, tower_clerk::ClerkBuilder::unlimited_sign_ins);
    let mut log = logged(use_every_endpoint(&world)).await;
    assert!(log.contains("api=\"backend\"") && log.contains("DEBUG"), "the log is not empty");
    log.push_str(&format!("{:?} {:?} {:?}", world.clerk, world.clerk.stats(), world.layer()));
    log.push_str(&format!("{:?}", backend_builder(&world.fake, world.clock)));
    let mut secrets = vec![KEY.to_owned(), KEY[8..].to_owned()];
    for request in world.fake.requests() {
        secrets.extend(request.form("ticket").map(str::to_owned));
        let json = request.json();
        secrets.extend(json.and_then(|json| json["password"].as_str()).map(str::to_owned));
        let client = request.header("authorization").filter(|value| !value.starts_with("Bearer"));
        secrets.extend(client.map(str::to_owned));
    }
    assert!(secrets.iter().any(|secret| secret.starts_with("eyJ")), "the secrets include tickets");
    assert!(secrets.contains(&JANE.1.to_owned()));
    for secret in secrets.iter().filter(|secret| secret.len() > 3) {
        assert!(!log.contains(secret.as_str()), "the log shows {secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn c6_the_key_is_sent_only_to_the_backend_apis_host() {
    let world = World::backend_with(|fake| fake.secret_key(KEY), |engine| engine);
    world.get(JANE).await;
    world.get_for(JANE, "acme").await;
    world.clerk.preflight().await;
    world.fake.script(Endpoint::Users, Fault::Redirect);
    world.get(("bob", "hunter2hunter2")).await;
    world.clerk.revoke_all();
    run_ready_tasks().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (api, fapi) = (world.fake.backend_url(), world.fake.fapi_url());
    let (api, fapi) = (host(&api), host(&fapi));
    let requests = world.fake.requests();
    assert!(requests.iter().any(|request| request.host() == fapi));
    for request in &requests {
        let has_key = format!("{:?} {:?}", request.headers().get("authorization"), request.form_params())
            .contains(KEY)
            || request.header("authorization").is_some_and(|value| value.contains(KEY));
        assert_eq!(has_key, request.host() == api, "{request:?}");
        let password = request.form("password").or(request.json().and_then(|json| json["password"].as_str()));
        assert!(password.is_none() || request.host() == api, "passwords are sent only to the Backend API");
    }
}

fn host(url: &str) -> &str {
    url.split("://").nth(1).unwrap_or(url)
}

/// Uses sockets on two hosts, with a redirect from one to the other.
#[tokio::test]
async fn c6_a_redirect_does_not_forward_the_key() {
    let api = FakeClerk::builder().clock(Clock::system()).secret_key(KEY).build();
    crate::common::warm_up(&api).await;
    let (first, second) = (api.serve("127.0.0.1:0").await.unwrap(), api.serve("127.0.0.1:0").await.unwrap());
    let (fapi_url, api_url) = (first.url(), second.url());
    let clerk =
        Clerk::builder(fapi_url.clone()).secret_key(KEY).backend_url(api_url.clone()).build().unwrap();
    let layer = ClerkBasicAuthLayer::new(clerk);
    assert_eq!(crate::common::ask(&layer, basic(JANE)).await.status(), 200);
    api.script(Endpoint::Users, Fault::Redirect);
    assert_eq!(
        code(&crate::common::ask(&layer, basic(("bob", "hunter2hunter2"))).await),
        "upstream_unavailable"
    );
    for request in api.requests() {
        let has_key = request.header("authorization").is_some_and(|value| value.contains(KEY));
        assert_eq!(has_key, request.host() == host(&api_url), "{request:?}");
    }
    first.shutdown().await;
    second.shutdown().await;
}

#[test]
fn c6_build_rejects_an_invalid_key_and_backend_settings_without_a_key() {
    let built = |clerk: tower_clerk::ClerkBuilder| clerk.build().map(drop).unwrap_err();
    let clerk = || Clerk::builder(PK_TEST);
    assert!(matches!(built(clerk().secret_key("")), ConfigError::SecretKey(SecretKeyError::Empty)));
    assert!(matches!(
        built(clerk().secret_key(PK_TEST)),
        ConfigError::SecretKey(SecretKeyError::PublishableKey)
    ));
    assert!(matches!(built(clerk().secret_key("sk_live_abc")), ConfigError::InstanceMismatch));
    assert!(matches!(built(Clerk::builder(PK_LIVE).secret_key(KEY)), ConfigError::InstanceMismatch));
    let insecure = built(clerk().secret_key(KEY).backend_url("http://api.clerk.example"));
    assert!(matches!(&insecure, ConfigError::BackendUrl(InstanceError::PlainHttp { .. })), "{insecure}");
    let no_url = built(clerk().secret_key(KEY).backend_url(PK_TEST));
    assert!(matches!(&no_url, ConfigError::BackendUrl(_)), "{no_url}");
    for (name, builder) in [
        ("backend_url", clerk().backend_url("https://api.clerk.com")),
        ("backend_rate", clerk().backend_rate(10, Duration::from_secs(1))),
        ("token_lifetime", clerk().token_lifetime(Duration::from_secs(60))),
        ("dangerously_ignore_second_factors", clerk().dangerously_ignore_second_factors()),
    ] {
        assert!(built(builder).to_string().contains(name), "{name}");
    }
    let short = built(clerk().secret_key(KEY).token_lifetime(Duration::from_secs(29)));
    assert!(short.to_string().contains("token_lifetime"), "{short}");
    assert!(
        built(clerk().secret_key(KEY).backend_rate(0, Duration::from_secs(1)))
            .to_string()
            .contains("least 1")
    );
    for error in [insecure, no_url, short] {
        assert!(!format!("{error} {error:?}").contains(&KEY[8..]));
    }
    clerk().secret_key(KEY).build().unwrap();
}

#[tokio::test(start_paused = true)]
async fn o3_preflight_finds_a_key_of_another_instance_and_unenforced_settings() {
    let found = async |world: &World| -> Vec<FindingKind> {
        world.clerk.preflight().await.iter().map(tower_clerk::preflight::Finding::kind).collect()
    };
    let world = World::backend();
    let findings = found(&world).await;
    assert!(findings.contains(&FindingKind::NotEnforced), "{findings:?}");
    assert!(!findings.iter().any(|finding| finding.is_blocking()), "{findings:?}");
    let text = world.clerk.preflight().await.iter().map(ToString::to_string).collect::<String>();
    for words in ["block lists", "compromised", "chosen anew", "Protect"] {
        assert!(text.contains(words), "{words}: {text}");
    }

    let world = World::backend_with(|fake| fake, |engine| engine.secret_key("sk_test_wrong"));
    assert!(found(&world).await.contains(&FindingKind::SecretKeyRefused));

    // Two instances behind one transport: the engine's key belongs to the other instance.
    let other = FakeClerk::builder().host("clerk.other.example").clock(world.clock).build();
    let clerk = Clerk::builder(world.fake.fapi_url())
        .transport(Both(world.fake.clone(), other.clone()))
        .clock(world.clock)
        .secret_key(other.secret_key())
        .backend_url(other.backend_url())
        .build()
        .unwrap();
    let world = World { clerk, ..world };
    let findings = found(&world).await;
    assert!(findings.contains(&FindingKind::SecretKeyOfAnotherInstance), "{findings:?}");
    // No user is let in: a ticket of the other instance opens no session in this one.
    assert_ne!(world.get(JANE).await.status(), 200);

    let world = World::backend();
    world.fake.script_always(Endpoint::BackendJwks, Fault::Status(503));
    assert!(found(&world).await.contains(&FindingKind::BackendUnreachable));
}

/// Sends each request to one of two instances, by its host.
struct Both(FakeClerk, FakeClerk);

impl tower_clerk::transport::Transport for Both {
    fn send(&self, request: http::Request<bytes::Bytes>) -> tower_clerk::transport::TransportFuture<'_> {
        let is_other = request.uri().host().is_some_and(|host| host.ends_with("other.example"));
        if is_other { self.1.send(request) } else { self.0.send(request) }
    }
}
