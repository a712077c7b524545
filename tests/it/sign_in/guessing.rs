//! Guesses at an account neither lock it at Clerk nor keep its user from signing in (rules P3, K5, K13).

use std::time::Duration;

use crate::common::{JANE, World, ask, basic, code, run_ready_tasks, session};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::testing::{Endpoint, FakeUser, Fault};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Returns the most failures at Clerk between two successes, and how often Clerk answered that the account is locked.
fn failures(world: &World) -> (usize, usize) {
    let (mut most, mut since, mut locked) = (0, 0, 0);
    for request in world.fake.requests_to(Endpoint::SignIns) {
        match request.status().map(|status| status.as_u16()) {
            Some(200) => since = 0,
            Some(422) => since += 1,
            Some(403) => locked += 1,
            _ => {}
        }
        most = most.max(since);
    }
    (most, locked)
}

/// Sends guesses at an identifier until `until`, with a pause of `pace` after each.
fn guess(
    world: &World,
    identifier: &'static str,
    pace: Duration,
    until: Instant,
) -> tokio::task::JoinHandle<u32> {
    let world = world.clone();
    tokio::spawn(async move {
        let mut guesses = 0;
        while Instant::now() < until {
            let response = ask(&world.layer(), basic((identifier, &format!("guess {guesses}")))).await;
            assert!([401, 429, 503].contains(&response.status().as_u16()), "{}", response.status());
            guesses += 1;
            tokio::time::sleep(pace).await;
        }
        guesses
    })
}

/// The user sends a request every few minutes. Once the proof or the session has ended, the password goes to Clerk
/// again.
#[tokio::test(start_paused = true)]
async fn p3_a_day_of_guesses_at_two_identifiers_neither_locks_nor_rejects_the_user() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(HOUR));
    assert_eq!(world.get(JANE).await.status(), 200);
    let end = Instant::now() + 24 * HOUR;
    let one = guess(&world, "jane", Duration::from_secs(9), end);
    let other = guess(&world, "Jane@Example.com", Duration::from_secs(11), end);
    let mut at = 0;
    while Instant::now() < end {
        tokio::time::sleep(7 * MINUTE).await;
        let response = world.get(JANE).await;
        assert_eq!(response.status(), 200, "after {} min: {}", at * 7, code(&response));
        at += 1;
        // From time to time Clerk ends the session, and the user signs in again.
        if at % 20 == 0 {
            world.fake.sessions().iter().for_each(|session| _ = world.fake.revoke_session(session.id()));
        }
    }
    let guesses = one.await.unwrap() + other.await.unwrap();
    let (most, locked) = failures(&world);
    assert!(guesses > 10_000, "{guesses}");
    assert!(most < 10, "{most} failures between two successes");
    assert_eq!(locked, 0);
    println!("{guesses} guesses in a day: {most} failures at Clerk between two successes at most");
}

/// The user is idle for a day. Its credential has been trusted since the first sign-in.
#[tokio::test(start_paused = true)]
async fn k13_a_trusted_credential_gets_in_after_a_day_of_guesses() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    let end = Instant::now() + 24 * HOUR;
    let one = guess(&world, "jane", Duration::from_secs(60), end);
    let other = guess(&world, "jane@example.com", Duration::from_secs(61), end);
    one.await.unwrap();
    other.await.unwrap();
    let (most, locked) = failures(&world);
    assert!(most < 10 && locked == 0, "{most} failures, {locked} times locked");
    assert_eq!(world.get(JANE).await.status(), 200);
}

/// All back-offs end at the same instant, and guesses at all identifiers wait for it.
#[tokio::test(start_paused = true)]
async fn p3_guesses_at_all_identifiers_as_a_back_off_ends_run_one_at_a_time() {
    let world = World::unlimited();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_secs(1)));
    let mut guesses = 0;
    for _ in 0..14 * 60 {
        let mut tasks = JoinSet::new();
        for identifier in ["jane", "JANE", "jane@example.com", " jane@example.com"] {
            guesses += 1;
            let (layer, password) = (world.layer(), format!("guess {guesses}"));
            tasks.spawn(async move { ask(&layer, basic((identifier, &password))).await });
        }
        tokio::time::sleep(MINUTE).await;
    }
    let (most, locked) = failures(&world);
    assert!(most < 10 && locked == 0, "{most} failures, {locked} times locked");
}

#[tokio::test(start_paused = true)]
async fn p3_a_thousand_guesses_at_once_make_no_more_calls_than_in_sequence() {
    let mut calls = Vec::new();
    for at_once in [false, true] {
        for trusted in [false, true] {
            let world = World::new();
            if trusted {
                assert_eq!(world.get(JANE).await.status(), 200);
                world.fake.clear_log();
            }
            let mut tasks = JoinSet::new();
            for at in 0..1_000 {
                let layer = world.layer();
                let guess = async move {
                    let response = ask(&layer, basic(("jane", &format!("guess {at}")))).await;
                    assert!([401, 429, 503].contains(&response.status().as_u16()));
                };
                if at_once {
                    tasks.spawn(guess);
                } else {
                    guess.await;
                }
            }
            tasks.join_all().await;
            run_ready_tasks().await;
            calls.push(world.fake.count(Endpoint::SignIns));
            assert!(!trusted || world.get(JANE).await.status() == 200);
        }
    }
    let (one_by_one, at_once) = calls.split_at(2);
    assert!(at_once.iter().zip(one_by_one).all(|(at_once, one_by_one)| at_once <= one_by_one), "{calls:?}");
    assert!(one_by_one.iter().all(|calls| *calls <= 4), "{calls:?}");
}

/// Calls that never reach Clerk during an outage do not use up the trust of the right password.
#[tokio::test(start_paused = true)]
async fn k13_an_outage_under_attack_never_rejects_the_right_password() {
    let ttl = 15 * MINUTE;
    let world = World::with(|fake| fake, |engine| engine.session_ttl(ttl));
    assert_eq!(world.get(JANE).await.status(), 200);
    for at in 0..8 {
        ask(&world.layer(), basic((JANE.0, &format!("guess {at}")))).await;
    }
    // The proof is due for renewal, and ends, while Clerk is down.
    tokio::time::sleep(ttl.mul_f64(0.8)).await;
    world.fake.script_always(Endpoint::SignIns, Fault::Status(503));
    let outage = Instant::now();
    while outage.elapsed() < 5 * MINUTE {
        let response = world.get(JANE).await;
        assert!(
            [200, 503].contains(&response.status().as_u16()),
            "{}: {}",
            response.status(),
            code(&response)
        );
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
    world.fake.clear_script(Endpoint::SignIns);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
}

/// The session is revoked twice within a minute, under attack. That is no reason to reject the password.
#[tokio::test(start_paused = true)]
async fn k13_a_trusted_credential_in_back_off_is_503_and_not_401() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    for at in 0..8 {
        ask(&world.layer(), basic((JANE.0, &format!("guess {at}")))).await;
    }
    tokio::time::sleep(MINUTE).await;
    let end_it = || {
        for session in world.fake.sessions() {
            world.clerk.revoke_session(session.id());
        }
    };
    end_it();
    assert_eq!(world.get(JANE).await.status(), 200);
    for at in 0..8 {
        ask(&world.layer(), basic((JANE.0, &format!("another guess {at}")))).await;
    }
    end_it();
    let response = world.get(JANE).await;
    assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_rate_limited"));
    let told: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_secs(told)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
}

/// `\u{130}` is a capital I with a dot. Clerk, which is written in Go, lowercases it to `i`; Rust lowercases it to two
/// characters.
#[tokio::test(start_paused = true)]
async fn p3_a_letter_that_rust_and_clerk_lowercase_differently_starts_no_second_count() {
    let world = World::unlimited();
    for spelling in
        ["\u{130}nci@example.com", "inci@example.com", "\u{130}NC\u{130}@example.com", "INCI@EXAMPLE.COM"]
    {
        let response = world.get_as(spelling, &format!("a guess at {spelling}")).await;
        assert_eq!(code(&response), "credentials_rejected");
    }
    for spelling in ["\u{130}nci@example.com", "inci@example.com"] {
        assert_eq!(code(&world.get_as(spelling, "another").await), "throttled", "{spelling}");
    }
}

/// A username may contain hyphens, so it can look like another user's phone number.
#[tokio::test(start_paused = true)]
async fn p3_a_username_like_a_phone_number_clears_no_failures_of_that_number() {
    let world = World::unlimited();
    let (phone, name) = ("+4917012345678", "49-17012345678");
    world.fake.add_user(FakeUser::new("victim@example.com").phone(phone).password("the right one"));
    world.fake.add_user(FakeUser::new("mallory@example.com").username(name).password("a password"));
    for round in 0..6 {
        assert_eq!(world.get_as(name, "a password").await.status(), 200, "round {round}");
        for guess in 0..3 {
            world.get_as(phone, &format!("guess {guess} of round {round}")).await;
        }
        world.fake.sessions().iter().for_each(|session| _ = world.fake.revoke_session(session.id()));
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    let (most, locked) = failures_of(&world, phone);
    assert!(most <= 4 && locked == 0, "{most} guesses reached Clerk, which locked the user {locked} times");
}

/// Returns the failures of one identifier at Clerk, and how often Clerk answered that the account is locked.
fn failures_of(world: &World, identifier: &str) -> (usize, usize) {
    let sign_ins = world.fake.requests_to(Endpoint::SignIns);
    let of = sign_ins.iter().filter(|request| request.form("identifier") == Some(identifier));
    let statuses: Vec<_> = of.filter_map(|request| Some(request.status()?.as_u16())).collect();
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    (count(422), count(403))
}

/// An answer that neither accepts nor refuses a trusted credential leaves it trusted.
#[tokio::test(start_paused = true)]
async fn k13_an_inconclusive_answer_leaves_the_credential_trusted() {
    for fault in [Fault::Status(503), Fault::StatusWithCode(401, "requires_captcha".to_owned())] {
        let world = World::unlimited();
        let id = session(&world.get(JANE).await).session_id().to_owned();
        for guess in 0..8 {
            world.get_as(JANE.0, &format!("guess {guess}")).await;
        }
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.clerk.revoke_session(&id);
        world.fake.script(Endpoint::SignIns, fault.clone());
        assert_eq!(code(&world.get(JANE).await), "upstream_unavailable");
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(world.get(JANE).await.status(), 200, "{fault:?}");
    }
}

/// An outdated password is not a guess, so none of the free guesses is used up.
#[tokio::test(start_paused = true)]
async fn k13_the_refusal_of_a_trusted_credential_is_not_counted_as_a_failure() {
    let world = World::unlimited();
    let id = session(&world.get(JANE).await).session_id().to_owned();
    world.fake.set_password("jane", "a new password");
    tokio::time::sleep(MINUTE).await;
    world.clerk.revoke_session(&id);
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    for guess in 0..4 {
        let response = world.get_as(JANE.0, &format!("guess {guess}")).await;
        assert_eq!(code(&response), "credentials_rejected", "guess {guess}");
    }
    assert_eq!(code(&world.get_as(JANE.0, "another guess").await), "throttled");
}

/// The user is under attack, and Clerk answers the user's own sign-in with something that says nothing of the password.
#[tokio::test(start_paused = true)]
async fn k13_an_answer_that_says_nothing_of_the_password_leaves_the_bypass() {
    let world = World::unlimited();
    let jane = session(&world.get(JANE).await).session_id().to_owned();
    tokio::time::sleep(Duration::from_secs(61)).await;
    for guess in 0..4 {
        assert_eq!(code(&world.get_as(JANE.0, &format!("guess {guess}")).await), "credentials_rejected");
    }
    world.clerk.revoke_session(&jane);
    let misconfigured = Fault::StatusWithCode(403, "native_api_disabled".to_owned());
    world.fake.script(Endpoint::SignIns, misconfigured);
    assert_eq!(code(&world.get(JANE).await), "misconfigured");
    // The engine remembers that for ten seconds.
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
}
