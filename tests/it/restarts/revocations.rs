//! Revocations reach the records of a store (rule K9).

use super::{Api, BOTH, HOUR, MINUTE, same};
use crate::common::{JANE, World, session, settle, warm_up};
use crate::stores::{DEVICE, LOGIN, StoreFile};
use tower_clerk::Credentials;
use tower_clerk::testing::FakeUser;

/// A revocation, called with a user id and a session id.
type Revoke = fn(&World, &str, &str);

const REVOCATIONS: [(&str, Revoke); 5] = [
    ("user", |world, user, _| world.clerk.revoke_user(user)),
    ("session", |world, _, session| world.clerk.revoke_session(session)),
    ("all", |world, _, _| world.clerk.revoke_all()),
    ("ended at Clerk", |world, _, session| world.clerk.drop_session(session)),
    ("password changed", |world, user, _| world.clerk.expire_proofs(user, world.clock.wall())),
];

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_is_not_undone_by_a_restart() {
    for api in BOTH {
        for (name, revoke) in REVOCATIONS {
            let store = StoreFile::new();
            let first = api.world(&store, same);
            let response = first.get(JANE).await;
            settle().await;
            assert_eq!(store.count(LOGIN), 1);
            tokio::time::sleep(HOUR / 60).await;
            revoke(&first, session(&response).user_id(), session(&response).session_id());
            settle().await;
            assert_eq!(store.count(LOGIN), 0, "{api:?}, {name}");
            first.fake.clear_log();
            let again = api.next(&first, &store, same);
            assert_eq!(again.get(JANE).await.status(), 200);
            assert_eq!(api.proofs(&again), 1, "{api:?}, {name}");
        }
    }
}

/// The process has never seen the user, and the file is not written to before the next request.
#[tokio::test(start_paused = true)]
async fn k9_a_revocation_after_a_restart_takes_what_was_not_yet_adopted() {
    for api in BOTH {
        for (name, revoke) in REVOCATIONS {
            let store = StoreFile::new();
            let first = api.world(&store, same);
            let response = first.get(JANE).await;
            settle().await;
            tokio::time::sleep(HOUR / 60).await;
            first.fake.clear_log();
            let again = api.next(&first, &store, same);
            revoke(&again, session(&response).user_id(), session(&response).session_id());
            assert_eq!(again.get(JANE).await.status(), 200);
            assert_eq!(api.proofs(&again), 1, "{api:?}, {name}");
        }
    }
}

/// The revocation comes at each point of an adoption.
#[tokio::test(start_paused = true)]
async fn k9_a_revocation_during_an_adoption_supersedes_it() {
    for api in BOTH {
        for steps in 0.. {
            let store = StoreFile::new();
            let first = api.world(&store, same);
            let response = first.get(JANE).await;
            let (user, id) =
                (session(&response).user_id().to_owned(), session(&response).session_id().to_owned());
            settle().await;
            let again = api.next(&first, &store, same);
            let request = {
                let again = again.clone();
                tokio::spawn(async move { again.get(JANE).await })
            };
            for _ in 0..steps {
                tokio::task::yield_now().await;
                // A thread of the store may be at work, which the tasks wait for.
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            let is_over = request.is_finished();
            again.clerk.revoke_user(&user);
            let response = request.await.unwrap();
            assert_eq!(response.status(), 200, "{api:?}, {steps} steps");
            if is_over {
                assert!(steps > 0, "{api:?}");
                break;
            }
            assert_ne!(session(&response).session_id(), id, "{api:?}, {steps} steps");
            assert_ne!(session(&again.get(JANE).await).session_id(), id, "{api:?}, {steps} steps");
        }
    }
}

/// A change from before any flight under way, which only a stored proof can be older than.
#[tokio::test(start_paused = true)]
async fn k9_a_change_of_long_ago_during_an_adoption_supersedes_it() {
    for api in BOTH {
        for steps in 0.. {
            let store = StoreFile::new();
            let first = api.world(&store, |engine| engine.proof_renewal(false));
            let user = session(&first.get(JANE).await).user_id().to_owned();
            settle().await;
            tokio::time::sleep(50 * MINUTE).await;
            first.fake.clear_log();
            let again = api.next(&first, &store, |engine| engine.proof_renewal(false));
            let request = {
                let again = again.clone();
                tokio::spawn(async move { again.get(JANE).await })
            };
            for _ in 0..steps {
                tokio::task::yield_now().await;
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            let is_over = request.is_finished();
            again.clerk.expire_proofs(&user, again.clock.wall() - 10 * MINUTE);
            assert_eq!(request.await.unwrap().status(), 200, "{api:?}, {steps} steps");
            assert_eq!(again.get(JANE).await.status(), 200, "{api:?}, {steps} steps");
            assert_eq!(api.proofs(&again), 1, "{api:?}, {steps} steps");
            if is_over {
                assert!(steps > 0, "{api:?}");
                break;
            }
        }
    }
}

/// The request begins after the revocation's tombstone and, as many sessions are dropped first, while the record may still
/// be in the file. Nothing is written meanwhile, so that the sessions are quickly there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k9_a_sign_in_that_begins_during_a_revocation_adopts_nothing_that_it_removes() {
    let (store, api) = (StoreFile::new(), Api::Frontend);
    let first = api.world(&store, same);
    warm_up(&first.fake).await;
    let id = session(&first.get(JANE).await).session_id().to_owned();
    first.clerk.shutdown(MINUTE).await;
    assert_eq!(store.count(LOGIN), 1);
    let again = api.next(&first, &store, same);
    let other = store.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for at in 0..500 {
        let (name, password) = (format!("user{at}"), format!("password {at}"));
        first.fake.add_user(FakeUser::new(&name).password(&password));
        assert_eq!(again.get_as(&name, &password).await.status(), 200);
    }
    let before = again.clerk.stats().sessions;
    let revoking = {
        let clerk = again.clerk.clone();
        tokio::task::spawn_blocking(move || clerk.revoke_all())
    };
    while again.clerk.stats().sessions == before {
        std::hint::spin_loop();
    }
    again.get(JANE).await;
    revoking.await.unwrap();
    assert_ne!(session(&again.get(JANE).await).session_id(), id);
}

/// The record of a sign-in is written after its commit, and a revocation comes at each point in between.
#[tokio::test(start_paused = true)]
async fn k9_a_revocation_while_a_record_is_written_leaves_no_record() {
    for api in BOTH {
        for steps in 0..40 {
            let store = StoreFile::new();
            let first = api.world(&store, same);
            let response = first.get(JANE).await;
            for _ in 0..steps {
                tokio::task::yield_now().await;
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            first.clerk.revoke_user(session(&response).user_id());
            settle().await;
            assert_eq!(store.count(LOGIN), 0, "{api:?}, {steps} steps");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k10_a_sign_out_removes_the_records_of_all_credentials_on_the_session() {
    let store = StoreFile::new();
    let api = Api::Backend;
    let first = api.world(&store, same);
    for pair in [JANE, ("jane", JANE.1)] {
        assert_eq!(first.get(pair).await.status(), 200);
    }
    settle().await;
    assert_eq!(store.count(LOGIN), 2);
    // This process knows one of the two.
    let again = api.next(&first, &store, same);
    assert_eq!(again.get(JANE).await.status(), 200);
    again.clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();
    // Which waits for the writes.
    again.clerk.shutdown(MINUTE).await;
    assert_eq!((store.count(LOGIN), first.fake.live_sessions()), (0, 0));
}

/// With the Frontend API the known device has the session's client token.
#[tokio::test(start_paused = true)]
async fn k9_a_session_that_was_not_yet_adopted_is_ended_at_clerk_with_its_user() {
    for api in BOTH {
        for (name, revoke) in [REVOCATIONS[0], REVOCATIONS[2]] {
            let store = StoreFile::new();
            let first = api.world(&store, same);
            let response = first.get(JANE).await;
            settle().await;
            let again = api.next(&first, &store, same);
            assert_eq!(first.fake.live_sessions(), 1, "{api:?}, {name}");
            revoke(&again, session(&response).user_id(), session(&response).session_id());
            settle().await;
            assert_eq!(first.fake.live_sessions(), 0, "{api:?}, {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s10_the_end_of_a_session_leaves_its_device_known() {
    let (store, api) = (StoreFile::new(), Api::Frontend);
    let world = api.world(&store, same);
    let response = world.get(JANE).await;
    settle().await;
    world.clerk.revoke_session(session(&response).session_id());
    settle().await;
    assert_eq!((store.count(LOGIN), store.count(DEVICE)), (0, 1));
    assert_eq!(world.get(JANE).await.status(), 200);
    settle().await;
    world.clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();
    world.clerk.shutdown(MINUTE).await;
    assert_eq!((store.count(LOGIN), store.count(DEVICE)), (0, 1));
}
