//! Serves mixed load over sockets for an hour while Clerk has faults, and checks that memory and tasks stay flat and that no good
//! user is refused.
//!
//! `cargo run --release --package tower-clerk-benches --features sockets --bin soak`, or with a number of seconds behind `--`.
//! Exits with code 1 if a promise is broken. Clerk and the clients are processes of their own, so that the memory is the server's.

mod clerk;
mod load;
mod server;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

/// Users with the right password.
const USERS: usize = 200;
const PASSWORD: &str = "the same for all of them";

const HOUR: Duration = Duration::from_secs(3_600);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let broken = match arguments[..] {
        ["clerk"] => runtime.block_on(clerk::run()).map(|()| Vec::new()),
        ["load", address, seconds] => runtime.block_on(load::run(address, seconds)).map(|()| Vec::new()),
        [] => runtime.block_on(server::run(HOUR)),
        [seconds] => match seconds.parse() {
            Ok(seconds) => runtime.block_on(server::run(Duration::from_secs(seconds))),
            Err(_) => return failed(&"usage: soak [SECONDS]"),
        },
        _ => return failed(&"usage: soak [SECONDS]"),
    };
    let broken = match broken {
        Ok(broken) => broken,
        Err(error) => return failed(&error),
    };
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("soak: {error}");
    ExitCode::from(2)
}

/// A user's identifier.
fn identifier(number: usize) -> String {
    format!("user{number}@example.com")
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
