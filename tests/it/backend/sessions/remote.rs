//! Session stores on another machine: slow, or out of reach.

use std::time::Duration;

use super::{MINUTE, REVOCATIONS, ended, sign_ins};
use crate::common::{JANE, World, rejection, session};
use crate::stores::{Nowhere, SharedSessions};
use tower_clerk::store::{SessionStore, StoreFuture, StoredSession};

/// A store on another machine, where a change takes a while.
#[derive(Clone, Default)]
struct Far(SharedSessions);

async fn far() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

impl SessionStore for Far {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        self.0.get(user_id, organization)
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            far().await;
            self.0.put(session).await;
        })
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            far().await;
            self.0.remove(user_id, session_id).await;
        })
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move {
            far().await;
            self.0.take_user(user_id).await
        })
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            far().await;
            self.0.take_session(session_id).await
        })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async move {
            far().await;
            self.0.take_all().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_session_that_no_store_keeps_is_ended_by_a_revocation_all_the_same() {
    for (what, revoke) in REVOCATIONS {
        let world = World::backend_with(|fake| fake, |engine| engine.session_store(Nowhere));
        let response = world.get(JANE).await;
        revoke(&world, session(&response).user_id(), session(&response).session_id());
        assert_eq!(ended(&world).await, 1, "{what}");
        assert_eq!(world.fake.live_sessions(), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn k9_what_was_revoked_is_not_gone_on_with_while_its_store_is_told() {
    for (what, revoke) in REVOCATIONS {
        let world = World::backend_with(|fake| fake, |engine| engine.session_store(Far::default()));
        let response = world.get(JANE).await;
        let id = session(&response).session_id().to_owned();
        revoke(&world, session(&response).user_id(), &id);
        let next = session(&world.get(JANE).await).session_id().to_owned();
        assert_ne!(next, id, "{what}");
        assert_eq!(ended(&world).await, 1, "{what}");
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(session(&world.get(JANE).await).session_id(), next, "{what}: the new one goes on");
        assert_eq!(world.fake.live_sessions(), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn k4_a_session_that_is_gone_is_replaced_while_its_store_is_told() {
    let world = World::backend_with(|fake| fake, |engine| engine.session_store(Far::default()));
    let id = session(&world.get(JANE).await).session_id().to_owned();
    world.fake.revoke_session(&id);
    tokio::time::sleep(2 * MINUTE).await;
    let response = world.get(JANE).await;
    assert_eq!(response.status(), 200, "{:?}", rejection(&response));
    assert_ne!(session(&response).session_id(), id);
    assert_eq!(sign_ins(&world), 2);
}
