//! Checks the settings of a Clerk instance, before a server that signs users in to it goes live.
//!
//! ```text
//! $ export CLERK_PUBLISHABLE_KEY=pk_live_…
//! $ cargo run --example preflight
//! ```
//!
//! It reads the variables of [`ClerkBuilder::from_env`], so with `CLERK_SECRET_KEY` it checks that key as well. Without any of
//! them it checks a stand-in for Clerk inside this process. Each finding is a line on stdout:
//!
//! | line begins with | meaning |
//! |---|---|
//! | `must be fixed` | no user can sign in until this is done |
//! | `should be fixed` | users can sign in, with a disadvantage |
//! | `note` | nothing is wrong, or it can't be seen from outside |
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | users can sign in |
//! | 1 | something must be fixed |
//! | 2 | a variable is missing or unusable; stderr has one line that names it |

use std::env;
use std::error::Error;
use std::process::ExitCode;

use tower_clerk::preflight::FindingKind;
use tower_clerk::testing::FakeClerk;
use tower_clerk::{Clerk, ClerkBuilder};

const VARIABLES: [&str; 5] =
    ["CLERK_PUBLISHABLE_KEY", "CLERK_FAPI_URL", "CLERK_SECRET_KEY", "CLERK_SECRET_KEY_FILE", "CLERK_API_URL"];

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => {
            println!("users can sign in");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            println!("no user can sign in");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the findings. Returns whether users can sign in.
async fn run() -> Result<bool, Box<dyn Error>> {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if VARIABLES.into_iter().any(is_set) {
        return Ok(check(&ClerkBuilder::from_env()?.build()?).await);
    }
    println!("no CLERK_PUBLISHABLE_KEY is set: this checks a stand-in for Clerk inside this process");
    let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
    Ok(check(&Clerk::builder(stand_in.url()).build()?).await)
}

async fn check(clerk: &Clerk) -> bool {
    let findings = clerk.preflight().await;
    for finding in &findings {
        println!("{}: {finding}", urgency(finding.kind()));
    }
    !findings.iter().any(|finding| finding.kind().is_blocking())
}

fn urgency(kind: FindingKind) -> &'static str {
    match kind {
        kind if kind.is_blocking() => "must be fixed",
        kind if kind.is_note() => "note",
        _ => "should be fixed",
    }
}
