//! Two processes on one store at a time, as in a deploy or while an account is enrolled.

use super::{Api, BOTH, MINUTE, same};
use crate::common::{JANE, NEWDEVICE, code, enroll, rest, session, settle};
use crate::stores::StoreFile;
use tower_clerk::testing::Endpoint;

#[tokio::test(start_paused = true)]
async fn s10_a_device_that_another_process_enrolls_is_known_to_the_server_at_once() {
    let store = StoreFile::new();
    let server = Api::Frontend.world(&store, same);
    assert_eq!(code(&server.get(NEWDEVICE).await), "account_action_required");
    rest().await;
    let tool = Api::Frontend.next(&server, &store, same);
    enroll(&tool, NEWDEVICE).await;
    assert_eq!(server.get(NEWDEVICE).await.status(), 200);
    assert_eq!(server.fake.count(Endpoint::PrepareSecondFactor), 1);
}

/// The new process renews the proofs that it has adopted, and the old one goes on meanwhile.
#[tokio::test(start_paused = true)]
async fn h2_an_old_and_a_new_process_serve_a_user_with_the_sign_ins_of_one() {
    for api in BOTH {
        let store = StoreFile::new();
        let old = api.world(&store, |engine| engine.proof_renewal(false));
        assert_eq!(old.get(JANE).await.status(), 200);
        settle().await;
        let new = api.next(&old, &store, same);
        for _ in 0..200 {
            for world in [&old, &new] {
                let response = world.get(JANE).await;
                assert_eq!(response.status(), 200, "{api:?}: {}", code(&response));
            }
            settle().await;
            tokio::time::sleep(MINUTE).await;
        }
        // A sign-in of one hour, of which the last fifth or so is renewed ahead.
        let proofs = api.proofs(&new);
        assert!(proofs <= 6, "{api:?}: {proofs} proofs in 200 minutes");
        assert_eq!(new.fake.live_sessions(), 1, "{api:?}");
        assert_eq!(
            session(&old.get(JANE).await).session_id(),
            session(&new.get(JANE).await).session_id(),
            "{api:?}"
        );
    }
}
