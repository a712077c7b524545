//! Applying events (rule Y3).

use super::*;
use crate::error::MirrorErrorKind;
use crate::support::each;

#[tokio::test]
async fn y3_an_event_is_applied_once() {
    each(async |database| {
        let mirror = mirror(database).await;
        let jane = user("user_1", "Jane", T);
        assert_eq!(mirror.event_again("msg_1", "user.created", T, &jane).await, Outcome::Applied);
        assert_eq!(mirror.event_again("msg_1", "user.created", T, &jane).await, Outcome::Duplicate);
        assert_eq!(mirror.told().await, ["user user_1 created"]);
    })
    .await;
}

#[tokio::test]
async fn y3_of_many_deliveries_of_an_event_at_once_one_is_applied() {
    each(async |database| {
        let mirror = mirror(database).await;
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let mirror = mirror.clone();
                tokio::spawn(async move {
                    mirror.event_again("msg_1", "user.created", T, &user("user_1", "Jane", T)).await
                })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            applied += usize::from(task.await.unwrap() == Outcome::Applied);
        }
        assert_eq!(applied, 1);
        assert_eq!(mirror.number("SELECT revision FROM clerk_mirror_users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn y3_an_id_is_noted_only_together_with_its_effect() {
    each(async |database| {
        let mirror = mirror(database).await;
        let json = json!({ "type": "user.created", "data": user("user_1", "Jane", T) }).to_string();
        let message =
            Message { id: "msg_1", event_type: "user.created", at: T, instance: Some(INSTANCE), json: &json };
        // The table of the feed is away, so that the transaction fails after the id and the row were written.
        let rename = async |from: &str, to: &str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(mirror.pool()).await.unwrap();
        };
        rename("clerk_changes", "away").await;
        let error = mirror.apply_event(message).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Database, "{error}");
        rename("away", "clerk_changes").await;
        assert_eq!(mirror.first_names().await, Vec::<String>::new());
        assert_eq!(mirror.apply_event(message).await.unwrap(), Outcome::Applied);
        assert_eq!(mirror.first_names().await, ["Jane"]);
    })
    .await;
}

#[tokio::test]
async fn y3_events_of_other_objects_leave_the_database_alone() {
    each(async |database| {
        let mirror = mirror(database).await;
        for event_type in ["session.created", "organizationDomain.created", "user.exploded", "user", ""] {
            assert_eq!(mirror.event(event_type, T, &user("user_1", "Jane", T)).await, Outcome::Ignored);
        }
        assert_eq!(mirror.number("SELECT COUNT(*) FROM clerk_mirror_deliveries").await, 0);
    })
    .await;
}

#[tokio::test]
async fn y3_an_event_that_can_not_be_applied_is_quarantined_without_its_content() {
    each(async |database| {
        let mirror = mirror(database).await;
        let with = |field: &str, value: Json| {
            let mut user = user("user_1", "Jane", T);
            user[field] = value;
            user
        };
        let deep = (0..200).fold(json!("x"), |json, _| json!([json]));
        let poison = [
            (with("updated_at", Json::Null), "a field is missing, or of another type than Clerk describes"),
            (
                with("first_name", json!(["secret"])),
                "a field is missing, or of another type than Clerk describes",
            ),
            (
                with("first_name", json!("a\0b")),
                "a text holds the character NUL, which PostgreSQL can't store",
            ),
            (
                with("public_metadata", json!({"a": ["\0"]})),
                "its public metadata holds the character NUL, which PostgreSQL can't store",
            ),
            (
                with("public_metadata", json!({ "deep": deep })),
                "its public metadata is nested more than 127 levels deep, or holds a number out of range",
            ),
        ];
        for (at, (data, reason)) in poison.iter().enumerate() {
            let id = format!("msg_{at}");
            assert_eq!(mirror.event_again(&id, "user.updated", T, data).await, Outcome::Quarantined);
            let quarantined = mirror.quarantined().await.unwrap();
            let entry = quarantined.iter().find(|it| it.message_id == id).unwrap();
            assert_eq!((entry.reason.as_str(), entry.object_id.as_deref()), (*reason, Some("user_1")));
        }
        let nameless = mirror.event_again("msg_9", "user.deleted", T, &json!({ "deleted": true })).await;
        assert_eq!(nameless, Outcome::Quarantined);
        assert_eq!(mirror.quarantined().await.unwrap().len(), 6);
        assert_eq!(mirror.first_names().await, Vec::<String>::new());
        // It comes again, to a program that can apply it.
        let jane = user("user_1", "Jane", T);
        assert_eq!(mirror.event_again("msg_0", "user.updated", T, &jane).await, Outcome::Applied);
        mirror.tidy().await.unwrap();
        assert_eq!(mirror.quarantined().await.unwrap().len(), 5);
        assert!(mirror.discard_quarantined("msg_1").await.unwrap());
        assert!(!mirror.discard_quarantined("msg_1").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn y3_what_the_database_itself_refuses_is_quarantined() {
    let Some(database) = Database::postgres().await else { return };
    let mirror = mirror(&database).await;
    // Too long for an index: PostgreSQL takes at most 2,704 bytes that it can't compress.
    let long: String = (0..200u8).map(|at| blake3::hash(&[at]).to_hex().to_string()).collect();
    let mut huge = user("user_1", "Jane", T);
    huge["external_id"] = json!(long);
    let outcome = mirror.event("user.created", T, &huge).await;
    assert_eq!(outcome, Outcome::Quarantined);
    let entries = [huge.to_string(), user("user_2", "Bob", T).to_string()];
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let applied = mirror.apply_page(crate::kind::Kind::User, T, &entries, None).await.unwrap();
    assert_eq!((applied.created, applied.unfit), (1, 1));
    assert_eq!(mirror.first_names().await, ["Bob"]);
}

#[tokio::test]
async fn y3_an_event_of_another_instance_is_quarantined() {
    each(async |database| {
        let mirror = mirror(database).await;
        let json = json!({ "type": "user.created", "data": user("user_1", "Jane", T) }).to_string();
        let message = Message {
            id: "msg_1",
            event_type: "user.created",
            at: T,
            instance: Some("ins_other"),
            json: &json,
        };
        assert_eq!(mirror.apply_event(message).await.unwrap(), Outcome::Quarantined);
        assert_eq!(mirror.quarantined().await.unwrap()[0].reason, "it is of another Clerk instance");
        assert_eq!(mirror.first_names().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn y1_a_mirror_without_an_instance_takes_that_of_the_first_event_and_keeps_it() {
    each(async |database| {
        let mirror = Mirror::connect(&database.url).await.unwrap();
        assert_eq!(mirror.instance_id(), None);
        assert_eq!(mirror.event("user.created", T, &user("user_1", "Jane", T)).await, Outcome::Applied);
        assert_eq!(mirror.instance_id(), Some(INSTANCE));
        drop(mirror);
        let mirror = Mirror::connect(&database.url).await.unwrap();
        assert_eq!(mirror.instance_id(), Some(INSTANCE));
        let error = mirror.bind("ins_other").await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::WrongInstance);
        // A second one has to be named, and shares nothing but the tables.
        let other = Mirror::builder(&database.url).instance("ins_other").connect().await.unwrap();
        assert_eq!(other.status().await.unwrap().counts[0].live, 0);
        assert_eq!(mirror.status().await.unwrap().counts[0].live, 1);
        let error = Mirror::connect(&database.url).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Setting);
    })
    .await;
}

#[tokio::test]
async fn y3_ids_of_events_are_kept_for_two_days() {
    each(async |database| {
        let mirror = mirror(database).await;
        let jane = user("user_1", "Jane", T);
        mirror.event_again("msg_1", "user.created", T, &jane).await;
        let later = mirror.after(48 * 3_600_000 + 600_000);
        later.event_again("msg_2", "user.updated", T + 1, &jane).await;
        mirror.after(48 * 3_600_000 - 600_000).tidy().await.unwrap();
        assert_eq!(mirror.number("SELECT COUNT(*) FROM clerk_mirror_deliveries").await, 2);
        later.tidy().await.unwrap();
        assert_eq!(mirror.texts("SELECT message_id FROM clerk_mirror_deliveries").await, ["msg_2"]);
        // The newest one stays, for the age of the last event.
        mirror.after(500 * 3_600_000).tidy().await.unwrap();
        assert_eq!(mirror.status().await.unwrap().last_event_at, Some(time(T + 1)));
    })
    .await;
}
