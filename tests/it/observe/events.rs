//! The log tells of exchanges and rejections (rule O1).

use tower_clerk::testing::{Endpoint, Fault};

use crate::common::{BOB, JANE, World, ask, authorization, basic, logged, with_authorization};

#[tokio::test(start_paused = true)]
async fn o1_an_exchange_is_a_span_and_a_rejection_an_event_with_its_reason() {
    let world = World::unlimited();
    let log = logged(async {
        world.get(JANE).await;
        for _ in 0..3 {
            ask(&world.layer(), basic((JANE.0, "wrong"))).await;
            ask(&world.layer(), with_authorization("Basic %%%")).await;
        }
    })
    .await;
    assert!(log.contains("exchange{api=\"frontend\"}"), "{log}");
    let lines = |level: &str, code: &str| {
        let is_it = |line: &&str| {
            line.contains(level) && line.contains("tower_clerk::rejection") && line.contains(code)
        };
        log.lines().filter(is_it).map(str::to_owned).collect::<Vec<_>>()
    };
    for code in ["credentials_rejected", "credentials_malformed"] {
        assert_eq!((lines("INFO", code).len(), lines("DEBUG", code).len()), (1, 2), "{log}");
    }
    assert!(lines("INFO", "credentials_malformed")[0].contains("reason="), "{log}");
}

/// The lines about rejections that an operator sees who has set no filter.
async fn told_at_info(work: impl Future<Output = ()>) -> Vec<String> {
    let log = logged(work).await;
    let is_told = |line: &&str| line.contains(" INFO ") && line.contains("tower_clerk::rejection");
    log.lines().filter(is_told).map(str::to_owned).collect()
}

/// Signs in, and checks that the one line about it has these codes, that it names nobody, and that the page on
/// troubleshooting has both.
async fn told_why(world: World, (identifier, password): (&str, &str), code: &str, why: &str) {
    let refused = async {
        let status = world.get_as(identifier, password).await.status();
        assert!(matches!(status.as_u16(), 401 | 403), "{identifier}: {status}");
    };
    let told = told_at_info(refused).await;
    assert_eq!(told.len(), 1, "{identifier}: {told:?}");
    let codes = format!("code=\"{code}\" upstream_code=\"{why}\"");
    assert!(told[0].contains(&codes), "{codes}: {told:?}");
    let field = authorization((identifier, password));
    for named in [identifier, "example.com", password, "user_2", "client_2", &field[6..]] {
        assert!(!told[0].contains(named), "{named} in {told:?}");
    }
    let page = include_str!("../../../docs/troubleshooting.md");
    assert!(page.contains(&format!("`{why}`")) && page.contains(&format!("`{code}`")), "{code} {why}");
}

#[tokio::test(start_paused = true)]
async fn o1_the_log_at_info_alone_tells_why_a_user_was_refused_and_names_nobody() {
    for (identifier, password, code, frontend, backend) in [
        ("jane", "wrong", "credentials_rejected", "form_password_incorrect", "incorrect_password"),
        (
            "nobody@example.com",
            "wrong",
            "credentials_rejected",
            "form_identifier_not_found",
            "unknown_identifier",
        ),
        (
            "locked@example.com",
            "locked out for an hour",
            "credentials_rejected",
            "user_locked",
            "user_locked",
        ),
        ("banned@example.com", "banned for good", "credentials_rejected", "user_banned", "user_banned"),
        ("sso@example.com", "wrong", "credentials_rejected", "strategy_for_user_invalid", "no_password_set"),
        (
            "mfa@example.com",
            "second factor please",
            "second_factor_required",
            "needs_second_factor",
            "two_factor_enabled",
        ),
    ] {
        told_why(World::new(), (identifier, password), code, frontend).await;
        told_why(World::backend(), (identifier, password), code, backend).await;
    }
    for (identifier, password, why) in [
        ("expired@example.com", "please choose a new one", "needs_new_password"),
        ("newdevice@example.com", "trust me on a device", "needs_client_trust"),
    ] {
        told_why(World::new(), (identifier, password), "account_action_required", why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn o1_the_log_at_info_tells_outages_from_refusals_and_names_no_organization() {
    let world = World::new();
    let told = told_at_info(async {
        assert_eq!(world.get_for(BOB, "globex").await.status(), 403);
    })
    .await;
    assert!(told.len() == 1 && told[0].contains("organization_forbidden"), "{told:?}");
    assert!(!told[0].contains("globex") && !told[0].contains("bob"), "{told:?}");
    let world = World::new();
    world.fake.script_always(Endpoint::SignIns, Fault::Status(503));
    let told = told_at_info(async { assert_eq!(world.get(JANE).await.status(), 503) }).await;
    assert!(told.len() == 1 && told[0].contains("code=\"upstream_unavailable\""), "{told:?}");
    let world = World::with(|fake| fake.native_api(false), |engine| engine);
    let told = told_at_info(async { assert_eq!(world.get(JANE).await.status(), 500) }).await;
    assert!(told[0].contains("misconfigured") && told[0].contains("native_api_disabled"), "{told:?}");
}
