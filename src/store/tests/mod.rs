//! Tests of stores: one suite for all, and what happens to a file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crashes;
mod files;
mod guesses;
mod hostile;
mod keys;
mod suite;
mod unreachable;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tokio::time::Instant;

use super::{
    DeviceRecords, EngineState, FoundLogin, If, KnownDevice, LoginRecord, LoginSession, SqliteStore, Store,
    StoreKey, StoredSession, from_millis, millis,
};
use crate::client_token::ClientToken;
use crate::credentials::Decoding;
use crate::membership::Membership;

const ISSUER: &str = "https://clerk.example.com";

/// A directory for one test, which only this user can write to. Removed on drop.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tower-clerk-store-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("state")
    }

    /// All bytes of all files.
    fn dump(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        files.flat_map(|path| std::fs::read(path).unwrap()).collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> EngineState {
    open_patiently(path, Duration::from_secs(30))
}

/// A request waits for a record for so long.
fn open_patiently(path: &Path, patience: Duration) -> EngineState {
    let store = SqliteStore::open(path).unwrap().weak_password_cost();
    Store::from(store.read_patience(patience)).unlock(ISSUER).unwrap()
}

fn open_at_full_cost(path: &Path) -> EngineState {
    Store::from(SqliteStore::open(path).unwrap().read_patience(Duration::from_secs(30)))
        .unlock(ISSUER)
        .unwrap()
}

/// A connection of somebody who has the file.
fn sql(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn login(user: &str, session: &str, token: &str) -> LoginRecord {
    let now = from_millis(millis(SystemTime::now()));
    let hour = Duration::from_secs(3600);
    LoginRecord {
        user_id: user.into(),
        proven_at: now,
        proof_end: now + hour,
        session: Some(LoginSession {
            id: session.into(),
            client_token: Some(Arc::new(ClientToken::new(token))),
            organization: None,
            end: Some(now + 168 * hour),
            choose_organization: false,
        }),
        memberships: [Membership { id: "org_1".into(), slug: Some("acme-slug".into()) }].into(),
    }
}

async fn save(state: &EngineState, identifier: &str, password: &str, record: &LoginRecord) -> Option<u64> {
    let logins = state.logins.as_ref().unwrap();
    let prepared = logins.prepare(logins.name(identifier, Decoding::PLAIN), password).await.unwrap();
    logins.put(&prepared, record, record.proven_at + Duration::from_secs(7 * 24 * 3600)).await
}

async fn find(state: &EngineState, identifier: &str, password: &str) -> Option<FoundLogin> {
    let logins = state.logins.as_ref().unwrap();
    let name = logins.name(identifier, Decoding::PLAIN);
    logins.find(name, password, Instant::now() + Duration::from_secs(60)).await
}

/// The user of the record, and the client token in it.
async fn found(state: &EngineState, identifier: &str, password: &str) -> Option<(String, String)> {
    let FoundLogin { record, .. } = find(state, identifier, password).await?;
    let token = record.session.unwrap().client_token.unwrap();
    Some((record.user_id.into(), token.expose().to_owned()))
}

fn device(user: &str, token: &str) -> KnownDevice {
    KnownDevice {
        user_id: user.into(),
        client_token: Arc::new(ClientToken::new(token)),
        session_id: None,
        seen_at: SystemTime::now(),
    }
}

async fn device_token(devices: &DeviceRecords, name: &str) -> Option<String> {
    Some(devices.get(name).await?.0.client_token.expose().to_owned())
}

fn session(user: &str, organization: Option<&str>, id: &str) -> StoredSession {
    StoredSession::new(user, organization, id, SystemTime::now() + Duration::from_secs(3600))
}

#[tokio::test]
async fn h2_what_was_stored_is_there_after_a_restart() {
    let dir = Dir::new();
    let state = open(&dir.path());
    let record = login("user_1", "sess_1", "token_1");
    let revision = save(&state, "Ada", "secret", &record).await.unwrap();
    state.devices.put("ada", &device("user_1", "device"), If::Any).1.await.unwrap();
    state.sessions.put(&session("user_1", Some("org_1"), "sess_2")).await;
    let departure = from_millis(millis(SystemTime::now()));
    state.departures().unwrap().note(departure, true);
    state.flush().await;
    drop(state);

    let state = open(&dir.path());
    let FoundLogin { record: found, revision: stored } = find(&state, "Ada", "secret").await.unwrap();
    assert_eq!(stored, revision);
    assert_eq!(found.user_id, record.user_id);
    assert_eq!((found.proven_at, found.proof_end), (record.proven_at, record.proof_end));
    assert_eq!(found.memberships[0].slug.as_deref(), Some("acme-slug"));
    let (session, was) = (found.session.unwrap(), record.session.unwrap());
    assert_eq!((&session.id, session.end), (&was.id, was.end));
    assert_eq!(session.client_token.unwrap().expose(), "token_1");
    assert!(find(&state, "Ada", "wrong").await.is_none());
    assert!(find(&state, "ada", "secret").await.is_none(), "another spelling is another record");
    assert_eq!(device_token(&state.devices, "ada").await.as_deref(), Some("device"));
    let stored = state.sessions.get("user_1", Some("org_1")).await.unwrap();
    assert_eq!(stored.session_id(), "sess_2");
    assert_eq!(state.newest(), Some(departure));
    let recent = state.departures().unwrap().recent(Duration::from_secs(10), SystemTime::now());
    assert_eq!(recent, [departure]);
}

/// A process whose clock is fast may begin with a sign-in, and a proxy may answer with a date of its own.
#[tokio::test]
async fn k2_a_time_that_clerk_has_not_told_is_not_the_newest_and_a_wrong_one_is_forgotten() {
    let dir = Dir::new();
    let now = from_millis(millis(SystemTime::now()));
    let later = now + Duration::from_secs(24 * 3600);
    let mut newest = Vec::new();
    for (at, is_told) in [(later, false), (now, true), (later, true), (now, true)] {
        let state = open(&dir.path());
        state.departures().unwrap().note(at, is_told);
        state.flush().await;
        newest.push(open(&dir.path()).newest());
    }
    assert_eq!(newest, [None, Some(now), Some(later), Some(now)]);
    let recent = open(&dir.path()).departures().unwrap().recent.clone();
    assert_eq!(recent, [now]);
}

#[tokio::test]
async fn k6_a_new_password_replaces_the_record_and_an_earlier_sign_in_does_not() {
    let dir = Dir::new();
    let state = open(&dir.path());
    let early = login("user_1", "sess_1", "one");
    let late = LoginRecord {
        proven_at: early.proven_at + Duration::from_secs(1),
        ..login("user_1", "sess_2", "two")
    };
    save(&state, "ada", "old", &early).await.unwrap();
    save(&state, "ada", "new", &late).await.unwrap();
    assert!(find(&state, "ada", "old").await.is_none());
    assert_eq!(save(&state, "ada", "old", &early).await, None);
    assert_eq!(found(&state, "ada", "new").await.unwrap().1, "two");
    let logins = state.logins.as_ref().unwrap();
    let name = logins.name("ada", Decoding::PLAIN);
    let revision = logins.revision(name, "sess_2").await.unwrap();
    assert_eq!(logins.revision(name, "sess_1").await, None);
    logins.delete(name, If::Revision(revision - 1)).await;
    assert!(logins.revision(name, "sess_2").await.is_some());
    logins.delete(name, If::Revision(revision)).await;
    assert!(find(&state, "ada", "new").await.is_none());
}

#[tokio::test]
async fn k7_one_user_has_at_most_sixteen_logins() {
    let dir = Dir::new();
    let state = open(&dir.path());
    for spelling in 0..20 {
        save(&state, &format!("ada{spelling}"), "secret", &login("user_1", "sess_1", "one")).await.unwrap();
    }
    save(&state, "bob", "secret", &login("user_2", "sess_2", "two")).await.unwrap();
    let count = |user: i64| -> i64 {
        let of = "SELECT count(*) FROM records GROUP BY user ORDER BY 1 DESC LIMIT 1 OFFSET ?1";
        sql(&dir.path()).query_row(of, [user], |row| row.get(0)).unwrap()
    };
    assert_eq!((count(0), count(1)), (16, 1));
    assert!(find(&state, "ada3", "secret").await.is_none(), "the oldest have gone");
    assert!(find(&state, "ada19", "secret").await.is_some());
}

#[test]
fn c6_no_debug_output_of_a_store_shows_a_secret() {
    let dir = Dir::new();
    let key = StoreKey::from([b'k'; 32]);
    let mut shown = format!("{key:?} {:?}", device("user_1", "secret"));
    let store = SqliteStore::open(dir.path()).unwrap().keys([key]);
    shown += &format!("{store:?}");
    shown += &format!("{:?}", Store::from(store));
    for secret in ["secret", "kkkk", "107, 107", "a2tra2tr"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
