//! Reads by id (rule Y2).

use super::*;
use crate::kind::Kind;
use crate::mirror::{ReadOutcome, Written};
use crate::support::each;

#[tokio::test]
async fn y2_a_read_by_id_wins_over_a_row_that_has_not_moved_whatever_its_version() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.updated", T + 50, &user("user_1", "wrong", T + 50)).await;
        let read = mirror.begin_read(Kind::User, "user_1").await.unwrap();
        let older = user("user_1", "right", T + 40).to_string();
        let outcome = mirror.apply_read(&read, T + 1000, Some(&older), None).await.unwrap();
        assert_eq!(outcome, ReadOutcome::Written(Written::Updated));
        assert_eq!(mirror.first_names().await, ["right"]);
    })
    .await;
}

#[tokio::test]
async fn y2_a_read_by_id_obeys_the_order_where_the_row_has_moved_since_it_was_sent() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "first", T)).await;
        for id in ["user_1", "user_new"] {
            let read = mirror.begin_read(Kind::User, id).await.unwrap();
            mirror.event("user.updated", T + 50, &user(id, "meanwhile", T + 50)).await;
            let older = user(id, "older", T + 40).to_string();
            let outcome = mirror.apply_read(&read, T + 1000, Some(&older), None).await.unwrap();
            assert_eq!(outcome, ReadOutcome::Written(Written::Older), "{id}");
            assert_eq!(
                mirror.apply_read(&read, T + 1000, None, None).await.unwrap(),
                ReadOutcome::Moved,
                "{id}"
            );
            let newer = user(id, "newer", T + 60).to_string();
            let outcome = mirror.apply_read(&read, T + 1000, Some(&newer), None).await.unwrap();
            assert_eq!(outcome, ReadOutcome::Written(Written::Updated), "{id}");
        }
        assert_eq!(mirror.first_names().await, ["newer", "newer"]);
    })
    .await;
}

#[tokio::test]
async fn y2_a_read_by_id_that_finds_nothing_is_a_deletion() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        for id in ["user_1", "user_never"] {
            let read = mirror.begin_read(Kind::User, id).await.unwrap();
            for _ in 0..2 {
                let outcome = mirror.apply_read(&read, T + 1000, None, None).await.unwrap();
                assert_eq!(outcome, ReadOutcome::Deleted, "{id}");
            }
            let late = mirror.event("user.updated", T + 90, &user(id, "late", T + 90)).await;
            assert_eq!(late, Outcome::Outdated, "{id}");
        }
        assert_eq!(mirror.first_names().await, Vec::<String>::new());
        assert_eq!(mirror.told().await, ["user user_1 created", "user user_1 deleted"]);
    })
    .await;
}

#[tokio::test]
async fn y2_only_a_read_by_id_sent_a_minute_after_a_tombstone_lifts_it() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        let early = mirror.begin_read(Kind::User, "user_1").await.unwrap();
        mirror.event("user.deleted", T, &deleted("user", "user_1")).await;
        assert_eq!(mirror.told().await, ["user user_1 created", "user user_1 deleted"]);
        let entry = user("user_1", "Jane", T).to_string();
        let refused = ReadOutcome::Written(Written::Deleted);
        let much_later = mirror.after(3_600_000);
        // Sent before the deletion, answered long after.
        assert_eq!(much_later.apply_read(&early, T + 3_600_000, Some(&entry), None).await.unwrap(), refused);
        // Ten seconds off the minute, since the mirror's clock runs and a busy machine stalls.
        let soon = mirror.after(50_000).begin_read(Kind::User, "user_1").await.unwrap();
        assert_eq!(much_later.apply_read(&soon, T + 50_000, Some(&entry), None).await.unwrap(), refused);
        let later = mirror.after(75_000);
        let read = later.begin_read(Kind::User, "user_1").await.unwrap();
        assert_eq!(
            later.apply_read(&read, T + 75_000, Some(&entry), None).await.unwrap(),
            ReadOutcome::Lifted
        );
        assert_eq!(mirror.first_names().await, ["Jane"]);
        // The tombstone has gone, and so has the right of the same read to lift one.
        let again = later.apply_read(&read, T + 75_000, Some(&entry), None).await.unwrap();
        assert_eq!(again, ReadOutcome::Written(Written::Unchanged));
        let told = ["user user_1 created", "user user_1 deleted", "user user_1 created"];
        assert_eq!(later.told().await, told);
    })
    .await;
}

#[tokio::test]
async fn y2_reconciled_deletions_spare_rows_that_have_moved() {
    each(async |database| {
        let mirror = mirror(database).await;
        for id in ["user_1", "user_2"] {
            mirror.event("user.created", T, &user(id, "Jane", T)).await;
        }
        let untouched = [("user_1".to_owned(), 1), ("user_2".to_owned(), 1), ("user_none".to_owned(), 1)];
        mirror.event("user.updated", T + 1, &user("user_2", "moved", T + 1)).await;
        let deleted = mirror.tombstone(Kind::User, &untouched[..2], None).await.unwrap();
        assert_eq!(deleted, ["user_1"]);
        assert_eq!(mirror.first_names().await, ["moved"]);
    })
    .await;
}
