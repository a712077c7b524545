//! Reads of single objects at Clerk (rules Y2, Y3, Y7).

use std::time::Duration;

use fake_clerk::{Endpoint, FakeClerk, FakeOrganization, FakeUser, Fault};
use http::StatusCode;
use serde_json::json;
use tower_clerk::backend::BackendClient;
use tower_clerk_sync::{Mirror, MirrorBuilder, MirrorErrorKind, Replay};

use crate::support::{Database, each};
use crate::world::{World, texts};

const SECOND: Duration = Duration::from_secs(1);

/// A world whose mirror reads from the stand-in.
async fn world(url: &str, settings: impl FnOnce(MirrorBuilder) -> MirrorBuilder) -> World {
    let fake = FakeClerk::builder().empty().no_rate_limit().build();
    let client = client(&fake);
    let mirror = settings(Mirror::builder(url).client(client)).connect().await.unwrap();
    World::of(fake, mirror)
}

fn client(fake: &FakeClerk) -> BackendClient {
    BackendClient::builder(fake.secret_key())
        .backend_url(fake.backend_url())
        .transport(fake.clone())
        .backend_rate(1_000_000, SECOND)
        .list_rate(1_000_000, SECOND)
        .build()
        .unwrap()
}

/// Waits until a query gives these texts.
async fn until(url: &str, sql: &str, expected: &[&str]) {
    let wait = async {
        while texts(url, sql).await != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(30 * SECOND, wait).await.expect("it happens in time");
}

const NAMES: &str = "SELECT first_name FROM clerk_users ORDER BY first_name";

#[tokio::test]
async fn y7_a_user_who_signs_in_before_the_webhook_is_read_once_in_the_background() {
    each(async |database: &Database| {
        let World { fake, mirror, .. } = world(&database.url, |it| it).await;
        fake.hold_webhooks();
        let jane = fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
        for _ in 0..100 {
            mirror.ensure_user(&jane);
        }
        until(&database.url, NAMES, &["Jane"]).await;
        mirror.ensure_user(&jane);
        assert_eq!(fake.count(Endpoint::User), 1);
        // A user who came by a webhook costs no call.
        let bob = fake.add_user(FakeUser::new("bob@example.com").name("Bob", "Doe"));
        fake.release_webhooks();
        fake.settle_webhooks().await;
        mirror.ensure_user(&bob);
        // One who comes after shows that the look-up before has ended.
        fake.hold_webhooks();
        let carol = fake.add_user(FakeUser::new("carol@example.com").name("Carol", "Doe"));
        mirror.ensure_user(&carol);
        until(&database.url, NAMES, &["Bob", "Carol", "Jane"]).await;
        assert_eq!(fake.count(Endpoint::User), 2);
    })
    .await;
}

#[tokio::test]
async fn y7_a_user_who_is_not_at_clerk_gets_no_row_and_no_tombstone() {
    each(async |database: &Database| {
        let World { fake, mirror, .. } = world(&database.url, |it| it).await;
        fake.hold_webhooks();
        for _ in 0..10 {
            mirror.ensure_user("user_2pqaQ9F4o9MNRSlx8VeMRn5hZuh");
        }
        let jane = fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
        mirror.ensure_user(&jane);
        until(&database.url, NAMES, &["Jane"]).await;
        let wait = async {
            while fake.count(Endpoint::User) < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(30 * SECOND, wait).await.unwrap();
        assert_eq!(texts(&database.url, "SELECT id FROM clerk_mirror_users").await, [jane]);
    })
    .await;
}

#[tokio::test]
async fn y2_with_refetch_an_event_is_a_hint_and_the_user_is_read() {
    each(async |database: &Database| {
        let World { fake, .. } = world(&database.url, |it| it.refetch(true)).await;
        fake.hold_webhooks();
        let jane = fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
        fake.add_user(FakeUser::new("bob@example.com").name("Bob", "Doe"));
        // It doesn't bump `updated_at`, and has no event.
        fake.edit_user_silently(&jane, |user| user.name("Janet", "Doe"));
        let ids: Vec<String> = fake.deliveries().iter().map(|it| it.id().to_owned()).collect();
        assert_eq!(fake.deliver_webhooks([&ids[0]]).await, [Some(StatusCode::NO_CONTENT)]);
        assert_eq!(texts(&database.url, NAMES).await, ["Janet"]);
        if !database.is_postgres {
            // Clerk is away: the event comes again. Once is enough, as the client's repeats take their time.
            fake.script_times(Endpoint::User, 4, Fault::Status(500));
            assert_eq!(fake.deliver_webhooks([&ids[1]]).await, [Some(StatusCode::SERVICE_UNAVAILABLE)]);
            assert_eq!(texts(&database.url, NAMES).await, ["Janet"]);
        }
        assert_eq!(fake.deliver_webhooks([&ids[1]]).await, [Some(StatusCode::NO_CONTENT)]);
        assert_eq!(texts(&database.url, NAMES).await, ["Bob", "Janet"]);
        // Gone since.
        let carol = fake.add_user(FakeUser::new("carol@example.com").name("Carol", "Doe"));
        let event = fake.deliveries().last().unwrap().id().to_owned();
        fake.delete_user(&carol);
        assert_eq!(fake.deliver_webhooks([&event]).await, [Some(StatusCode::NO_CONTENT)]);
        assert_eq!(texts(&database.url, NAMES).await, ["Bob", "Janet"]);
        let tombstones = "SELECT id FROM clerk_mirror_users WHERE deleted_at IS NOT NULL";
        assert_eq!(texts(&database.url, tombstones).await, [carol]);
    })
    .await;
}

#[tokio::test]
async fn y2_an_answer_to_a_refetch_that_can_not_be_read_lets_the_event_come_again() {
    // The database has no part in it.
    let database = Database::sqlite();
    let World { fake, mirror, .. } = world(&database.url, |it| it.refetch(true)).await;
    fake.hold_webhooks();
    fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
    let event = fake.deliveries()[0].id().to_owned();
    for fault in [Fault::NotJson, Fault::Html(200), Fault::StatusWithCode(409, "a_code_of_tomorrow".into())] {
        fake.script_times(Endpoint::User, 4, fault.clone());
        assert_eq!(
            fake.deliver_webhooks([&event]).await,
            [Some(StatusCode::SERVICE_UNAVAILABLE)],
            "{fault:?}"
        );
        assert_eq!(mirror.quarantined().await.unwrap(), [], "{fault:?}");
        fake.clear_script(Endpoint::User);
    }
    assert_eq!(fake.deliver_webhooks([&event]).await, [Some(StatusCode::NO_CONTENT)]);
    assert_eq!(texts(&database.url, NAMES).await, ["Jane"]);
}

#[tokio::test]
async fn y2_a_key_of_another_instance_deletes_nothing() {
    each(async |database: &Database| {
        let World { fake, .. } = World::new(&database.url).await;
        let jane = fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
        fake.settle_webhooks().await;
        // The same mirror, by the key of an instance in which there is no Jane.
        let other = FakeClerk::builder().empty().no_rate_limit().host("other.clerk.accounts.dev").build();
        let mirror =
            Mirror::builder(&database.url).client(client(&other)).refetch(true).connect().await.unwrap();
        let world = World::of(fake, mirror.clone());
        world.fake.hold_webhooks();
        world.fake.ban(&jane);
        let event = world.fake.deliveries().last().unwrap().id().to_owned();
        let answers = world.fake.deliver_webhooks([&event]).await;
        assert!(answers.contains(&Some(StatusCode::SERVICE_UNAVAILABLE)), "{answers:?}");
        mirror.ensure_user("user_2pqaQ9F4o9MNRSlx8VeMRn5hZuh");
        let error = mirror.replay("msg_none").await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Unfit);
        assert_eq!(texts(&database.url, NAMES).await, ["Jane"]);
        assert_eq!(other.count(Endpoint::User), 0);
    })
    .await;
}

#[tokio::test]
async fn y3_a_replay_reads_the_object_that_could_not_be_applied() {
    each(async |database: &Database| {
        let World { fake, mirror, .. } = world(&database.url, |it| it).await;
        fake.hold_webhooks();
        let jane = fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
        let acme = fake.add_organization(FakeOrganization::new("acme").name("Acme"));
        fake.add_member(&jane, &acme, "org:member");
        let membership = fake.deliveries().last().unwrap().body().clone();
        let mut membership: serde_json::Value = serde_json::from_slice(&membership).unwrap();
        let mut membership = membership["data"].take();
        membership["created_at"] = json!("yesterday");
        fake.release_webhooks();
        for (event, data) in [
            ("user.updated", json!({ "id": jane, "updated_at": "now" })),
            ("organization.updated", json!({ "id": acme })),
            ("organizationMembership.updated", membership),
            ("user.updated", json!({ "id": "user_2pqaQ9F4o9MNRSlx8VeMRn5hZuh" })),
            ("user.updated", json!({})),
        ] {
            fake.send_webhook(event, data);
        }
        fake.settle_webhooks().await;
        let quarantined = mirror.quarantined().await.unwrap();
        assert_eq!(quarantined.len(), 5);
        for entry in &quarantined {
            let replayed = mirror.replay(&entry.message_id).await;
            match entry.object_id.as_deref() {
                None => assert_eq!(replayed.unwrap_err().kind(), MirrorErrorKind::Unfit),
                Some("user_2pqaQ9F4o9MNRSlx8VeMRn5hZuh") => assert_eq!(replayed.unwrap(), Replay::Deleted),
                Some(_) => assert_eq!(replayed.unwrap(), Replay::Applied),
            }
        }
        assert_eq!(mirror.quarantined().await.unwrap().len(), 1);
        let rows = "SELECT u.first_name || o.name || m.role FROM clerk_users u, clerk_organizations o, clerk_memberships m";
        assert_eq!(texts(&database.url, rows).await, ["JaneAcmeorg:member"]);
    })
    .await;
}

#[tokio::test]
async fn y7_settings_that_need_a_client_are_refused_without_one() {
    let database = Database::sqlite();
    let error = Mirror::builder(&database.url).refetch(true).connect().await.unwrap_err();
    assert_eq!(error.kind(), MirrorErrorKind::Setting);
}
