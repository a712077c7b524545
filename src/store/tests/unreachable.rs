//! A file that can't be written or read (rules H3, H5).

use std::time::{Duration, Instant};

use super::{Dir, ISSUER, find, login, open, open_patiently, save, session, sql};
use crate::credentials::Decoding;
use crate::store::{SqliteStore, Store, Waited};

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

/// Another process holds the file for longer than the writer waits for it.
#[tokio::test]
async fn h5_a_revocation_behind_writes_that_fail_is_reported_and_a_short_lock_loses_nothing() {
    let dir = Dir::new();
    drop(open(&dir.path()));
    let store = SqliteStore::open(dir.path()).unwrap().weak_password_cost();
    store.connection.lock().unwrap().busy_timeout(Duration::from_millis(20)).unwrap();
    let state = Store::from(store.read_patience(Duration::from_secs(30))).unlock(ISSUER).unwrap();
    save(&state, "ada", "secret", &login("user_1", "sess_1", "one")).await.unwrap();
    let other = sql(&dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let puts: Vec<_> = (0..40)
        .map(|at| state.sessions.put(&session("user_2", Some(&format!("org_{at}")), &format!("sess_{at}"))))
        .collect();
    let taken = state.take_user("user_1");
    let began = Instant::now();
    while state.unwritten() == 0 {
        assert!(began.elapsed() < Duration::from_millis(800), "it is not reported");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..40 {
        assert_eq!(state.unwritten(), 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    other.execute_batch("ROLLBACK").unwrap();
    taken.await;
    for put in puts {
        put.await;
    }
    assert_eq!(state.unwritten(), 0);
    assert_eq!(state.sessions.of_user("user_2").await.len(), 40);
    assert!(find(&open(&dir.path()), "ada", "secret").await.is_none());
}

/// Another process holds the file again and again, for less than a read waits.
#[tokio::test]
async fn h3_all_reads_of_a_request_wait_for_a_tenth_of_a_second_together() {
    let dir = Dir::new();
    let state = open_patiently(&dir.path(), Duration::from_millis(100));
    save(&state, "ada", "secret", &login("user_1", "sess_1", "one")).await.unwrap();
    let (other, name) = (sql(&dir.path()), state.logins.as_ref().unwrap().name("ada", Decoding::PLAIN));
    let read = async || {
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let releasing = async {
            tokio::time::sleep(Duration::from_millis(40)).await;
            other.execute_batch("ROLLBACK").unwrap();
        };
        let started = Instant::now();
        let reading =
            async { (state.logins.as_ref().unwrap().revision(name, "sess_1").await, started.elapsed()) };
        tokio::join!(reading, releasing).0
    };
    let request = async || {
        let mut waited = Duration::ZERO;
        for _ in 0..6 {
            waited += read().await.1;
        }
        waited
    };
    assert!(request().await >= Duration::from_millis(200), "each read waits");
    let waited = Waited::default().during(request()).await;
    assert!(waited < Duration::from_millis(180), "{waited:?}");
    assert!(read().await.0.is_some(), "another request");
}

/// The file can be read, but not written to.
#[tokio::test]
async fn h3_a_write_that_is_held_up_delays_the_reads_of_its_record_once() {
    let dir = Dir::new();
    let state = open_patiently(&dir.path(), Duration::from_millis(100));
    save(&state, "bob", "secret", &login("user_2", "sess_2", "two")).await.unwrap();
    let other = sql(&dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let written = state.sessions.put(&session("user_1", None, "sess_1"));
    for longest in [400, 50, 50] {
        let started = Instant::now();
        assert!(state.sessions.get("user_1", None).await.is_none());
        assert!(started.elapsed() < Duration::from_millis(longest), "{:?}", started.elapsed());
        assert!(find(&state, "bob", "secret").await.is_some(), "others are read");
    }
    other.execute_batch("ROLLBACK").unwrap();
    written.await;
    assert!(state.sessions.get("user_1", None).await.is_some());
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
