//! The budget of sign-ins of a process that begins where another one has ended (rule P1).

use tower_clerk::testing::{Clock, Endpoint, FakeUser};

use super::HOUR;
use crate::common::{BOB, JANE, World, builder, settle};
use crate::stores::StoreFile;

#[tokio::test(start_paused = true)]
async fn p1_a_restarted_process_counts_the_sign_ins_of_the_one_before() {
    let store = StoreFile::new();
    let first = World::with(|fake| fake, |engine| engine.store(store.open()));
    let users: Vec<_> = (0..10).map(|at| (format!("user{at}"), format!("password {at}"))).collect();
    for (name, password) in &users {
        first.fake.add_user(FakeUser::new(name).password(password));
    }
    for (name, password) in &users[..5] {
        assert_eq!(first.get_as(name, password).await.status(), 200);
    }
    settle().await;
    let clerk = builder(&first.fake, first.clock).store(store.open()).build().unwrap();
    let again = World { clerk, ..first.clone() };
    for (name, password) in &users[5..] {
        assert_eq!(again.get_as(name, password).await.status(), 200);
    }
    let limited = |status: http::StatusCode| status == 429;
    let requests = first.fake.requests_to(Endpoint::SignIns);
    assert!(!requests.iter().any(|it| it.status().is_some_and(limited)), "Clerk has answered 429");
    assert_eq!(requests.len(), 10);
}

/// The process before this one began with a clock that was a day fast, and has not heard Clerk's time before its first
/// sign-in.
#[tokio::test(start_paused = true)]
async fn k2_a_sign_in_by_a_fast_clock_ends_no_proof_of_the_next_process() {
    let store = StoreFile::new();
    let first = World::with(|fake| fake, |engine| engine.store(store.open()));
    assert_eq!(first.get(JANE).await.status(), 200);
    settle().await;
    let fast = Clock::starting_at(first.clock.wall() + 24 * HOUR);
    let clerk = builder(&first.fake, fast).store(store.open()).build().unwrap();
    assert_eq!(World { clerk, ..first.clone() }.get(BOB).await.status(), 200);
    settle().await;
    first.fake.clear_log();
    let clerk = builder(&first.fake, first.clock).store(store.open()).build().unwrap();
    assert_eq!(World { clerk, ..first.clone() }.get(JANE).await.status(), 200);
    assert_eq!(first.fake.count(Endpoint::SignIns), 0);
}
