//! Guessing at an account neither locks it at Clerk nor keeps its user out (rules P3, K5, K13).

use std::time::Duration;

use crate::common::{JANE, World, ask, basic, code, run_ready_tasks, session};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::testing::{Endpoint, FakeUser, Fault};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The failures at Clerk between two successes, at most; and how many times it said that the account is locked.
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

/// Guesses at an identifier, one after another, for so long.
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

/// The user comes each few minutes; whenever the proof or the session has ended, the password goes to Clerk again.
#[tokio::test(start_paused = true)]
async fn p3_two_guessers_at_two_identifiers_for_a_day_neither_lock_the_user_nor_keep_it_out() {
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
        // Now and then Clerk ends the session, and the user comes back after it.
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

/// The user stays away for a day and comes back: the password was proven once, so it passes.
#[tokio::test(start_paused = true)]
async fn k13_a_user_who_was_proven_is_let_in_after_a_day_of_guesses() {
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

/// All pauses run out at one instant, and guesses by all identifiers wait for it.
#[tokio::test(start_paused = true)]
async fn p3_guesses_by_all_identifiers_at_the_very_end_of_a_pause_are_still_one_at_a_time() {
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
async fn p3_a_thousand_guesses_at_once_make_no_more_calls_than_one_after_another() {
    let mut calls = Vec::new();
    for at_once in [false, true] {
        for proven in [false, true] {
            let world = World::new();
            if proven {
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
            assert!(!proven || world.get(JANE).await.status() == 200);
        }
    }
    let (one_by_one, at_once) = calls.split_at(2);
    assert!(at_once.iter().zip(one_by_one).all(|(at_once, one_by_one)| at_once <= one_by_one), "{calls:?}");
    assert!(one_by_one.iter().all(|calls| *calls <= 4), "{calls:?}");
}

/// An attack and an outage together: the mark of the right password isn't used up by what never reached Clerk.
#[tokio::test(start_paused = true)]
async fn k13_an_outage_under_attack_makes_no_right_password_wrong() {
    let ttl = 15 * MINUTE;
    let world = World::with(|fake| fake, |engine| engine.session_ttl(ttl));
    assert_eq!(world.get(JANE).await.status(), 200);
    for at in 0..8 {
        ask(&world.layer(), basic((JANE.0, &format!("guess {at}")))).await;
    }
    // The proof is due while Clerk is away, and ends.
    tokio::time::sleep(ttl.mul_f64(0.8)).await;
    world.fake.script_always(Endpoint::SignIns, Fault::Status(503));
    let away = Instant::now();
    while away.elapsed() < 5 * MINUTE {
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

/// The session goes at Clerk twice within a minute, under attack: that is no reason to call the password wrong.
#[tokio::test(start_paused = true)]
async fn k13_a_proven_password_that_has_to_rest_is_503_and_not_401() {
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

/// `\u{130}`, a capital I with a dot, is `i` to Clerk, which is written in Go; Rust makes two characters of it.
#[tokio::test(start_paused = true)]
async fn p3_a_letter_that_rust_and_clerk_lower_differently_opens_no_second_count() {
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

/// A user name may hold hyphens, so it can be spelled like somebody's phone number.
#[tokio::test(start_paused = true)]
async fn p3_the_owner_of_a_user_name_that_looks_like_a_number_clears_no_count_of_that_number() {
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

/// The failures of one identifier at Clerk, and how many times it said that the account is locked.
fn failures_of(world: &World, identifier: &str) -> (usize, usize) {
    let sign_ins = world.fake.requests_to(Endpoint::SignIns);
    let of = sign_ins.iter().filter(|request| request.form("identifier") == Some(identifier));
    let statuses: Vec<_> = of.filter_map(|request| Some(request.status()?.as_u16())).collect();
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    (count(422), count(403))
}

/// An answer that is neither yes nor no takes nothing from a credential that was proven.
#[tokio::test(start_paused = true)]
async fn k13_an_answer_that_is_no_judgement_leaves_the_mark_of_a_proven_credential() {
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

/// The password was right once and is not any more. That is no guess, so all of the guesses that are free are left.
#[tokio::test(start_paused = true)]
async fn k13_the_refusal_of_a_trusted_credential_is_counted_as_no_failure() {
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
