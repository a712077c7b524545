//! The Backend API's road: who somebody is, and whether the password is theirs.

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

/// Uses a session until its proof must have been renewed, or made anew.
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
    assert_eq!(calls(&world), [1, 1, 1, 1, 0], "the sign-in by ticket brought a token along");
    let first = session(&world.get(NEWDEVICE).await).session_id().to_owned();
    let response = until_the_next_proof(&world, NEWDEVICE).await;
    assert_eq!(session(&response).session_id(), first, "the session goes on");
    let [users, passwords, tickets, sign_ins, _] = calls(&world);
    assert_eq!((tickets, sign_ins), (1, 1), "a sign-in once in the life of the session");
    assert_eq!((users, passwords), (2, 2), "proven anew, once");
    assert_eq!(world.fake.live_sessions_of("newdevice@example.com"), 1);
}

#[tokio::test(start_paused = true)]
async fn k10_a_proof_that_has_run_out_takes_no_sign_in_either() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(world.clerk.stats().sessions, 0);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(calls(&world)[3], 1);
    assert_eq!(world.fake.live_sessions_of("jane"), 1, "the end of a proof ends no session");
}

#[tokio::test(start_paused = true)]
async fn k8_any_identifier_of_a_user_finds_the_user_by_its_shape() {
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
    assert_eq!(world.fake.live_sessions_of("ada"), 1, "and all of them share a session");
}

#[tokio::test(start_paused = true)]
async fn s3_an_address_that_is_not_verified_lets_nobody_in() {
    let world = World::backend();
    // Anybody can put another's address into an account of their own.
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
async fn s3_an_identifier_of_two_users_lets_neither_in() {
    let world = World::backend();
    world.fake.add_user_unchecked(FakeUser::new("jane@example.com").password("the other one's"));
    let logged = crate::common::logged(async {
        assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
        assert_eq!(code(&world.get(("jane@example.com", "the other one's")).await), "credentials_rejected");
    })
    .await;
    assert!(logged.contains("ERROR") && logged.contains("two users"), "{logged}");
    assert_eq!(world.fake.count(Endpoint::VerifyPassword), 0);
    assert_eq!(world.get(("jane", JANE.1)).await.status(), 200, "by what is hers alone she gets in");
}

#[tokio::test(start_paused = true)]
async fn k12_a_user_who_was_deleted_is_out_and_one_who_takes_the_address_is_in() {
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

/// Between the look-up and the look at the password.
#[tokio::test(start_paused = true)]
async fn s3_a_user_who_is_deleted_while_the_password_is_on_its_way_is_looked_up_once_more() {
    for successor in [true, false] {
        let world = World::backend();
        let hold = world.fake.hold(Endpoint::VerifyPassword);
        let asking = {
            let world = world.clone();
            tokio::spawn(async move { world.get(CAROL).await })
        };
        while hold.waiting() == 0 {
            crate::common::settle().await;
        }
        world.fake.delete_user(CAROL.0);
        let second = successor.then(|| world.fake.add_user(FakeUser::new(CAROL.0).password(CAROL.1)));
        hold.release();
        let response = asking.await.unwrap();
        match second {
            Some(second) => assert_eq!(session(&response).user_id(), second),
            None => assert_eq!(code(&response), "credentials_rejected"),
        }
        assert_eq!(world.fake.count(Endpoint::Users), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn k12_an_address_that_passes_to_another_user_takes_no_session_along() {
    let world = World::backend();
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    world.fake.change_email("jane", "jane@example.com", "jane@elsewhere.example");
    let other = world.fake.add_user(FakeUser::new("jane@example.com").password(JANE.1));
    let response = until_the_next_proof(&world, JANE).await;
    assert_eq!(session(&response).user_id(), other);
    assert_ne!(jane, other);
}

#[tokio::test(start_paused = true)]
async fn k12_a_user_whose_account_has_changed_is_out_at_the_next_proof() {
    type Change = fn(&World);
    let changes: [(&str, Change, &str); 5] = [
        ("locked", |world| world.fake.lock("jane"), "credentials_rejected"),
        ("banned", |world| world.fake.ban("jane"), "credentials_rejected"),
        ("second factor", |world| world.fake.require_second_factor("jane", true), "second_factor_required"),
        ("password", |world| world.fake.set_password("jane", "a new one"), "credentials_rejected"),
        ("address", |world| world.fake.set_email_verified("jane", JANE.0, false), "credentials_rejected"),
    ];
    for (what, change, expected) in changes {
        let world = World::backend();
        assert_eq!(world.get(JANE).await.status(), 200);
        change(&world);
        assert_eq!(code(&until_the_next_proof(&world, JANE).await), expected, "{what}");
        crate::common::settle().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.fake.live_sessions_of("jane"), 0, "{what}: a refusal ends the session");
        assert_eq!(world.clerk.stats().sessions, 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn s3_no_ticket_is_made_for_who_is_banned_or_locked() {
    for pair in [("banned@example.com", "banned for good"), ("locked@example.com", "locked out for an hour")]
    {
        let world = World::backend();
        assert_eq!(code(&world.get(pair).await), "credentials_rejected");
        assert_eq!(calls(&world), [1, 0, 0, 0, 0], "{}", pair.0);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revoked_user_is_looked_up_anew() {
    let world = World::backend();
    let user = session(&world.get(JANE).await).user_id().to_owned();
    world.clerk.revoke_user(&user);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!((world.fake.count(Endpoint::Users), world.fake.count(Endpoint::User)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn k8_identifiers_of_a_user_that_come_at_once_open_one_session() {
    let world = World::backend();
    let hold = world.fake.hold(Endpoint::SignIns);
    let [one, other] = [JANE, ("jane", JANE.1)].map(|pair| {
        let world = world.clone();
        tokio::spawn(async move { world.get(pair).await })
    });
    while hold.waiting() == 0 || world.fake.count(Endpoint::VerifyPassword) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    crate::common::settle().await;
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
    let mut out_after = None;
    for second in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if world.get(JANE).await.status() == 401 {
            out_after = Some(second);
            break;
        }
    }
    assert!(out_after.is_some_and(|after| after <= 60), "{out_after:?}");
}

#[tokio::test(start_paused = true)]
async fn s3_a_second_factor_is_ignored_only_by_its_dangerous_name() {
    let mfa = ("mfa@example.com", "second factor please");
    let world = World::backend();
    assert_eq!(code(&world.get(mfa).await), "second_factor_required");
    assert_eq!(calls(&world)[2..4], [0, 0], "no ticket is made");
    for skipped in [true, false] {
        let world = World::backend_with(
            |fake| fake.tickets_skip_second_factor(skipped),
            tower_clerk::ClerkBuilder::dangerously_ignore_second_factors,
        );
        // Whether a ticket does without one is Clerk's business: nobody gets in where it doesn't.
        let expected = if skipped { "" } else { "second_factor_required" };
        assert_eq!(code(&world.get(mfa).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn s4_faults_of_the_backend_api_are_never_a_refusal() {
    for endpoint in [Endpoint::Users, Endpoint::VerifyPassword, Endpoint::SignInTokens, Endpoint::SignIns] {
        for fault in [Fault::Status(500), Fault::Status(503), Fault::NotJson, Fault::Status(404)] {
            // Where a user is asked about by id, 404 has a meaning. Elsewhere it is a path that isn't there.
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
async fn s3_a_secret_key_that_clerk_does_not_take_is_misconfigured_and_says_so() {
    let world = World::backend_with(|fake| fake, |engine| engine.secret_key("sk_test_somebodyElses"));
    let logged = crate::common::logged(async {
        assert_eq!(code(&world.get(JANE).await), "misconfigured");
    })
    .await;
    assert!(logged.contains("secret key") && !logged.contains("somebodyElses"), "{logged}");
}
