//! Measures how the stand-in's work grows with the number of users.
//!
//! Run it with `cargo run --release -p fake-clerk --example scale`, or with numbers of users: `… --example scale
//! 10000 100000`. Each user is added, signs in once, is looked up by address, has the sessions listed, and is
//! deleted.

use std::env;
use std::time::Instant;

use bytes::Bytes;
use fake_clerk::{FakeClerk, FakeUser};
use http::Request;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut counts = env::args().skip(1).map(|count| count.parse()).collect::<Result<Vec<usize>, _>>()?;
    if counts.is_empty() {
        counts = vec![1_000, 10_000];
    }
    println!("microseconds per user");
    println!(
        "{:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "users", "add", "sign in", "look up", "sessions", "delete"
    );
    for count in counts {
        let figures = live(count).await?;
        let row: String = figures.iter().map(|figure| format!(" {figure:>8.1}")).collect();
        println!("{count:>8}{row}");
    }
    Ok(())
}

/// Returns the microseconds per user that each step takes.
async fn live(count: usize) -> Result<[f64; 5], Box<dyn std::error::Error>> {
    let clerk = FakeClerk::builder().empty().no_rate_limit().build();
    // Generates the process's signing key, which takes a large part of a second and isn't part of any user's cost.
    clerk.handle(Request::get(clerk.fapi_url() + "/.well-known/jwks.json").body(Bytes::new())?).await?;
    let mut ids = Vec::with_capacity(count);
    let mut watch = Watch { count, since: Instant::now() };
    for number in 0..count {
        ids.push(
            clerk.add_user(FakeUser::new(address(number)).username(name(number)).password("correct horse")),
        );
    }
    let added = watch.lap();
    for number in 0..count {
        let form = format!("strategy=password&identifier=user{number}%40example.com&password=correct+horse");
        let request = Request::post(clerk.fapi_url() + "/v1/client/sign_ins?_is_native=1")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form))?;
        assert_eq!(clerk.handle(request).await?.status(), 200, "{}", address(number));
    }
    let signed_in = watch.lap();
    for number in 0..count {
        get(&clerk, &format!("/v1/users?email_address=user{number}%40example.com")).await?;
    }
    let looked_up = watch.lap();
    for id in &ids {
        get(&clerk, &format!("/v1/sessions?user_id={id}")).await?;
    }
    let listed = watch.lap();
    for id in &ids {
        clerk.delete_user(id);
    }
    let deleted = watch.lap();
    assert_eq!(clerk.live_sessions(), 0);
    Ok([added, signed_in, looked_up, listed, deleted])
}

async fn get(clerk: &FakeClerk, path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let request = Request::get(clerk.backend_url() + path)
        .header("authorization", format!("Bearer {}", clerk.secret_key()))
        .body(Bytes::new())?;
    let found: Vec<serde_json::Value> = serde_json::from_slice(clerk.handle(request).await?.body())?;
    assert_eq!(found.len(), 1, "{path}");
    Ok(())
}

fn address(number: usize) -> String {
    format!("user{number}@example.com")
}

fn name(number: usize) -> String {
    format!("user{number}")
}

struct Watch {
    count: usize,
    since: Instant,
}

impl Watch {
    /// Returns the microseconds per user since the last lap.
    fn lap(&mut self) -> f64 {
        let lap = self.since.elapsed();
        self.since = Instant::now();
        lap.as_secs_f64() * 1e6 / self.count as f64
    }
}
