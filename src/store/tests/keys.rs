//! The keys of a file.

use super::{Dir, ISSUER, found, login, open, save};
use crate::store::{EngineState, SqliteStore, Store, StoreError, StoreErrorKind, StoreKey};

fn unlock(dir: &Dir, keys: &[u8]) -> Result<EngineState, StoreError> {
    let store = SqliteStore::open(dir.path())
        .unwrap()
        .weak_password_cost()
        .read_patience(std::time::Duration::from_secs(30));
    Store::from(store.keys(keys.iter().map(|byte| StoreKey::from([*byte; 32])))).unlock(ISSUER)
}

fn kind(result: Result<EngineState, StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

#[tokio::test]
async fn h6_keys_rotate_without_losing_a_record() {
    let dir = Dir::new();
    let state = unlock(&dir, &[1]).unwrap();
    save(&state, "ada", "secret", &login("user_1", "sess_1", "token")).await.unwrap();
    drop(state);
    assert_eq!(kind(unlock(&dir, &[2])), Some(StoreErrorKind::Key));
    assert_eq!(kind(unlock(&dir, &[])), Some(StoreErrorKind::Key));
    for keys in [&[2, 1][..], &[2], &[3, 2], &[3]] {
        let state = unlock(&dir, keys).unwrap();
        assert_eq!(found(&state, "ada", "secret").await.unwrap().1, "token", "{keys:?}");
    }
    for gone in [&[1][..], &[2]] {
        assert_eq!(kind(unlock(&dir, gone)), Some(StoreErrorKind::Key));
    }
}

#[tokio::test]
async fn h6_a_missing_key_file_beside_records_is_an_error_and_makes_no_new_key() {
    let dir = Dir::new();
    let state = open(&dir.path());
    save(&state, "ada", "secret", &login("user_1", "sess_1", "token")).await.unwrap();
    drop(state);
    let key = dir.path().with_file_name("state.key");
    let text = std::fs::read_to_string(&key).unwrap();
    assert!(text.parse::<StoreKey>().is_ok(), "it can be given as a key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for path in [&key, &dir.path()] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    std::fs::remove_file(&key).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(dir.path()).unwrap();
        let error = Store::from(store).unlock(ISSUER).err().unwrap();
        assert_eq!((error.kind(), error.path()), (StoreErrorKind::Key, &*key));
        assert!(!key.exists());
    }
    std::fs::write(&key, "not a key").unwrap();
    let error = Store::from(SqliteStore::open(dir.path()).unwrap()).unlock(ISSUER).err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Key);
    assert!(!error.to_string().contains("not a key"));
    std::fs::write(&key, text).unwrap();
    assert_eq!(found(&open(&dir.path()), "ada", "secret").await.unwrap().1, "token");
}

#[tokio::test]
async fn h6_stores_that_are_first_opened_at_the_same_moment_make_one_key() {
    let dir = Dir::new();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let path = dir.path();
            std::thread::spawn(move || open(&path))
        })
        .collect();
    let states: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    save(&states[0], "ada", "secret", &login("user_1", "sess_1", "token")).await.unwrap();
    for state in &states {
        assert_eq!(found(state, "ada", "secret").await.unwrap().1, "token");
    }
    let mut names: Vec<_> =
        std::fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["state", "state.key"]);
}

#[tokio::test]
async fn engines_of_two_instances_share_a_file_and_no_record() {
    let dir = Dir::new();
    let ours = open(&dir.path());
    let store = SqliteStore::open(dir.path()).unwrap().weak_password_cost();
    let theirs = Store::from(store).unlock("https://other.example.com").unwrap();
    save(&ours, "ada", "secret", &login("user_1", "sess_1", "token")).await.unwrap();
    assert!(found(&theirs, "ada", "secret").await.is_none());
    theirs.take_user("user_1").await;
    assert!(found(&ours, "ada", "secret").await.is_some());
    save(&theirs, "ada", "secret", &login("user_1", "sess_1", "token")).await.unwrap();
    theirs.departures().unwrap().note(std::time::SystemTime::now(), true);
    theirs.take_all().await;
    assert!(found(&theirs, "ada", "secret").await.is_none());
    assert!(found(&ours, "ada", "secret").await.is_some());
    assert!(
        open(&dir.path()).departures().unwrap().recent.is_empty(),
        "each has a limit of its own at Clerk"
    );
}

#[test]
fn a_password_cost_below_what_is_advised_is_refused() {
    for (memory, passes, is_fine) in
        [(19_456, 2, true), (7168, 5, true), (7168, 4, false), (1024, 100, false)]
    {
        let dir = Dir::new();
        let store = SqliteStore::open(dir.path()).unwrap().password_cost(memory, passes);
        let kind = Store::from(store).unlock(ISSUER).err().map(|error| error.kind());
        assert_eq!(kind, (!is_fine).then_some(StoreErrorKind::Setting));
    }
}
