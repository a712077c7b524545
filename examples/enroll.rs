//! Signs an account in interactively, once, so that Clerk's Device Trust knows the server as one of the account's
//! devices.
//!
//! ```text
//! $ export CLERK_PUBLISHABLE_KEY=pk_live_… STORE_FILE=/var/lib/my-server/clerk.db
//! $ cargo run --example enroll newdevice@example.com
//! ```
//!
//! Without these variables it shows the way with a stand-in for Clerk inside this process, and stores nothing.
//!
//! Clerk sends the code by e-mail or text message, or the account's authenticator app shows it.
//!
//! `STORE_FILE` and, where it is set, `STORE_KEYS` or `STORE_KEYS_FILE` are those of the server, which may be running. Run the example as the
//! server's user. It reads the password and the codes from the terminal, or line by line from stdin if that is not a
//! terminal. Only the last line of output goes to stdout.

#[path = "common/store.rs"]
mod store;
#[path = "enroll/terminal.rs"]
mod terminal;

use std::env;
use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use store::Store;
use terminal::Terminal;
use tower_clerk::enroll::{Enrollment, EnrollmentFactor};
use tower_clerk::testing::FakeClerk;
use tower_clerk::{Clerk, Credentials, Rejection, RejectionKind};
use tracing_subscriber::EnvFilter;

/// Maximum number of attempts at a code, which is Clerk's limit in 10 s.
const TRIES: u32 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let has_colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours)
        .init();
    let settings = match settings() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let result = match settings {
        Some((instance, store)) => run(&instance, Some(store)).await,
        None => run_with_stand_in().await,
    };
    match result {
        Ok(identifier) => {
            println!("enrolled {identifier}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the instance and opens the store; `None` for the stand-in. An error starts with the name of its variable.
fn settings() -> Result<Option<(String, Store)>, String> {
    let mut instance = None;
    for name in ["CLERK_PUBLISHABLE_KEY", "CLERK_FAPI_URL"] {
        if let Some(value) = variable(name)? {
            Clerk::builder(&value).build().map_err(|error| format!("{name}: {error}"))?;
            if name == "CLERK_FAPI_URL" && !value.starts_with("http") {
                return Err(format!("{name}: must be an address like https://clerk.example.com"));
            }
            instance = Some(value);
        }
    }
    match (instance, variable("STORE_FILE")?) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("CLERK_PUBLISHABLE_KEY: must be set, or CLERK_FAPI_URL".to_owned()),
        (Some(_), None) => Err("STORE_FILE: must be set, to the store of the server".to_owned()),
        (Some(instance), Some(_)) => Ok(Some((instance, Store::from_env(variable)?))),
    }
}

/// Returns a variable's value. An empty one counts as unset.
fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8")),
    }
}

async fn run_with_stand_in() -> Result<String, Box<dyn Error>> {
    let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
    eprintln!(
        "no CLERK_PUBLISHABLE_KEY is set: a stand-in for Clerk runs inside this process, and nothing is stored.\n\
         try: newdevice@example.com, with the password `trust me on a device` and the code 424242"
    );
    run(&stand_in.url(), None).await
}

/// Enrolls an account. Without a store, nothing is left of it when the program ends.
async fn run(instance: &str, store: Option<Store>) -> Result<String, Box<dyn Error>> {
    let terminal = Terminal::new();
    eprintln!(
        "Enrolling makes the server a device that Clerk knows for this account. Requests to the server with the \
         account's password then pass Device Trust, until 30 days after the last successful sign-in."
    );
    let identifier = match env::args().nth(1) {
        Some(identifier) => identifier,
        None => terminal.ask("identifier: ").await?.to_string(),
    };
    let password = terminal.ask_hidden(&format!("password of {identifier}: ")).await?;
    let credentials = Credentials::new(&*identifier, &**password)?;
    drop(password);

    let is_stored = store.is_some();
    let builder = Clerk::builder(instance);
    let clerk = match store {
        Some(store) => store.apply(builder),
        None => builder,
    };
    let clerk = clerk.build()?;
    let mut enrollment = clerk.enroll(&credentials).await.map_err(|error| advice(&error))?;
    if enrollment.has_second_factor() {
        eprintln!(
            "This account has a second factor, which Clerk asks for at each sign-in, from whatever device. HTTP Basic \
             can't carry it: the server will know the device, and go on answering second_factor_required."
        );
    }
    if enrollment.is_done() {
        eprintln!("Clerk asks for no code: Device Trust is off, or not for this account.");
    } else {
        confirm(&mut enrollment, &terminal).await?;
    }
    if is_stored {
        eprintln!("The device is stored: the server knows it from the account's next request on.");
    }
    Ok(identifier)
}

/// Requests a code, if the factor sends one, and prompts for it.
async fn confirm(enrollment: &mut Enrollment, terminal: &Terminal) -> Result<(), Box<dyn Error>> {
    let factor = choose(enrollment.factors(), terminal).await?;
    enrollment.send_code(&factor).await.map_err(|error| advice(&error))?;
    if factor.needs_code_sent() {
        eprintln!("Clerk has sent a code: {}.", shown(&factor));
    }
    for left in (0..TRIES).rev() {
        let code = terminal.ask("code: ").await?;
        match enrollment.confirm(&factor, &code).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == RejectionKind::CredentialsRejected && left > 0 => {
                eprintln!("This code is wrong.");
            }
            Err(error) if error.kind() == RejectionKind::CredentialsRejected => break,
            Err(error) => return Err(advice(&error).into()),
        }
    }
    Err("the code was wrong each time: wait ten seconds, and begin anew".into())
}

async fn choose(
    factors: &[EnrollmentFactor],
    terminal: &Terminal,
) -> Result<EnrollmentFactor, Box<dyn Error>> {
    let first = factors.first().ok_or("Clerk offers no way to confirm that can be answered here")?;
    if factors.len() == 1 {
        return Ok(first.clone());
    }
    eprintln!("It can be confirmed in several ways:");
    for (at, factor) in factors.iter().enumerate() {
        eprintln!("  {}: {}", at + 1, shown(factor));
    }
    let chosen = terminal.ask("which of them? [1] ").await?;
    let chosen = if chosen.is_empty() { 1 } else { chosen.parse().unwrap_or_default() };
    let factor = usize::checked_sub(chosen, 1).and_then(|at| factors.get(at));
    Ok(factor.ok_or("none of them has this number: begin anew")?.clone())
}

fn shown(factor: &EnrollmentFactor) -> String {
    match factor.sent_to() {
        Some(address) => format!("{} to {address}", factor.strategy()),
        None => factor.strategy().to_owned(),
    }
}

/// Suggests what to do about a rejection.
fn advice(rejection: &Rejection) -> String {
    let what = match rejection.kind() {
        RejectionKind::CredentialsRejected => {
            "Clerk doesn't take the password, or the account is locked or banned: check both in its dashboard"
        }
        RejectionKind::AccountActionRequired => "sign in once in a browser, and follow what Clerk asks for",
        RejectionKind::UpstreamRateLimited => {
            "Clerk takes no more sign-ins from this address for now: wait a minute"
        }
        RejectionKind::UpstreamUnavailable => {
            "Clerk can't be reached or doesn't answer as it should: try again"
        }
        RejectionKind::Misconfigured => {
            "the instance is set up so that no password sign-in works: see the log above"
        }
        _ => "it can't be done",
    };
    match rejection.upstream_code() {
        Some(code) => format!("{what} ({code})"),
        None => what.to_owned(),
    }
}
