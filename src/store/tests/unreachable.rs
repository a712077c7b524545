//! A file that can't be written or read (rules H3, H5).

use std::time::{Duration, Instant};

use super::{Dir, ISSUER, find, login, open, open_patiently, save, sql};
use crate::store::{SqliteStore, Store};

/// SQLite refuses to write to a file that was renamed, as it would to one on a disk that became read-only.
#[tokio::test]
async fn h5_a_revocation_that_can_not_be_written_holds_and_is_written_later() {
    let dir = Dir::new();
    let state = open(&dir.path());
    save(&state, "ada", "secret", &login("user_1", "sess_1", "one")).await.unwrap();
    save(&state, "bob", "secret", &login("user_2", "sess_2", "two")).await.unwrap();
    let away = dir.path().with_file_name("away");
    std::fs::rename(dir.path(), &away).unwrap();
    let taken = state.take_user("user_1");
    assert!(find(&state, "ada", "secret").await.is_none(), "at once");
    assert!(find(&state, "bob", "secret").await.is_some());
    while state.unwritten() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(find(&state, "ada", "secret").await.is_none());
    std::fs::rename(&away, dir.path()).unwrap();
    taken.await;
    assert_eq!(state.unwritten(), 0);
    drop(state);
    let state = open(&dir.path());
    assert!(find(&state, "ada", "secret").await.is_none());
    assert!(find(&state, "bob", "secret").await.is_some());
}

#[tokio::test]
async fn h3_a_full_disk_loses_records_and_no_revocation() {
    let dir = Dir::new();
    let mut state = open(&dir.path());
    for user in 0..8 {
        save(&state, &format!("ada{user}"), "secret", &login(&format!("user_{user}"), "s", "t"))
            .await
            .unwrap();
    }
    state.flush().await;
    drop(state);
    let store = SqliteStore::open(dir.path()).unwrap().weak_password_cost();
    {
        let connection = store.connection.lock().unwrap();
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages).unwrap();
    }
    state = Store::from(store).unlock(ISSUER).unwrap();
    let mut lost = 0;
    for user in 8..40 {
        let record = login(&format!("user_{user}"), "s", &"t".repeat(2000));
        lost += usize::from(save(&state, &format!("ada{user}"), "secret", &record).await.is_none());
    }
    assert!(lost > 20, "{lost}");
    assert!(find(&state, "ada3", "secret").await.is_some());
    state.take_user("user_3").await;
    assert_eq!(state.unwritten(), 0);
    assert!(find(&open(&dir.path()), "ada3", "secret").await.is_none());
}

#[tokio::test]
async fn h3_a_file_that_another_process_holds_delays_a_request_by_a_tenth_of_a_second_and_then_not_at_all() {
    let dir = Dir::new();
    let state = open_patiently(&dir.path(), Duration::from_millis(100));
    save(&state, "ada", "secret", &login("user_1", "sess_1", "one")).await.unwrap();
    let other = sql(&dir.path());
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let look_up = async || {
        let started = Instant::now();
        (find(&state, "ada", "secret").await.is_some(), started.elapsed())
    };
    let (is_found, first) = look_up().await;
    assert!(!is_found && first < Duration::from_millis(400), "{first:?}");
    let (is_found, second) = look_up().await;
    assert!(!is_found && second < Duration::from_millis(50), "{second:?}");
    other.execute_batch("ROLLBACK").unwrap();
    while find(&state, "ada", "secret").await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
