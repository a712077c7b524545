//! `clerk-sync watch` (rule Y9).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use sqlx::AssertSqlSafe;
use tower_clerk::testing::FakeUser;

use super::{Setup, until};
use crate::equal::pool;
use crate::support::each;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_watch_applies_events_and_ends_with_code_0_at_sigterm() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        setup.fill().await;
        let (mut process, _stdout, _url) = setup.watch().await;
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

/// The status of an answer to `GET`.
async fn status_of(url: &str, path: &str) -> String {
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    });
    answer.await.unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_the_health_routes_tell_process_and_database_apart_and_count_no_rows() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        setup.fill().await;
        let (_process, _stdout, url) = setup.watch().await;
        let pool = pool(&database.url);
        // Anybody may call this route, so it must not count a million rows.
        for view in ["clerk_users", "clerk_organizations", "clerk_memberships"] {
            sqlx::raw_sql(AssertSqlSafe(format!("DROP VIEW {view}"))).execute(&pool).await.unwrap();
        }
        assert_eq!((&*status_of(&url, "/healthz").await, &*status_of(&url, "/readyz").await), ("200", "200"));
        sqlx::raw_sql("ALTER TABLE clerk_mirror_instances RENAME TO gone").execute(&pool).await.unwrap();
        // The database is asked once a second.
        until("the route tells it", async || status_of(&url, "/readyz").await == "503").await;
        assert_eq!(status_of(&url, "/healthz").await, "200");
        pool.close().await;
    })
    .await;
}
