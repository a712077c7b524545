//! The change feed: positions in the order of commits.

use super::*;
use std::time::Duration;

use crate::kind::Kind;
use crate::mirror::{ChangeCause, ChangeKind, Told, Write};
use crate::support::each;

impl Mirror {
    /// Begins a transaction that tells of a user.
    async fn telling(&self, id: &str) -> Write {
        let mut write = self.begin().await.unwrap();
        let told = Told { kind: Kind::User, id: id.to_owned(), change: ChangeKind::Updated };
        self.tell(&mut write, &[told], ChangeCause::Event).await.unwrap();
        write
    }

    async fn ids_after(&self, cursor: &mut i64) -> Vec<String> {
        let changes = self.changes(*cursor, 1000).await.unwrap();
        *cursor = changes.last().map_or(*cursor, |change| change.position);
        changes.into_iter().map(|change| change.object_id).collect()
    }
}

#[tokio::test]
async fn y10_a_transaction_that_began_first_and_ends_last_is_told_last() {
    let Some(database) = Database::postgres().await else { return };
    let mirror = mirror(&database).await;
    let (mut cursor, none) = (0, Vec::<String>::new());
    let first = mirror.telling("first").await;
    let second = mirror.telling("second").await;
    let third = mirror.telling("third").await;
    assert_eq!(mirror.ids_after(&mut cursor).await, none);
    second.commit().await.unwrap();
    assert_eq!(mirror.ids_after(&mut cursor).await, ["second"]);
    drop(third);
    let fourth = mirror.telling("fourth").await;
    fourth.commit().await.unwrap();
    assert_eq!(mirror.ids_after(&mut cursor).await, ["fourth"]);
    first.commit().await.unwrap();
    assert_eq!(mirror.ids_after(&mut cursor).await, ["first"]);
    assert_eq!(mirror.ids_after(&mut cursor).await, none);
}

#[tokio::test]
async fn y10_a_position_that_is_being_given_is_not_read_and_not_given_twice() {
    let Some(database) = Database::postgres().await else { return };
    let mirror = mirror(&database).await;
    mirror.telling("a").await.commit().await.unwrap();
    // Another process numbers the changes, and has not committed yet.
    let mut numbering = mirror.begin().await.unwrap();
    for sql in [
        "SELECT last_position FROM clerk_mirror_instances FOR UPDATE",
        "UPDATE clerk_changes SET position = 1 WHERE position IS NULL",
        "UPDATE clerk_mirror_instances SET last_position = 1",
    ] {
        sqlx::query(sql).execute(numbering.connection()).await.unwrap();
    }
    mirror.telling("b").await.commit().await.unwrap();
    let reader = mirror.clone();
    let reading = tokio::spawn(async move { reader.changes(0, 10).await.unwrap() });
    // The reader waits for the numbers that come before its own.
    let waiting = "SELECT COUNT(*) FROM (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database() LIMIT 1) AS waiting";
    wait_until(&mirror, waiting, 1).await;
    assert!(!reading.is_finished());
    numbering.commit().await.unwrap();
    let read: Vec<_> = reading.await.unwrap().into_iter().map(|it| (it.position, it.object_id)).collect();
    assert_eq!(read, [(1, "a".to_owned()), (2, "b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y10_no_change_appears_behind_a_cursor_while_many_write_and_some_fail() {
    each(async |database| {
        // Two processes.
        let mirrors = [mirror(database).await, mirror(database).await];
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let mirror = mirrors[writer % 2].clone();
                tokio::spawn(async move {
                    for at in 0..25 {
                        let write = mirror.telling(&format!("{writer}/{at}")).await;
                        // Some transactions last, and some are rolled back.
                        for _ in 0..(writer * at) % 7 {
                            tokio::task::yield_now().await;
                        }
                        if at % 5 != 4 {
                            write.commit().await.unwrap();
                        }
                    }
                })
            })
            .collect();
        let (mut cursor, mut read) = (0, Vec::new());
        let is_done = || writers.iter().all(tokio::task::JoinHandle::is_finished);
        loop {
            let was_done = is_done();
            read.extend(mirrors[read.len() % 2].ids_after(&mut cursor).await);
            if was_done {
                break;
            }
        }
        let all = mirrors[0].changes(0, 10_000).await.unwrap();
        let all: Vec<_> = all.into_iter().map(|change| change.object_id).collect();
        assert_eq!(read, all, "who followed the feed read the same as who reads it afterwards");
        let mut expected: Vec<_> = (0..8)
            .flat_map(|writer| (0..25).filter(|at| at % 5 != 4).map(move |at| format!("{writer}/{at}")))
            .collect();
        expected.sort();
        read.sort();
        assert_eq!(read, expected, "each once");
        for writer in 0..8 {
            let of = |id: &&String| id.starts_with(&format!("{writer}/"));
            let order: Vec<usize> =
                all.iter().filter(of).map(|id| id.split('/').nth(1).unwrap().parse().unwrap()).collect();
            assert!(order.is_sorted(), "changes that follow each other are told in this order: {order:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn y10_a_deletion_that_is_held_back_is_told_at_its_release() {
    each(async |database| {
        let builder = Mirror::builder(&database.url).instance(INSTANCE).clock(Clock::starting_at(time(T)));
        let mirror = builder.deletion_holdback(Duration::from_secs(3600)).connect().await.unwrap();
        let mut cursor = 0;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        mirror.event("user.deleted", T, &deleted("user", "user_1")).await;
        assert_eq!(mirror.first_names().await, Vec::<String>::new(), "the row is gone at once");
        assert_eq!(mirror.ids_after(&mut cursor).await, ["user_1"]);
        let later = mirror.after(3_590_000);
        later.event("user.created", T + 10, &user("user_2", "Bob", T + 10)).await;
        assert_eq!(later.ids_after(&mut cursor).await, ["user_2"]);
        let released = mirror.after(3_610_000);
        assert_eq!(released.ids_after(&mut cursor).await, ["user_1"]);
        assert_eq!(
            released.told().await,
            ["user user_1 created", "user user_2 created", "user user_1 deleted"]
        );
    })
    .await;
}

#[tokio::test]
async fn y10_a_deletion_that_is_lifted_while_held_back_is_never_told() {
    each(async |database| {
        let builder = Mirror::builder(&database.url).instance(INSTANCE).clock(Clock::starting_at(time(T)));
        let mirror = builder.deletion_holdback(Duration::from_secs(3600)).connect().await.unwrap();
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        mirror.event("user.deleted", T, &deleted("user", "user_1")).await;
        let later = mirror.after(120_000);
        let read = later.begin_read(Kind::User, "user_1").await.unwrap();
        later
            .apply_read(&read, T + 120_000, Some(&user("user_1", "Jane", T).to_string()), None)
            .await
            .unwrap();
        assert_eq!(mirror.after(7_200_000).told().await, ["user user_1 created", "user user_1 updated"]);
    })
    .await;
}

#[tokio::test]
async fn y10_a_change_is_told_when_a_mirrored_column_changes_and_only_then() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        mirror.event("user.updated", T + 1, &user("user_1", "Jane", T + 1)).await;
        mirror.event("user.updated", T + 2, &user("user_1", "Janet", T + 2)).await;
        mirror.event("user.updated", T + 1, &user("user_1", "old", T)).await;
        mirror.event("user.deleted", T + 3, &deleted("user", "user_2")).await;
        mirror.event("user.deleted", T + 3, &deleted("user", "user_1")).await;
        mirror.event("user.deleted", T + 4, &deleted("user", "user_1")).await;
        let told = ["user user_1 created", "user user_1 updated", "user user_1 deleted"];
        assert_eq!(mirror.told().await, told);
    })
    .await;
}

#[tokio::test]
async fn y10_positions_go_on_after_old_changes_are_forgotten() {
    each(async |database| {
        let mirror = mirror(database).await;
        let mut cursor = 0;
        mirror.telling("a").await.commit().await.unwrap();
        mirror.telling("b").await.commit().await.unwrap();
        assert_eq!(mirror.ids_after(&mut cursor).await, ["a", "b"]);
        assert_eq!(mirror.forget_changes(cursor).await.unwrap(), 2);
        drop(mirror.telling("rolled back").await);
        mirror.telling("c").await.commit().await.unwrap();
        assert_eq!(mirror.ids_after(&mut cursor).await, ["c"]);
        assert_eq!(mirror.changes(0, 10).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn y10_changes_get_their_positions_without_a_reader() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        wait_until(&mirror, "SELECT COUNT(*) FROM clerk_changes WHERE position = 1", 1).await;
    })
    .await;
}

/// Asks the database until it gives this number.
async fn wait_until(mirror: &Mirror, sql: &str, number: i64) {
    let wait = async {
        while mirror.number(sql).await != number {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it happens in time");
}
