//! An attacker who has the file, and may write to it (rule H6).

use std::time::Duration;

use rusqlite::params;
use tokio::time::Instant;

use super::{
    Dir, FoundLogin, device, device_token, find, found, login, open, open_at_full_cost, save, session, sql,
};
use crate::credentials::Decoding;
use crate::store::{EngineState, If};

/// Ada and Bob, with a login, a device and a session each.
async fn filled(dir: &Dir) -> EngineState {
    let state = open(&dir.path());
    for (name, user) in [("Ada", "user_ada"), ("Bob", "user_bob")] {
        let (session_id, token) = (format!("sess_of_{name}"), format!("client_token_of_{name}"));
        save(&state, name, &format!("password_of_{name}"), &login(user, &session_id, &token)).await.unwrap();
        state.devices.put(name, &device(user, &format!("device_of_{name}")), If::Any).1.await.unwrap();
        state.sessions.put(&session(user, Some("org_x"), &format!("open_of_{name}"))).await;
    }
    state
}

#[tokio::test]
async fn h6_a_dump_of_the_file_holds_no_identifier_password_token_or_id() {
    let dir = Dir::new();
    let state = filled(&dir).await;
    state.take_user("user_bob").await;
    drop(state);
    let dump = dir.dump();
    assert!(dump.len() > 8192);
    let secrets = [
        "Ada",
        "Bob",
        "user_ada",
        "user_bob",
        "password_of",
        "client_token_of",
        "device_of",
        "sess_of",
        "open_of",
        "org_x",
        "org_1",
        "acme-slug",
        ISSUER_HOST,
    ];
    for secret in secrets {
        let is_in = dump.windows(secret.len()).any(|bytes| bytes.eq_ignore_ascii_case(secret.as_bytes()));
        assert!(!is_in, "{secret}");
    }
}

const ISSUER_HOST: &str = "clerk.example.com";

#[tokio::test]
async fn h6_values_swapped_between_users_open_nothing() {
    let dir = Dir::new();
    let state = filled(&dir).await;
    let swap = |columns: &str| {
        let file = sql(&dir.path());
        for kind in 1..=3 {
            let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = {
                let mut select =
                    file.prepare(&format!("SELECT name, {columns} FROM records WHERE kind = ?1")).unwrap();
                let rows = select.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                rows.unwrap().collect::<Result<_, _>>().unwrap()
            };
            let [one, other] = &rows[..] else { panic!("two of each kind") };
            for ((name, ..), (_, first, second)) in [(one, other), (other, one)] {
                let [a, b] = [columns.split(", ").next().unwrap(), columns.split(", ").nth(1).unwrap()];
                let update = format!("UPDATE records SET {a} = ?1, {b} = ?2 WHERE name = ?3");
                file.execute(&update, params![first, second, name]).unwrap();
            }
        }
    };
    for columns in ["user, sealed", "user, session"] {
        swap(columns);
        for name in ["Ada", "Bob"] {
            for password in ["password_of_Ada", "password_of_Bob"] {
                assert!(find(&state, name, password).await.is_none(), "{columns}");
            }
            assert_eq!(device_token(&state.devices, name).await, None, "{columns}");
        }
        assert!(state.sessions.get("user_ada", Some("org_x")).await.is_none(), "{columns}");
        // Back again, to see that this was the cause.
        swap(columns);
        assert!(find(&state, "Ada", "password_of_Ada").await.is_some());
    }
    assert!(state.unopenable() >= 10);
}

/// The function is held, so a look-up that needed it would not come back.
#[tokio::test]
async fn h6_a_forged_or_flipped_record_is_refused_before_the_password_function() {
    let dir = Dir::new();
    let state = filled(&dir).await;
    let logins = state.logins.clone().unwrap();
    let name = logins.name("Ada", Decoding::PLAIN);
    let held = logins.hold_function();
    let look_up = async |within| {
        let later = Instant::now() + Duration::from_secs(600);
        tokio::time::timeout(within, logins.find(name, "password_of_Ada", later)).await.map(|it| it.is_some())
    };
    assert!(look_up(Duration::from_millis(50)).await.is_err(), "a good record waits for the function");
    let refused = async || look_up(Duration::from_secs(60)).await == Ok(false);
    let file = sql(&dir.path());
    let select = "SELECT sealed FROM records WHERE name = ?1";
    let good: Vec<u8> = file.query_row(select, [&name.0[..]], |row| row.get(0)).unwrap();
    let put = |sealed: &[u8]| {
        file.execute("UPDATE records SET sealed = ?1 WHERE name = ?2", params![sealed, &name.0[..]]).unwrap();
    };
    let unopenable = state.unopenable();
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        put(&flipped);
        assert!(refused().await, "byte {at}");
    }
    assert!(state.unopenable() > unopenable);
    put(&good[..good.len() - 1]);
    assert!(refused().await);
    drop(held);
    put(&good);
    assert!(find(&state, "Ada", "password_of_Ada").await.is_some());
}

#[tokio::test]
async fn h6_a_replayed_record_has_its_own_times_and_can_not_be_made_to_live_longer() {
    let dir = Dir::new();
    let state = filled(&dir).await;
    let file = sql(&dir.path());
    file.execute("CREATE TEMP TABLE copy AS SELECT * FROM records WHERE kind = 1", []).unwrap();
    let FoundLogin { record: before, .. } = find(&state, "Ada", "password_of_Ada").await.unwrap();
    state.take_user("user_ada").await;
    assert!(find(&state, "Ada", "password_of_Ada").await.is_none());
    file.execute("INSERT OR REPLACE INTO records SELECT * FROM copy", []).unwrap();
    let FoundLogin { record: replayed, .. } = find(&state, "Ada", "password_of_Ada").await.unwrap();
    assert_eq!((replayed.proven_at, replayed.proof_end), (before.proven_at, before.proof_end));
    for column in ["ends", "revision"] {
        file.execute(&format!("UPDATE records SET {column} = {column} + 1"), []).unwrap();
        assert!(find(&state, "Ada", "password_of_Ada").await.is_none(), "{column}");
        file.execute(&format!("UPDATE records SET {column} = {column} - 1"), []).unwrap();
    }
    assert!(find(&state, "Ada", "password_of_Ada").await.is_some());
}

#[tokio::test]
async fn h8_a_record_of_a_later_version_is_absent_and_not_overwritten() {
    let dir = Dir::new();
    let state = filled(&dir).await;
    let file = sql(&dir.path());
    file.execute("UPDATE records SET sealed = CAST(x'02' || substr(sealed, 2) AS BLOB)", []).unwrap();
    let sealed = || -> Vec<Vec<u8>> {
        let mut select = file.prepare("SELECT sealed FROM records ORDER BY name").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let before = sealed();
    assert!(find(&state, "Ada", "password_of_Ada").await.is_none());
    assert_eq!(save(&state, "Ada", "password_of_Ada", &login("user_ada", "s", "t")).await, None);
    assert!(state.devices.put("Ada", &device("user_ada", "new"), If::Any).1.await.is_err());
    assert_eq!(sealed(), before);
    // A revocation goes by what the columns say, and reaches it all the same.
    state.take_user("user_ada").await;
    assert_eq!(sealed().len(), 3);
    assert_eq!(found(&state, "Bob", "password_of_Bob").await, None);
}

/// The price of guessing for somebody who has the file and its key. Run it in a release build.
#[tokio::test]
#[ignore = "a measurement of about half a minute"]
async fn h6_a_thousand_guesses_with_the_keys_in_hand() {
    let dir = Dir::new();
    save(&open_at_full_cost(&dir.path()), "ada", "secret", &login("user_1", "sess_1", "token"))
        .await
        .unwrap();
    // The key is in the file beside it.
    let thief = open_at_full_cost(&dir.path());
    let started = std::time::Instant::now();
    for guess in 0..1000 {
        assert!(find(&thief, "ada", &format!("guess {guess}")).await.is_none());
    }
    let took = started.elapsed();
    println!("1,000 guesses, one after the other: {took:.1?}, {:.0} a second", 1000.0 / took.as_secs_f64());
    assert!(find(&thief, "ada", "secret").await.is_some());
}
