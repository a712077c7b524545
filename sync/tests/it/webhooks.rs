//! From a change at Clerk to a row (rules Y1, Y3).

use fake_clerk::{FakeOrganization, FakeUser};
use http::StatusCode;

use crate::support::each;
use crate::world::{World, texts};

#[tokio::test]
async fn y3_what_changes_at_clerk_is_a_row_after_its_webhook() {
    each(async |database| {
        let World { fake, mirror, .. } = World::new(&database.url).await;
        let rows = async |sql: &str| texts(&database.url, sql).await;
        // One after the other, since deliveries that are under way together arrive in any order.
        let jane = fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
        fake.settle_webhooks().await;
        let acme = fake.add_organization(FakeOrganization::new("acme").name("Acme"));
        fake.settle_webhooks().await;
        fake.add_member(&jane, &acme, "org:admin");
        fake.settle_webhooks().await;
        let join = "SELECT u.first_name || ' is ' || m.role || ' of ' || o.name FROM clerk_memberships m \
                    JOIN clerk_users u ON u.instance_id = m.instance_id AND u.id = m.user_id \
                    JOIN clerk_organizations o ON o.instance_id = m.instance_id AND o.id = m.organization_id";
        assert_eq!(rows(join).await, ["Jane is org:admin of Acme"]);
        fake.change_email(&jane, "jane@example.com", "jane@acme.example");
        fake.settle_webhooks().await;
        assert_eq!(rows("SELECT email FROM clerk_users").await, ["jane@acme.example"]);
        fake.remove_member(&jane, &acme);
        fake.settle_webhooks().await;
        assert_eq!(rows(join).await, Vec::<String>::new());
        fake.delete_user(&jane);
        fake.settle_webhooks().await;
        assert_eq!(rows("SELECT id FROM clerk_users").await, Vec::<String>::new());
        let changes = mirror.changes(0, 100).await.unwrap();
        let changes: Vec<_> = changes.iter().map(|it| format!("{} {}", it.kind, it.change.name())).collect();
        let expected = [
            "user created",
            "organization created",
            "membership created",
            "user updated",
            "membership deleted",
            "user deleted",
        ];
        assert_eq!(changes, expected);
    })
    .await;
}

#[tokio::test]
async fn y3_deliveries_in_any_order_and_twice_end_in_the_last_state() {
    each(async |database| {
        let World { fake, mirror, .. } = World::new(&database.url).await;
        fake.hold_webhooks();
        let jane = fake.add_user(FakeUser::new("jane@example.com"));
        for round in 0..5 {
            // Two changes in the same millisecond can't be told apart.
            let before = fake.clock().wall();
            while fake.clock().wall().duration_since(before).unwrap().as_millis() < 2 {
                tokio::task::yield_now().await;
            }
            fake.change_email(&jane, &address(round), address(round + 1));
        }
        for seed in 0..3 {
            let answers = fake.deliver_webhooks_shuffled(seed).await;
            assert!(answers.iter().all(|answer| *answer == Some(StatusCode::NO_CONTENT)), "{answers:?}");
        }
        assert_eq!(texts(&database.url, "SELECT email FROM clerk_users").await, [address(5)]);
        let status = mirror.status().await.unwrap();
        assert_eq!((status.counts[0].live, status.quarantined), (1, 0));
        assert!(status.last_event_age.unwrap().as_secs() < 60);
    })
    .await;
}

fn address(number: usize) -> String {
    match number {
        0 => "jane@example.com".to_owned(),
        _ => format!("jane{number}@example.com"),
    }
}
