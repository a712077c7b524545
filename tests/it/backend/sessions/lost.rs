//! Session stores that lose every session.

use super::{REVOCATIONS, ended};
use crate::common::{JANE, World, session};
use crate::stores::{SESSION, StoreFile};

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_ends_a_session_that_no_store_holds() {
    for (name, revoke) in REVOCATIONS {
        let store = StoreFile::new();
        let world = World::backend_with(|fake| fake, |engine| engine.store(store.open()));
        let response = world.get(JANE).await;
        store.lose(SESSION).await;
        store.lose_logins().await;
        revoke(&world, session(&response).user_id(), session(&response).session_id());
        assert_eq!(ended(&world).await, 1, "{name}");
        assert_eq!(world.fake.live_sessions(), 0, "{name}");
    }
}
