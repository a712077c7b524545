//! `clerk-sync watch` (rule Y9).

use std::process::Command;

use tower_clerk::testing::FakeUser;

use super::{Setup, until};
use crate::support::each;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_watch_applies_events_and_ends_with_code_0_at_sigterm() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        setup.fill().await;
        let (mut process, _stdout) = setup.watch().await;
        setup.fake.release_webhooks();
        setup.fake.add_user(FakeUser::new("late@example.com"));
        setup.fake.delete_user("user1@example.com");
        setup.fake.settle_webhooks().await;
        let statuses: Vec<_> = setup
            .fake
            .deliveries()
            .iter()
            .flat_map(|it| it.attempts().iter().map(|it| it.status()))
            .collect();
        assert!(statuses.iter().all(|status| status.is_some_and(|it| it == 204)), "{statuses:?}");
        let (_, status) = setup.json(&["status"]).await;
        assert_eq!(
            (&status["counts"][0]["live"], &status["counts"][0]["deleted"]),
            (&20.into(), &1.into()),
            "{status}"
        );
        assert!(status["last_event_age"].as_u64().is_some_and(|age| age < 60), "{status}");

        let id = process.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        until("the program ends", async || process.0.try_wait().unwrap().is_some()).await;
        assert_eq!(process.0.wait().unwrap().code(), Some(0));
    })
    .await;
}
