//! Which state wins (rule Y2).

use super::*;
use crate::kind::Kind;
use crate::mirror::Applied;
use crate::support::each;

#[tokio::test]
async fn y2_an_older_event_never_overwrites_a_newer_one() {
    each(async |database| {
        let mirror = mirror(database).await;
        assert_eq!(
            mirror.event("user.updated", T + 20, &user("user_1", "second", T + 20)).await,
            Outcome::Applied
        );
        assert_eq!(
            mirror.event("user.created", T + 10, &user("user_1", "first", T + 10)).await,
            Outcome::Outdated
        );
        assert_eq!(mirror.first_names().await, ["second"]);
        // Told later, but of an earlier state: an event that was sent again.
        assert_eq!(
            mirror.event("user.updated", T + 90, &user("user_1", "first", T + 10)).await,
            Outcome::Outdated
        );
        assert_eq!(
            mirror.event("user.updated", T + 30, &user("user_1", "third", T + 30)).await,
            Outcome::Applied
        );
        assert_eq!(mirror.first_names().await, ["third"]);
    })
    .await;
}

#[tokio::test]
async fn y2_of_two_events_with_the_same_updated_at_the_one_that_was_told_later_wins() {
    each(async |database| {
        let mirror = mirror(database).await;
        assert_eq!(mirror.event("user.updated", T + 20, &user("user_1", "later", T)).await, Outcome::Applied);
        assert_eq!(
            mirror.event("user.updated", T + 10, &user("user_1", "earlier", T)).await,
            Outcome::Outdated
        );
        assert_eq!(mirror.first_names().await, ["later"]);
    })
    .await;
}

#[tokio::test]
async fn y2_a_list_entry_obeys_the_same_order_by_the_time_of_the_read() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.updated", T + 20, &user("user_1", "event", T + 20)).await;
        let page = |name: &str, version| vec![user("user_1", name, version).to_string()];
        let apply = async |page: Vec<String>, read_at| {
            let entries: Vec<&str> = page.iter().map(String::as_str).collect();
            mirror.apply_page(Kind::User, read_at, &entries, None).await.unwrap()
        };
        let older = Applied { older: 1, ..Applied::default() };
        assert_eq!(apply(page("list", T + 10), T + 60_000).await, older, "an older state, read late");
        assert_eq!(
            apply(page("list", T + 20), T + 19).await,
            older,
            "the same version, read before the event"
        );
        let updated = Applied { updated: 1, ..Applied::default() };
        assert_eq!(apply(page("list", T + 20), T + 20).await, updated);
        let unchanged = Applied { unchanged: 1, ..Applied::default() };
        assert_eq!(apply(page("list", T + 20), T + 30).await, unchanged);
        assert_eq!(mirror.first_names().await, ["list"]);
        let both = [user("user_1", "a", T + 40).to_string(), user("user_1", "b", T + 50).to_string()];
        assert_eq!(apply(both.to_vec(), T + 60).await, updated, "pages that overlap show an object twice");
        assert_eq!(mirror.first_names().await, ["b"]);
    })
    .await;
}

#[tokio::test]
async fn y2_a_tombstone_wins_over_events_and_lists_and_holds_id_and_time_only() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        assert_eq!(mirror.event("user.deleted", T + 5, &deleted("user", "user_1")).await, Outcome::Applied);
        // Of an id that was never seen: the events that come late are of a user who is gone.
        assert_eq!(mirror.event("user.deleted", T + 5, &deleted("user", "user_2")).await, Outcome::Applied);
        for id in ["user_1", "user_2"] {
            let event = mirror.event("user.updated", T + 100, &user(id, "back", T + 100)).await;
            assert_eq!(event, Outcome::Outdated);
            let entry = user(id, "back", T + 100).to_string();
            let applied = mirror.apply_page(Kind::User, T + 100_000, &[&entry], None).await.unwrap();
            assert_eq!(applied, Applied { deleted: 1, ..Applied::default() });
        }
        assert_eq!(mirror.first_names().await, Vec::<String>::new());
        let rows = mirror.rows(Kind::User, &["user_1", "user_2"]).await.unwrap();
        assert_eq!(rows.len(), 2);
        for row in rows {
            assert!(row.head.is_deleted);
            assert_eq!((row.head.version, row.head.hash.as_str()), (0, ""));
            assert!(row.values.iter().all(is_null), "{:?}", row.values);
        }
    })
    .await;
}

#[tokio::test]
async fn y2_a_list_notes_that_a_newer_row_was_seen() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T + 20, &user("user_1", "Jane", T + 20)).await;
        let entry = user("user_1", "older", T + 10).to_string();
        mirror.apply_page(Kind::User, T + 5000, &[&entry], None).await.unwrap();
        let heads = mirror.heads(Kind::User, &["user_1", "user_none"]).await.unwrap();
        assert_eq!(heads.len(), 1);
        assert_eq!((heads[0].seen_at, heads[0].revision, heads[0].version), (T + 5000, 1, T + 20));
    })
    .await;
}

#[tokio::test]
async fn y2_two_pages_at_once_that_overlap_in_opposite_order_both_land() {
    each(async |database| {
        let mirror = mirror(database).await;
        let page = |version: i64| {
            (0..300).map(move |at| user(&format!("user_{at:03}"), "Jane", version).to_string())
        };
        let (forth, mut back): (Vec<_>, Vec<_>) = (page(T).collect(), page(T + 1).collect());
        back.reverse();
        for round in 0..10 {
            let (forth, back) = (forth.clone(), back.clone());
            let apply = |mirror: Mirror, page: Vec<String>| async move {
                let page: Vec<&str> = page.iter().map(String::as_str).collect();
                mirror.apply_page(Kind::User, T + round, &page, None).await
            };
            let one = tokio::spawn(apply(mirror.clone(), forth));
            let other = tokio::spawn(apply(mirror.clone(), back));
            one.await.unwrap().unwrap();
            other.await.unwrap().unwrap();
        }
        assert_eq!(
            mirror.number("SELECT COUNT(*) FROM clerk_users WHERE updated_at = 1900000000001").await,
            300
        );
    })
    .await;
}

fn is_null(value: &crate::record::Value) -> bool {
    use crate::record::Value;
    matches!(value, Value::Text(None) | Value::Integer(None) | Value::Flag(None) | Value::Json(None))
}
