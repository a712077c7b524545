//! The commands, their output and their exit codes (rules Y7, Y9).

use serde_json::json;
use tower_clerk::testing::FakeUser;

use super::Setup;
use crate::support::each;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_the_commands_take_a_mirror_from_nothing_to_clerks_state() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        let output = setup.run(&["status"]).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("clerk-sync migrate"), "{output:?}");
        assert_eq!(setup.json(&["migrate"]).await, (0, json!({ "outcome": "migrated" })));

        let (code, report) = setup.json(&["backfill"]).await;
        assert_eq!((code, &report["users"]), (0, &json!({ "rows": 20, "at_clerk": 20 })), "{report}");
        let (code, report) = setup.json(&["reconcile", "--report"]).await;
        assert_eq!((code, &report["outcome"]), (0, &json!("equal")), "{report}");

        setup.fake.add_user(FakeUser::new("new@example.com"));
        setup.fake.edit_user_silently("user3@example.com", |user| user.name("Ada", "Lovelace"));
        let (code, report) = setup.json(&["reconcile", "--report"]).await;
        assert_eq!((code, &report["outcome"]), (3, &json!("differences_remain")), "{report}");
        assert_eq!(
            (&report["users"]["missing"], &report["users"]["stale"]),
            (&json!(1), &json!(1)),
            "{report}"
        );
        let (code, report) = setup.json(&["reconcile", "--repair"]).await;
        assert_eq!((code, &report["outcome"]), (0, &json!("repaired")), "{report}");
        let (code, report) = setup.json(&["reconcile", "--report"]).await;
        assert_eq!((code, &report["outcome"]), (0, &json!("equal")), "{report}");

        let (code, status) = setup.json(&["status"]).await;
        assert_eq!(code, 0);
        assert_eq!(status["counts"][0], json!({ "kind": "user", "live": 21, "deleted": 0 }), "{status}");
        assert_eq!(status["last_reconcile"]["report"]["outcome"], "equal", "{status}");
        assert_eq!(status["running"], json!(null), "{status}");
        assert_eq!(setup.json(&["quarantine", "list"]).await, (0, json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_a_table_and_the_reason_of_an_abort_are_for_people() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        setup.fill().await;
        let output = setup.run(&["reconcile", "--report"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("missing") && text.contains("\nusers ") && text.contains("\nequal, after"),
            "{text}"
        );
        for number in 0..20 {
            setup.fake.delete_user(&format!("user{number}@example.com"));
        }
        let output = setup.run(&["reconcile", "--repair"]).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let (text, error) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(text.contains("\naborted: Clerk lists no user at all, while the mirror has 20"), "{text}");
        assert!(text.contains("nothing was deleted"), "{text}");
        // Once: cron mails both outputs.
        assert!(!error.contains("aborted") && !error.contains("nothing was deleted"), "{error}");
        let (_, status) = setup.json(&["status"]).await;
        assert_eq!(status["last_reconcile"]["report"]["outcome"], "aborted", "{status}");
        assert_eq!(status["counts"][0]["live"], 20, "{status}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_secrets_are_in_no_output() {
    let database = crate::support::Database::sqlite();
    let setup = Setup::new(&database.url).await;
    let key = setup.fake.secret_key();
    for arguments in [&["migrate"][..], &["backfill"], &["reconcile", "--repair"], &["status"], &["--help"]] {
        let mut command = setup.command(arguments);
        command.env("RUST_LOG", "trace");
        let output = super::output(command).await;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(&key), "{arguments:?}: {text}");
        assert!(!text.contains("user3@example.com"), "{arguments:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y7_a_run_that_could_not_ask_clerk_is_the_last_run() {
    let database = crate::support::Database::sqlite();
    let setup = Setup::new(&database.url).await;
    setup.fill().await;
    assert_eq!(setup.json(&["reconcile", "--repair"]).await.0, 0);
    let mut command = setup.command(&["reconcile", "--repair"]);
    command.env("CLERK_SECRET_KEY", "sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let output = super::output(command).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // Nothing was read, so there is nothing to count.
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("aborted: ") && text.lines().count() == 1, "{text}");
    let (_, status) = setup.json(&["status"]).await;
    let report = &status["last_reconcile"]["report"];
    assert_eq!(report["outcome"], "aborted", "{status}");
    assert!(report["reason"].as_str().is_some_and(|reason| reason.contains("secret key")), "{status}");
    let text = String::from_utf8(setup.run(&["status"]).await.stdout).unwrap();
    assert!(text.contains("aborted: Clerk's Backend API doesn't accept the secret key"), "{text}");
}
