//! The Backend API: looking up users and verifying their passwords.

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, Pair, World, code, session};
use tower_clerk::testing::{Endpoint, FakeUser, Fault};

const HOUR: Duration = Duration::from_secs(3600);
const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");

fn calls(world: &World) -> [usize; 5] {
    [
        world.fake.count(Endpoint::Users) + world.fake.count(Endpoint::User),
        world.fake.count(Endpoint::VerifyPassword),
        world.fake.count(Endpoint::SignInTokens),
        world.fake.count(Endpoint::SignIns),
        world.fake.count(Endpoint::BackendTokens),
    ]
}

/// Sends a request each minute for 65 minutes, by when the session must have a new proof.
async fn until_the_next_proof(world: &World, pair: Pair) -> http::Response<String> {
    for _ in 0..65 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.get(pair).await;
    }
    world.get(pair).await
}

#[tokio::test(start_paused = true)]
async fn k12_a_session_costs_one_sign_in_and_a_proof_two_calls() {
    let world = World::backend();
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    assert_eq!(calls(&world), [1, 1, 1, 1, 0], "the ticket sign-in returned the first token");
    let first = session(&world.get(NEWDEVICE).await).session_id().to_owned();
    let response = until_the_next_proof(&world, NEWDEVICE).await;
    assert_eq!(session(&response).session_id(), first, "the session stays in use");
    let [users, passwords, tickets, sign_ins, _] = calls(&world);
    assert_eq!((tickets, sign_ins), (1, 1), "one sign-in per session");
    assert_eq!((users, passwords), (2, 2), "the proof was renewed once");
    assert_eq!(world.fake.live_sessions_of("newdevice@example.com"), 1);
}

#[tokio::test(start_paused = true)]
async fn k10_an_expired_proof_is_renewed_without_a_sign_in() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(world.clerk.stats().sessions, 0);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(calls(&world)[3], 1);
    assert_eq!(world.fake.live_sessions_of("jane"), 1, "the expiry of a proof ends no session");
}

#[tokio::test(start_paused = true)]
async fn k8_each_kind_of_identifier_finds_its_user() {
    let world = World::backend_with(|fake| fake, |engine| engine);
    let about = FakeUser::new("ada@example.com").username("ada").phone("+15555550123").password("engine");
    let ada = world.fake.add_user(about);
    for identifier in ["ada@example.com", "ADA@example.com", "ada", "Ada", "+15555550123", "+1 555 555 0123"]
    {
        let response = world.get((identifier, "engine")).await;
        assert_eq!(session(&response).user_id(), ada, "{identifier}");
    }
    let parameters: Vec<_> = world
        .fake
        .requests_to(Endpoint::Users)
        .iter()
        .filter_map(|request| {
            let names = ["email_address", "phone_number", "username"];
            names.into_iter().find(|name| request.query(name).is_some())
        })
        .collect();
    assert!(parameters.contains(&"email_address"), "{parameters:?}");
    assert!(parameters.contains(&"username"), "{parameters:?}");
    assert!(parameters.contains(&"phone_number"), "{parameters:?}");
    assert_eq!(world.fake.live_sessions_of("ada"), 1, "all identifiers share one session");
}

#[tokio::test(start_paused = true)]
async fn s3_an_unverified_address_is_rejected() {
    let world = World::backend();
    // Any user can add someone else's address to their own account, unverified.
    let about =
        FakeUser::new("mallory@example.com").unverified_email("jane@example.com").password("mallory's own");
    world.fake.add_user(about);
    assert_eq!(code(&world.get(("jane@example.com", "mallory's own")).await), "credentials_rejected");
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.set_email_verified("bob", "bob@example.com", false);
    assert_eq!(code(&world.get(BOB).await), "credentials_rejected");
    assert_eq!(world.get(("bob", BOB.1)).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s3_an_identifier_of_two_users_is_rejected() {
    let world = World::backend();
    world.fake.add_user_unchecked(FakeUser::new("jane@example.com").password("the other one's"));
    let logged = crate::common::logged(async {
        assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
        assert_eq!(code(&world.get(("jane@example.com", "the other one's")).await), "credentials_rejected");
    })
    .await;
    assert!(logged.contains("ERROR") && logged.contains("two users"), "{logged}");
    assert_eq!(world.fake.count(Endpoint::VerifyPassword), 0);
    assert_eq!(world.get(("jane", JANE.1)).await.status(), 200, "the username is unambiguous");
}

#[tokio::test(start_paused = true)]
async fn k12_a_deleted_user_is_rejected_and_a_new_user_of_the_address_signs_in() {
    let world = World::backend();
    let first = session(&world.get(CAROL).await).user_id().to_owned();
    world.fake.delete_user("carol@example.com");
    assert_eq!(code(&until_the_next_proof(&world, CAROL).await), "credentials_rejected");
    let second = world.fake.add_user(FakeUser::new(CAROL.0).password("another carol"));
    tokio::time::sleep(24 * HOUR).await;
    let response = world.get((CAROL.0, "another carol")).await;
    assert_eq!(session(&response).user_id(), second);
    assert_ne!(first, second);
}

/// The user is deleted between the look-up and the verification.
#[tokio::test(start_paused = true)]
async fn s3_a_user_deleted_during_password_verification_is_looked_up_again() {
    for successor in [true, false] {
        let world = World::backend();
        let hold = world.fake.hold(Endpoint::VerifyPassword);
        let request = {
            let world = world.clone();
            tokio::spawn(async move { world.get(CAROL).await })
        };
        while hold.waiting() == 0 {
            crate::common::run_ready_tasks().await;
        }
        world.fake.delete_user(CAROL.0);
        let second = successor.then(|| world.fake.add_user(FakeUser::new(CAROL.0).password(CAROL.1)));
        hold.release();
        let response = request.await.unwrap();
        match second {
            Some(second) => assert_eq!(session(&response).user_id(), second),
            None => assert_eq!(code(&response), "credentials_rejected"),
        }
        assert_eq!(world.fake.count(Endpoint::Users), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn k12_an_address_that_moves_to_another_user_brings_no_session() {
    let world = World::backend();
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    world.fake.change_email("jane", "jane@example.com", "jane@elsewhere.example");
    let other = world.fake.add_user(FakeUser::new("jane@example.com").password(JANE.1));
    let response = until_the_next_proof(&world, JANE).await;
    assert_eq!(session(&response).user_id(), other);
    assert_ne!(jane, other);
}

#[tokio::test(start_paused = true)]
async fn k12_an_account_change_rejects_the_user_at_the_next_proof() {
    type Change = fn(&World);
    let changes: [(&str, Change, &str); 5] = [
        ("locked", |world| world.fake.lock("jane"), "credentials_rejected"),
        ("banned", |world| world.fake.ban("jane"), "credentials_rejected"),
        ("second factor", |world| world.fake.require_second_factor("jane", true), "second_factor_required"),
        ("password", |world| world.fake.set_password("jane", "a new one"), "credentials_rejected"),
        ("address", |world| world.fake.set_email_verified("jane", JANE.0, false), "credentials_rejected"),
    ];
    for (name, change, expected) in changes {
        let world = World::backend();
        assert_eq!(world.get(JANE).await.status(), 200);
        change(&world);
        assert_eq!(code(&until_the_next_proof(&world, JANE).await), expected, "{name}");
        crate::common::run_ready_tasks().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.fake.live_sessions_of("jane"), 0, "{name}: a refusal ends the session");
        assert_eq!(world.clerk.stats().sessions, 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn s3_no_ticket_is_created_for_a_banned_or_locked_user() {
    for pair in [("banned@example.com", "banned for good"), ("locked@example.com", "locked out for an hour")]
    {
        let world = World::backend();
        assert_eq!(code(&world.get(pair).await), "credentials_rejected");
        assert_eq!(calls(&world), [1, 0, 0, 0, 0], "{}", pair.0);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revoked_user_is_looked_up_again() {
    let world = World::backend();
    let user = session(&world.get(JANE).await).user_id().to_owned();
    world.clerk.revoke_user(&user);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!((world.fake.count(Endpoint::Users), world.fake.count(Endpoint::User)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn k8_concurrent_identifiers_of_one_user_open_one_session() {
    let world = World::backend();
    let hold = world.fake.hold(Endpoint::SignIns);
    let [one, other] = [JANE, ("jane", JANE.1)].map(|pair| {
        let world = world.clone();
        tokio::spawn(async move { world.get(pair).await })
    });
    while hold.waiting() == 0 || world.fake.count(Endpoint::VerifyPassword) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    crate::common::run_ready_tasks().await;
    hold.release();
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert_eq!(session(&one).session_id(), session(&other).session_id());
    assert_eq!(calls(&world)[2..4], [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn k4_a_ban_is_noticed_at_the_next_renewal() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.ban("jane");
    let mut rejected_after = None;
    for second in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if world.get(JANE).await.status() == 401 {
            rejected_after = Some(second);
            break;
        }
    }
    assert!(rejected_after.is_some_and(|after| after <= 60), "{rejected_after:?}");
}

#[tokio::test(start_paused = true)]
async fn s3_only_the_dangerous_option_ignores_second_factors() {
    let mfa = ("mfa@example.com", "second factor please");
    let world = World::backend();
    assert_eq!(code(&world.get(mfa).await), "second_factor_required");
    assert_eq!(calls(&world)[2..4], [0, 0], "no ticket is created");
    for skips in [true, false] {
        let world = World::backend_with(
            |fake| fake.tickets_skip_second_factor(skips),
            tower_clerk::ClerkBuilder::dangerously_ignore_second_factors,
        );
        // Clerk decides whether a ticket skips the second factor. If it does not, the user is rejected.
        let expected = if skips { "" } else { "second_factor_required" };
        assert_eq!(code(&world.get(mfa).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn s4_backend_api_faults_are_never_a_refusal() {
    for endpoint in [Endpoint::Users, Endpoint::VerifyPassword, Endpoint::SignInTokens, Endpoint::SignIns] {
        for fault in [Fault::Status(500), Fault::Status(503), Fault::NotJson, Fault::Status(404)] {
            // `verify_password` answers 404 for an unknown user. Elsewhere a 404 means that the path is wrong.
            if endpoint == Endpoint::VerifyPassword && matches!(fault, Fault::Status(404)) {
                continue;
            }
            let world = World::backend();
            world.fake.script(endpoint, fault.clone());
            let response = world.get(JANE).await;
            assert_eq!(response.status(), 503, "{endpoint:?} {fault:?}: {}", code(&response));
            assert_eq!(world.get(JANE).await.status(), 200, "{endpoint:?} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s3_a_refused_secret_key_is_reported_as_misconfigured() {
    let world = World::backend_with(|fake| fake, |engine| engine.secret_key("sk_test_somebodyElses"));
    let logged = crate::common::logged(async {
        assert_eq!(code(&world.get(JANE).await), "misconfigured");
    })
    .await;
    assert!(logged.contains("secret key") && !logged.contains("somebodyElses"), "{logged}");
}
