//! Guesses of a password while ordinary changes of its user are told, with the stand-in as the sender (rules P3, W5).

use super::SECOND;
use super::app::{Accepts, App, Provider};
use super::changes::with_ids;
use crate::common::{JANE, authorization};

/// Changes that leave a password as it is. An attacker may be able to cause some of them.
const ORDINARY: [&str; 3] = [
    r#"PATCH /v1/users/{jane} {"first_name":"Janet"}"#,
    r#"PATCH /v1/users/{jane} {"first_name":"Jane"}"#,
    "POST /v1/users/{jane}/unlock",
];

/// The answers to ninety guesses, each made twice, and to the user's own requests among them. With the calls that reached
/// Clerk.
async fn guess(provider: Provider, with_events: bool) -> (Vec<String>, [usize; 3]) {
    let app = App::in_process(provider, Accepts::Basic);
    assert_eq!(app.ask("/me", JANE).await, "personal");
    app.settle().await;
    app.world.fake.clear_log();
    let mut answers = Vec::new();
    for at in 0..180 {
        let guess = authorization((JANE.0, &format!("guess {}", at / 2)));
        answers.push(app.ask_with("/me", &guess).await);
        if at % 20 == 19 {
            answers.push(app.ask("/me", JANE).await);
        }
        if with_events {
            app.change(&with_ids(&app.world, ORDINARY[at % ORDINARY.len()]).unwrap()).await;
        }
        tokio::time::advance(5 * SECOND).await;
    }
    let delivered = app.world.fake.deliveries().len();
    assert!(if with_events { delivered >= 180 } else { delivered < 10 }, "{delivered}");
    (answers, app.cost())
}

#[tokio::test(start_paused = true)]
async fn w5_events_of_the_sender_about_ordinary_changes_gain_an_attacker_no_guess() {
    for provider in [Provider::Frontend, Provider::Backend] {
        let (quiet, quiet_cost) = guess(provider, false).await;
        let (told, told_cost) = guess(provider, true).await;
        assert_eq!(told, quiet, "{provider:?}");
        assert_eq!(told_cost, quiet_cost, "{provider:?}: calls that reach Clerk");
        let count = |code: &str| quiet.iter().filter(|it| *it == code).count();
        assert!(count("throttled") > 50, "{provider:?}: {quiet:?}");
        assert_eq!(count("personal"), 9, "{provider:?}: the user's own requests");
    }
}
