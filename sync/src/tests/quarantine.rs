//! The bound of the quarantine, and entries that can never be replayed (rule Y3).

use std::time::Duration;

use tower_clerk::backend::BackendClient;
use tower_clerk::testing::{FakeClerk, FakeUser};

use super::*;
use crate::Replay;
use crate::error::MirrorErrorKind;
use crate::support::each;

#[tokio::test]
async fn y3_a_flood_that_fills_the_quarantine_drops_first_what_names_no_object() {
    each(async |database| {
        let mirror = mirror(database).await;
        let poison = mirror.event_again("msg_old", "user.updated", T, &json!({ "id": "user_1" })).await;
        assert_eq!(poison, Outcome::Quarantined);
        let flood = format!(
            "INSERT INTO clerk_mirror_quarantine (instance_id, message_id, event_type, reason, first_at, last_at) \
             WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 10010) \
             SELECT '{INSTANCE}', 'msg_' || number, 'user.updated', 'of another instance', {T} + number, {T} + number FROM numbers"
        );
        sqlx::raw_sql(AssertSqlSafe(flood)).execute(mirror.pool()).await.unwrap();
        mirror.tidy().await.unwrap();
        let kept = mirror.quarantined().await.unwrap();
        assert_eq!(kept.len(), 10_000);
        // The one that can be replayed stays, whatever its age, and of the others the oldest are gone.
        let has = |id: &str| kept.iter().any(|it| it.message_id == id);
        assert!(has("msg_old") && has("msg_12") && !has("msg_11"));
    })
    .await;
}

#[tokio::test]
async fn y3_an_entry_that_can_never_be_replayed_is_no_failure_of_clerks_api() {
    each(async |database| {
        let fake = FakeClerk::builder().empty().no_rate_limit().build();
        let client = BackendClient::builder(fake.secret_key())
            .backend_url(fake.backend_url())
            .transport(fake.clone())
            .list_rate(80, Duration::from_secs(1))
            .build()
            .unwrap();
        let instance = client.instance().await.unwrap().value.id;
        let user_id = fake.add_user(FakeUser::new("jane@example.com"));
        let builder = Mirror::builder(&database.url).instance(&instance).client(client);
        let mirror = builder.connect().await.unwrap();
        let poison = async |id: &str, event_type: &str, data: &Json| {
            let json = json!({ "type": event_type, "data": data }).to_string();
            let message = Message { id, event_type, at: T, instance: Some(&instance), json: &json };
            assert_eq!(mirror.receive(message).await.unwrap(), Outcome::Quarantined);
        };
        // An id that can't be asked for, and a membership whose organization is gone by now.
        poison("msg_1", "user.updated", &json!({ "id": "../users?limit=500" })).await;
        let mut member = membership("orgmem_1", &user_id, "org_gone", T);
        member["updated_at"] = Json::Null;
        poison("msg_2", "organizationMembership.created", &member).await;
        poison("msg_3", "user.updated", &json!({ "id": user_id })).await;
        let refused = mirror.replay("msg_1").await.unwrap_err();
        assert_eq!(refused.kind(), MirrorErrorKind::Unfit, "{refused}");
        assert_eq!(mirror.replay("msg_2").await.unwrap(), Replay::Deleted);
        assert_eq!(mirror.replay("msg_3").await.unwrap(), Replay::Applied);
        let left = mirror.quarantined().await.unwrap();
        assert_eq!(left.iter().map(|it| it.message_id.as_str()).collect::<Vec<_>>(), ["msg_1"]);
    })
    .await;
}

#[tokio::test]
async fn y3_odd_json_is_applied_or_quarantined_and_never_an_error() {
    each(async |database| {
        let mirror = mirror(database).await;
        let number = |digits: &str| format!(r#"{{"n":{digits}}}"#);
        let long = "9".repeat(400);
        for (at, metadata) in [
            r#"{"s":"\ud800"}"#.to_owned(),
            r#"{"s":"\ud83d\ude00"}"#.to_owned(),
            number("1e400"),
            number("1e308"),
            number("-0.0"),
            number(&long),
            number("123456789012345678901234567890"),
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"'; DROP TABLE clerk_mirror_users; --":"$1 \" \\ %s"}"#.to_owned(),
            format!("{}1{}", "[".repeat(126), "]".repeat(126)),
            format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
            "null".to_owned(),
            "\"text\"".to_owned(),
        ]
        .iter()
        .enumerate()
        {
            let id = format!("user_'{at}");
            let data = user(&id, "Jane'; --", T).to_string();
            let data = data.replace(r#"{"plan":"pro"}"#, metadata);
            assert!(data.contains(metadata.as_str()));
            let json = format!(r#"{{"type":"user.created","data":{data}}}"#);
            let message = Message {
                id: &format!("msg_{at}"),
                event_type: "user.created",
                at: T,
                instance: Some(INSTANCE),
                json: &json,
            };
            let outcome = mirror.apply_event(message).await.unwrap();
            // The same by a list, whose row reads back as what was written.
            mirror.apply_page(crate::Kind::User, T, &[&data], None).await.unwrap();
            let rows = mirror.rows(crate::Kind::User, &[&id]).await.unwrap();
            match outcome {
                Outcome::Applied => {
                    // PostgreSQL's numbers know no negative zero.
                    let data = data.replace("-0.0", if database.is_postgres { "0.0" } else { "-0.0" });
                    let record = crate::record::Record::read(crate::Kind::User, &data).unwrap();
                    assert_eq!(rows[0].values, record.values, "{metadata}");
                }
                Outcome::Quarantined => assert_eq!(rows, [], "{metadata}"),
                other => panic!("{other:?}: {metadata}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn y3_fields_at_the_ends_of_their_ranges_are_applied_or_quarantined() {
    each(async |database| {
        let mirror = mirror(database).await;
        for (at, (field, value)) in [
            ("updated_at", json!(i64::MAX)),
            ("updated_at", json!(i64::MIN)),
            ("updated_at", json!(u64::MAX)),
            ("created_at", json!(i64::MIN)),
            ("id", json!("user_\u{0}")),
            ("id", json!("")),
            ("id", json!("u".repeat(300))),
            ("external_id", json!("x".repeat(100_000))),
            ("username", json!("\u{feff}\u{202e}")),
        ]
        .into_iter()
        .enumerate()
        {
            let mut data = user(&format!("user_end_{at}"), "Jane", T);
            data[field] = value;
            let outcome = mirror.event_again(&format!("msg_end_{at}"), "user.created", T, &data).await;
            assert!(matches!(outcome, Outcome::Applied | Outcome::Quarantined), "{field}: {outcome:?}");
        }
        mirror.quarantined().await.unwrap();
        mirror.status().await.unwrap();
    })
    .await;
}
