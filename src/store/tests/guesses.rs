//! Guesses at passwords, and the users who wait beside them (rule H6).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Dir, find, login, open, open_at_full_cost, save};
use crate::store::EngineState;

async fn of_two_users(state: EngineState) -> EngineState {
    for (name, user) in [("ada", "user_1"), ("bob", "user_2")] {
        save(&state, name, "secret", &login(user, "sess_1", "token")).await.unwrap();
    }
    state
}

/// Guesses at Ada's password, and how many of them are answered.
fn guess(state: &EngineState, guesses: usize) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (mut guessing, answered) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for guess in 0..guesses {
        let (state, answered) = (state.clone(), Arc::clone(&answered));
        guessing.spawn(async move {
            assert!(find(&state, "ada", &format!("guess {guess}")).await.is_none());
            answered.fetch_add(1, Ordering::Relaxed);
        });
    }
    (guessing, answered)
}

async fn until_answered(answered: &AtomicUsize, count: usize) {
    let waiting = async {
        while answered.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}

#[tokio::test]
async fn h6_guesses_at_one_user_delay_another_by_one_run_of_the_function_at_most() {
    let dir = Dir::new();
    // With its real cost, which is long beside the time that threads take to wake.
    let state = of_two_users(open_at_full_cost(&dir.path())).await;
    let held = state.logins.as_ref().unwrap().hold_function();
    let (guessing, answered) = guess(&state, 17);
    until_answered(&answered, 1).await;
    let (bobs, before) = (find(&state, "bob", "secret"), Arc::clone(&answered));
    let bob = async { (bobs.await.is_some(), before.load(Ordering::Relaxed)) };
    let release = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(held);
    };
    let ((is_found, answered_before), ()) = tokio::join!(bob, release);
    assert!(is_found);
    // Of 16 that had come first. One would do on an idle machine.
    assert!(answered_before <= 1 + 6, "{answered_before}");
    drop(guessing);
}

#[tokio::test]
async fn h6_more_guesses_than_can_wait_are_turned_away_and_take_no_other_users_place() {
    let dir = Dir::new();
    let state = of_two_users(open(&dir.path())).await;
    let held = state.logins.as_ref().unwrap().hold_function();
    let (mut guessing, answered) = guess(&state, 50);
    until_answered(&answered, 50 - 16).await;
    let bob = tokio::spawn({
        let state = state.clone();
        async move { find(&state, "bob", "secret").await.is_some() }
    });
    // Those who go away make room for others.
    guessing.abort_all();
    while guessing.join_next().await.is_some() {}
    let (second, turned_away) = guess(&state, 17);
    until_answered(&turned_away, 1).await;
    drop(held);
    assert!(bob.await.unwrap());
    second.join_all().await;
    assert!(find(&state, "ada", "secret").await.is_some());
}
