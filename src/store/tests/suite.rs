//! The law of `Records`, for each implementation.

use crate::store::memory::MemoryRecords;
use crate::store::records::{Header, If, Kind, NotWritten, Records, Row, Targets};
use crate::store::sealing::{DataKey, Sealer};

use super::{Dir, ISSUER, open};

/// Rows with real names and seals.
struct Rows(Sealer);

impl Rows {
    fn new() -> Self {
        Self(Sealer::new(&DataKey::from([1; 32]), ISSUER))
    }

    fn row(&self, kind: Kind, name: &str, user: &str, session: &str, revision: u64) -> Row {
        let (user, session) = (self.0.user(user), self.0.session(session));
        let header =
            Header { kind, revision, departed: revision, position: 0, ends: u64::MAX / 4, user, session };
        self.0.seal(self.0.name(kind, &[name.as_bytes()]), header, b"value").unwrap()
    }

    fn login(&self, name: &str, user: &str, session: &str, revision: u64) -> Row {
        self.row(Kind::Login, name, user, session, revision)
    }
}

async fn with_each(test: impl AsyncFn(&dyn Records, &Rows)) {
    test(&MemoryRecords::with_limit(|_| 100), &Rows::new()).await;
    let dir = Dir::new();
    test(&*open(&dir.path()).vault.records, &Rows::new()).await;
}

#[tokio::test]
async fn a_write_has_its_condition() {
    with_each(async |records, rows| {
        let row = |revision| rows.login("ada", "user_1", "sess_1", revision);
        let stored = async || records.get(row(0).name).await.map(|row| row.header.revision);
        assert_eq!(records.put(row(5), If::Revision(4)).await, Err(NotWritten));
        assert_eq!(records.put(row(5), If::NotOlder).await, Ok(()));
        assert_eq!(records.put(row(6), If::Revision(4)).await, Err(NotWritten));
        assert_eq!(records.put(row(4), If::NotOlder).await, Err(NotWritten));
        assert_eq!(stored().await, Some(5));
        assert_eq!(records.put(row(6), If::Revision(5)).await, Ok(()));
        assert_eq!(records.put(row(7), If::NotOlder).await, Ok(()));
        assert_eq!(records.put(row(2), If::Any).await, Ok(()));
        assert_eq!(stored().await, Some(2));
        assert_eq!(records.take(Targets::Name(row(0).name, If::Revision(3))).await, []);
        assert_eq!(records.take(Targets::Name(row(0).name, If::Revision(2))).await.len(), 1);
        assert_eq!(stored().await, None);
    })
    .await;
}

#[tokio::test]
async fn k9_a_removal_takes_what_it_names_and_nothing_else() {
    with_each(async |records, rows| {
        let ada = rows.login("ada", "user_1", "sess_1", 5);
        let of_ada = rows.row(Kind::Session, "ada", "user_1", "sess_2", 6);
        let bob = rows.login("bob", "user_2", "sess_1", 7);
        let of_bob = rows.row(Kind::Session, "bob", "user_2", "sess_1", 8);
        let fill = async || {
            for row in [&ada, &of_ada, &bob, &of_bob] {
                records.put(row.clone(), If::Any).await.unwrap();
            }
        };
        for (targets, taken) in [
            (Targets::User(ada.header.user), vec![&ada, &of_ada]),
            (Targets::Session(bob.header.session, None), vec![&ada, &bob, &of_bob]),
            (Targets::Session(bob.header.session, Some(Kind::Session)), vec![&of_bob]),
            (Targets::LoginsBefore(ada.header.user, 6), vec![&ada]),
            (Targets::LoginsBefore(ada.header.user, 5), vec![]),
            (Targets::Name(bob.name, If::Any), vec![&bob]),
            (Targets::All, vec![&ada, &of_ada, &bob, &of_bob]),
        ] {
            fill().await;
            let mut found: Vec<_> = records.take(targets).await;
            found.sort_by_key(|row| row.header.revision);
            assert_eq!(found.iter().collect::<Vec<_>>(), taken, "{targets:?}");
            for row in [&ada, &of_ada, &bob, &of_bob] {
                let is_there = records.get(row.name).await.is_some();
                assert_eq!(is_there, !taken.contains(&row), "{targets:?}");
            }
        }
        fill().await;
        let mut of_user = records.of_user(bob.header.user).await;
        of_user.sort_by_key(|row| row.header.revision);
        assert_eq!(of_user, [bob, of_bob]);
    })
    .await;
}

/// Nothing here waits for a write, so all of them are queued when the reads begin.
#[tokio::test]
async fn a_read_sees_the_writes_that_were_queued_before_it() {
    with_each(async |records, rows| {
        let row = |revision| rows.login("ada", "user_1", "sess_1", revision);
        let stored = async || records.get(row(0).name).await.map(|row| row.header.revision);
        for revision in 1..50 {
            drop(records.put(row(revision), If::Any));
            assert_eq!(stored().await, Some(revision));
            drop(records.take(Targets::User(row(0).header.user)));
            assert_eq!(stored().await, None);
            assert_eq!(records.of_user(row(0).header.user).await, []);
        }
        drop(records.put(row(50), If::Any));
        drop(records.take(Targets::All));
        drop(records.put(row(51), If::NotOlder));
        assert_eq!(stored().await, Some(51));
        records.flush().await;
        assert_eq!(records.unwritten(), 0);
    })
    .await;
}

#[tokio::test]
async fn k7_records_in_memory_are_bounded_by_kind_and_the_first_to_end_makes_room() {
    let (records, rows) = (MemoryRecords::with_limit(|_| 2), Rows::new());
    let ending = |name: &str, ends| {
        let mut row = rows.row(Kind::Device, name, "user_1", "", ends);
        row.header.ends = ends;
        row
    };
    for (name, ends) in [("a", 3), ("b", 1), ("c", 2)] {
        records.put(ending(name, ends), If::Any).await.unwrap();
    }
    records.put(rows.row(Kind::Session, "d", "user_1", "sess_1", 9), If::Any).await.unwrap();
    for (name, is_there) in [("a", true), ("b", false), ("c", true)] {
        assert_eq!(records.get(ending(name, 0).name).await.is_some(), is_there, "{name}");
    }
    let nothing = MemoryRecords::new();
    assert_eq!(nothing.put(rows.login("ada", "user_1", "sess_1", 1), If::Any).await, Err(NotWritten));
}
