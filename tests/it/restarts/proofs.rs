//! Proofs and sessions go on after a restart.

use tower_clerk::testing::{Endpoint, FakeUser};

use super::{Api, BOTH, HOUR, MINUTE, same};
use crate::common::{BOB, CAROL, JANE, code, organization_of, session, settle};
use crate::stores::{LOGIN, StoreFile};

#[tokio::test(start_paused = true)]
async fn h2_a_restart_costs_no_sign_in_on_either_api() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        let users: Vec<_> = (0..20).map(|at| (format!("user{at}"), format!("password {at}"))).collect();
        let mut ids = Vec::new();
        for (name, password) in &users {
            first.fake.add_user(FakeUser::new(name).password(password));
            ids.push(session(&first.get_as(name, password).await).session_id().to_owned());
        }
        settle().await;
        assert_eq!(store.count(LOGIN), 20, "{api:?}");
        first.fake.clear_log();
        let again = api.next(&first, &store, same);
        for ((name, password), id) in users.iter().zip(&ids) {
            assert_eq!(session(&again.get_as(name, password).await).session_id(), id, "{api:?}");
        }
        assert_eq!(first.fake.count(Endpoint::SignIns), 0, "{api:?}");
        assert_eq!(first.fake.count(Endpoint::VerifyPassword), 0, "{api:?}");
        assert_eq!(first.fake.live_sessions(), 20, "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn h2_an_adopted_session_serves_the_users_organizations_and_templates() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        assert_eq!(organization_of(&first.get_for(JANE, "acme").await), Some("acme"));
        settle().await;
        let again = api.next(&first, &store, same);
        for name in ["acme", "globex", "acme"] {
            assert_eq!(organization_of(&again.get_for(JANE, name).await), Some(name), "{api:?}");
        }
        assert_eq!(organization_of(&again.get(JANE).await), None, "{api:?}");
        assert_eq!(code(&again.get_for(BOB, "globex").await), "organization_forbidden", "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k2_a_proof_ends_after_a_restart_when_it_would_have() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, |engine| engine.proof_renewal(false));
        assert_eq!(first.get(JANE).await.status(), 200);
        tokio::time::sleep(30 * MINUTE).await;
        let again = api.next(&first, &store, |engine| engine.proof_renewal(false));
        first.fake.clear_log();
        assert_eq!(again.get(JANE).await.status(), 200);
        // Jitter ends a proof up to three minutes early.
        tokio::time::sleep(26 * MINUTE).await;
        assert_eq!(again.get(JANE).await.status(), 200);
        assert_eq!(api.proofs(&again), 0, "{api:?}");
        tokio::time::sleep(4 * MINUTE).await;
        assert_eq!(again.get(JANE).await.status(), 200);
        assert_eq!(api.proofs(&again), 1, "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k2_a_lowered_session_ttl_shortens_the_proofs_of_records() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        assert_eq!(first.get(JANE).await.status(), 200);
        tokio::time::sleep(10 * MINUTE).await;
        first.fake.clear_log();
        let again = api.next(&first, &store, |engine| engine.session_ttl(5 * MINUTE));
        assert_eq!(again.get(JANE).await.status(), 200);
        assert_eq!(api.proofs(&again), 1, "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k12_an_adopted_proof_is_renewed_ahead_of_its_end() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        assert_eq!(first.get(JANE).await.status(), 200);
        tokio::time::sleep(30 * MINUTE).await;
        let again = api.next(&first, &store, same);
        first.fake.clear_log();
        for _ in 0..60 {
            assert_eq!(again.get(JANE).await.status(), 200);
            tokio::time::sleep(MINUTE).await;
        }
        let proofs = api.proofs(&again);
        assert!((1..=2).contains(&proofs), "{api:?}: {proofs}");
        // The next process goes on from the renewed proof.
        settle().await;
        first.fake.clear_log();
        let third = api.next(&first, &store, |engine| engine.proof_renewal(false));
        assert_eq!(third.get(JANE).await.status(), 200);
        assert_eq!(api.proofs(&third), 0, "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k5_a_guess_opens_no_record_and_costs_its_user_nothing() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        let id = session(&first.get(JANE).await).session_id().to_owned();
        settle().await;
        let again = api.next(&first, &store, same);
        // No more than are free of a pause, which would be one for the other spelling as well.
        for guess in ["one", "two"] {
            assert_ne!(again.get((JANE.0, guess)).await.status(), 200, "{api:?}");
        }
        first.fake.clear_log();
        assert_eq!(session(&again.get(JANE).await).session_id(), id, "{api:?}");
        assert_eq!(api.proofs(&again), 0, "{api:?}");
        // Another spelling is another record.
        assert_eq!(again.get(("jane", JANE.1)).await.status(), 200);
        assert_eq!(api.proofs(&again), 1, "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k6_a_password_that_was_changed_meanwhile_works_at_once() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        assert_eq!(first.get(JANE).await.status(), 200);
        settle().await;
        first.fake.set_password("jane", "a new one");
        let again = api.next(&first, &store, same);
        assert_eq!(again.get((JANE.0, "a new one")).await.status(), 200, "{api:?}");
        settle().await;
        // The new password has taken the record over.
        let third = api.next(&first, &store, same);
        first.fake.clear_log();
        assert_eq!(third.get((JANE.0, "a new one")).await.status(), 200, "{api:?}");
        assert_eq!(api.proofs(&third), 0, "{api:?}");
        assert_eq!(code(&third.get(JANE).await), "credentials_rejected", "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k13_a_credential_is_trusted_after_a_restart_though_its_proof_has_ended() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        for pair in [JANE, CAROL] {
            assert_eq!(first.get(pair).await.status(), 200);
        }
        settle().await;
        first.clerk.shutdown(MINUTE).await;
        tokio::time::sleep(3 * HOUR).await;
        let again = api.next(&first, &store, same);
        for guess in ["one", "two", "three", "four", "five", "six"] {
            again.get((JANE.0, guess)).await;
        }
        assert_eq!(code(&again.get((JANE.0, "seven")).await), "throttled", "{api:?}");
        assert_eq!(again.get(JANE).await.status(), 200, "{api:?}: the pause is not for a trusted credential");
        assert_eq!(again.get(CAROL).await.status(), 200, "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k4_a_session_that_clerk_ended_meanwhile_is_replaced_with_one_sign_in() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        let id = session(&first.get(JANE).await).session_id().to_owned();
        settle().await;
        assert!(first.fake.revoke_session(&id));
        first.fake.clear_log();
        let again = api.next(&first, &store, same);
        let response = again.get(JANE).await;
        assert_eq!(response.status(), 200, "{api:?}: {}", code(&response));
        assert_ne!(session(&response).session_id(), id, "{api:?}");
        assert_eq!(first.fake.count(Endpoint::SignIns), 1, "{api:?}");
        // The next process doesn't find the ended session any more.
        settle().await;
        first.fake.clear_log();
        let third = api.next(&first, &store, same);
        assert_eq!(session(&third.get(JANE).await).session_id(), session(&response).session_id(), "{api:?}");
        assert_eq!(first.fake.count(Endpoint::SignIns), 0, "{api:?}");
    }
}

/// Sixteen requests at once with one credential adopt its record once.
#[tokio::test(start_paused = true)]
async fn k8_concurrent_requests_share_one_adoption() {
    for api in [Api::Frontend, Api::Backend] {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        assert_eq!(first.get(JANE).await.status(), 200);
        settle().await;
        first.fake.clear_log();
        let again = api.next(&first, &store, same);
        let requests: tokio::task::JoinSet<_> = (0..16)
            .map(|_| {
                let again = again.clone();
                async move { again.get(JANE).await.status().as_u16() }
            })
            .collect();
        assert_eq!(requests.join_all().await, [200; 16]);
        let calls = again.fake.count(Endpoint::Any) - again.fake.count(Endpoint::Jwks);
        assert_eq!((api.proofs(&again), calls), (0, 1), "{api:?}: one mint");
    }
}
