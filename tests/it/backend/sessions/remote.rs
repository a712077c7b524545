//! Session stores that are slow or lose every session, like stores on another machine.

use std::time::Duration;

use super::{MINUTE, REVOCATIONS, ended, sign_ins};
use crate::common::{JANE, World, rejection, session};
use crate::stores::{EmptyStore, SharedSessions};
use tower_clerk::store::{SessionStore, StoreFuture, StoredSession};

/// A store whose writes take as long as on another machine.
#[derive(Clone, Default)]
struct SlowStore(SharedSessions);

async fn write_delay() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

impl SessionStore for SlowStore {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        self.0.get(user_id, organization)
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            write_delay().await;
            self.0.put(session).await;
        })
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            write_delay().await;
            self.0.remove(user_id, session_id).await;
        })
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move {
            write_delay().await;
            self.0.take_user(user_id).await
        })
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            write_delay().await;
            self.0.take_session(session_id).await
        })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async move {
            write_delay().await;
            self.0.take_all().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_ends_a_session_that_no_store_holds() {
    for (name, revoke) in REVOCATIONS {
        let world = World::backend_with(|fake| fake, |engine| engine.session_store(EmptyStore));
        let response = world.get(JANE).await;
        revoke(&world, session(&response).user_id(), session(&response).session_id());
        assert_eq!(ended(&world).await, 1, "{name}");
        assert_eq!(world.fake.live_sessions(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revoked_session_is_not_reused_while_its_store_is_updated() {
    for (name, revoke) in REVOCATIONS {
        let world = World::backend_with(|fake| fake, |engine| engine.session_store(SlowStore::default()));
        let response = world.get(JANE).await;
        let id = session(&response).session_id().to_owned();
        revoke(&world, session(&response).user_id(), &id);
        let next = session(&world.get(JANE).await).session_id().to_owned();
        assert_ne!(next, id, "{name}");
        assert_eq!(ended(&world).await, 1, "{name}");
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(
            session(&world.get(JANE).await).session_id(),
            next,
            "{name}: the new session stays in use"
        );
        assert_eq!(world.fake.live_sessions(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn k4_a_gone_session_is_replaced_while_its_store_is_updated() {
    let world = World::backend_with(|fake| fake, |engine| engine.session_store(SlowStore::default()));
    let id = session(&world.get(JANE).await).session_id().to_owned();
    world.fake.revoke_session(&id);
    tokio::time::sleep(2 * MINUTE).await;
    let response = world.get(JANE).await;
    assert_eq!(response.status(), 200, "{:?}", rejection(&response));
    assert_ne!(session(&response).session_id(), id);
    assert_eq!(sign_ins(&world), 2);
}
