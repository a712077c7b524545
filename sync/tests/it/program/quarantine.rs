//! `clerk-sync quarantine` (rule Y9).

use serde_json::{Value, json};

use super::Setup;
use crate::support::each;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_quarantined_messages_are_listed_replayed_and_discarded() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        setup.fill().await;
        let user = setup.fake.user_id("user1@example.com").unwrap();
        let (_process, _stdout, _url) = setup.watch().await;
        setup.fake.release_webhooks();
        setup.fake.edit_user_silently(&user, |user| user.name("Ada", "Lovelace"));
        // The first one can be replayed, and the second one doesn't say what it is about.
        setup.fake.send_webhook("user.updated", json!({ "id": user, "updated_at": "now" }));
        setup.fake.send_webhook("user.updated", json!({}));
        setup.fake.settle_webhooks().await;

        let (code, listed) = setup.json(&["quarantine", "list"]).await;
        assert_eq!((code, listed.as_array().map(Vec::len)), (0, Some(2)), "{listed}");
        let named = listed.as_array().unwrap().iter().find(|it| it["object_id"] == *user).unwrap();
        let message = named["message_id"].as_str().unwrap().to_owned();
        let output = setup.run(&["quarantine", "replay", &message, "msg_none"]).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("{message}: applied\nmsg_none: failed: the quarantine holds no entry of this id\n")
        );
        let name: Value = setup.json(&["reconcile", "--report"]).await.1;
        assert_eq!(name["outcome"], "equal", "{name}");

        let (code, replayed) = setup.json(&["quarantine", "replay", "--all"]).await;
        assert_eq!((code, replayed.as_array().map(Vec::len)), (1, Some(1)), "{replayed}");
        assert_eq!(replayed[0]["outcome"], "failed", "{replayed}");
        assert!(
            replayed[0]["reason"].as_str().is_some_and(|it| it.contains("names no object")),
            "{replayed}"
        );
        // It would keep the alert on for ever.
        let message = replayed[0]["message_id"].as_str().unwrap();
        let (code, discarded) = setup.json(&["quarantine", "discard", message]).await;
        assert_eq!((code, &discarded[0]["outcome"]), (0, &json!("discarded")), "{discarded}");
        assert_eq!(setup.json(&["quarantine", "list"]).await, (0, json!([])));
        let (code, discarded) = setup.json(&["quarantine", "discard", message]).await;
        assert_eq!((code, &discarded[0]["outcome"]), (1, &json!("failed")), "{discarded}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_a_replay_of_an_empty_quarantine_is_exit_code_0() {
    let database = crate::support::Database::sqlite();
    let setup = Setup::new(&database.url).await;
    setup.fill().await;
    assert_eq!(setup.json(&["quarantine", "replay", "--all"]).await, (0, json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_a_replay_with_a_wrong_key_fails_and_keeps_the_message() {
    let database = crate::support::Database::sqlite();
    let setup = Setup::new(&database.url).await;
    setup.fill().await;
    let user = setup.fake.user_id("user1@example.com").unwrap();
    let (_process, _stdout, _url) = setup.watch().await;
    setup.fake.release_webhooks();
    setup.fake.send_webhook("user.updated", json!({ "id": user, "updated_at": "now" }));
    setup.fake.settle_webhooks().await;
    let mut command = setup.command(&["quarantine", "replay", "--all"]);
    command.env("CLERK_SECRET_KEY", "sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let output = super::output(command).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!output.stderr.is_empty(), "{output:?}");
    let (_, listed) = setup.json(&["quarantine", "list"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}
