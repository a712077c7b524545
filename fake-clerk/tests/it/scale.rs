//! Checks that the stand-in's work grows linearly with the number of users.
//!
//! `cargo run --release -p fake-clerk --example scale` prints figures.

use std::time::{Duration, Instant};

use fake_clerk::{FakeClerk, FakeOrganization, FakeUser};
use serde_json::json;

use super::caller::Server;
use super::modules::{sources, without_comments};

const FEW: usize = 1_000;
const MANY: usize = 8 * FEW;

/// Number of attempts, since other work on the machine disturbs a measurement.
const TRIES: usize = 10;

const STEPS: [&str; 8] =
    ["add", "join", "change the address", "open a session", "count the sessions", "leave", "ban", "delete"];

/// Returns the time that each step takes for all users. No step signs a token, which would dominate the time.
async fn live(users: usize) -> [Duration; STEPS.len()] {
    let clerk = FakeClerk::builder().empty().no_rate_limit().build();
    clerk.add_organization(FakeOrganization::new("acme"));
    let server = Server::new(&clerk);
    let mut times = [Duration::ZERO; STEPS.len()];
    let mut ids = Vec::new();
    for (step, time) in times.iter_mut().enumerate() {
        let start = Instant::now();
        for number in 0..users {
            let (old, new) = (format!("user{number}@example.com"), format!("u{number}@example.com"));
            match step {
                0 => ids.push(clerk.add_user(FakeUser::new(old).username(format!("user{number}")))),
                1 => clerk.add_member(&ids[number], "acme", "org:member"),
                2 => clerk.change_email(&ids[number], &old, new),
                3 => drop(server.post("/v1/sessions", json!({ "user_id": ids[number] })).await.ok()),
                4 => assert_eq!(clerk.live_sessions_of(&new), 1),
                5 => clerk.remove_member(&new, "acme"),
                6 => clerk.ban(&new),
                _ => clerk.delete_user(&new),
            }
        }
        *time = start.elapsed();
    }
    assert_eq!((clerk.live_sessions(), clerk.sessions().len()), (0, 0));
    times
}

#[tokio::test]
async fn eight_times_the_users_take_about_eight_times_the_time() {
    let (mut few, mut many) = ([Duration::MAX; STEPS.len()], [Duration::MAX; STEPS.len()]);
    for _ in 0..TRIES {
        // Other work on the machine only ever adds to a time, so the minimum of several is the best estimate.
        for (least, users) in [(&mut few, FEW), (&mut many, MANY)] {
            let times = live(users).await;
            least.iter_mut().zip(times).for_each(|(least, time)| *least = time.min(*least));
        }
        // A scan of all users in each step would take 64 times as long. Larger maps are slower by themselves.
        if few.iter().zip(&many).all(|(few, many)| *many < *few * 40) {
            return;
        }
    }
    for (step, (few, many)) in STEPS.iter().zip(few.iter().zip(&many)) {
        println!("{step}: {FEW} users {few:?}, {MANY} users {many:?}");
    }
    panic!("a step's time grows faster than the users");
}

/// A timing reveals a scan only if the step does little besides. The stores have private maps, so only these places
/// can scan everything.
#[test]
fn only_listings_scan_everything() {
    let mut found = Vec::new();
    for (module, text) in sources() {
        let text = without_comments(&text);
        let text: String = text.split_whitespace().collect();
        for look in ["sessions.all()", "users.numbered("] {
            found.extend(text.match_indices(look).map(|_| (look, module.clone())));
        }
        // These maps of the state have no store.
        for map in ["clients", "tickets", "templates"] {
            for look in ["values()", "values_mut()", "iter()", "iter_mut()", "keys()", "retain("] {
                assert!(!text.contains(&format!("state.{map}.{look}")), "{module} looks at all {map}");
            }
        }
    }
    let (listing, administrator) = ("backend::user_list".to_owned(), "fake::sessions".to_owned());
    let expected = [
        ("users.numbered(", listing),
        ("sessions.all()", administrator.clone()),
        ("sessions.all()", administrator),
    ];
    assert_eq!(found, expected);
}
