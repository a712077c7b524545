//! Signs an account in interactively, once, so that Clerk's Device Trust knows the server as one of the account's
//! devices.
//!
//! ```text
//! $ export CLERK_PUBLISHABLE_KEY=pk_live_… DEVICE_FILE=/var/lib/my-server/devices
//! $ cargo run --example enroll newdevice@example.com
//! ```
//!
//! Without these variables it shows the way with a stand-in for Clerk inside this process, and stores nothing.
//!
//! Clerk sends the code by e-mail or text message, or the account's authenticator app shows it.
//!
//! `DEVICE_FILE` is the server's device file; the server may be running. Run the example as the server's user. It
//! reads the password and the codes from the terminal, or line by line from stdin if that is not a terminal. Only the
//! last line of output goes to stdout.

#[path = "enroll/terminal.rs"]
mod terminal;

use std::env;
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use terminal::Terminal;
use tower_clerk::enroll::{Enrollment, EnrollmentFactor};
use tower_clerk::store::{DeviceFile, DeviceInbox, DeviceStore, KnownDevice, StoreError, StoreErrorKind};
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
    let result = match &settings {
        Some((instance, file)) => run(instance, Some(file)).await,
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

/// Reads the instance and the path of the device file; `None` for the stand-in. An error starts with the name of its
/// variable.
fn settings() -> Result<Option<(String, PathBuf)>, String> {
    let mut instance = None;
    for name in ["CLERK_PUBLISHABLE_KEY", "CLERK_FAPI_URL"] {
        if let Some(value) = env::var(name).ok().filter(|value| !value.is_empty()) {
            Clerk::builder(&value).build().map_err(|error| format!("{name}: {error}"))?;
            if name == "CLERK_FAPI_URL" && !value.starts_with("http") {
                return Err(format!("{name}: must be an address like https://clerk.example.com"));
            }
            instance = Some(value);
        }
    }
    let file = env::var_os("DEVICE_FILE").filter(|path| !path.is_empty());
    if instance.is_none() && file.is_none() {
        return Ok(None);
    }
    let instance = instance.ok_or("CLERK_PUBLISHABLE_KEY: must be set, or CLERK_FAPI_URL")?;
    let file = PathBuf::from(file.ok_or("DEVICE_FILE: must be set, to the device file of the server")?);
    match DeviceFile::open(&file) {
        // Closed right away: a server that starts while the user looks for the code must be able to open it.
        Ok(_) => Ok(Some((instance, file))),
        Err(error) if error.kind() == StoreErrorKind::InUse => Ok(Some((instance, file))),
        Err(error) => Err(format!("DEVICE_FILE: {}", with_source(&error))),
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

/// Enrolls an account. Without a file, the device is not stored.
async fn run(instance: &str, file: Option<&Path>) -> Result<String, Box<dyn Error>> {
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

    let enrolled = Enrolled::default();
    let clerk = Clerk::builder(instance).device_store(enrolled.clone()).build()?;
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
    let (identifier, device) = enrolled.take().ok_or("Clerk has let the account in, but named no device")?;
    let Some(file) = file else { return Ok(identifier) };
    if store_device(file, &identifier, &device)? {
        eprintln!("The device is in {}.", file.display());
    } else {
        eprintln!(
            "{} is in use: the device was handed to the server that holds it, which takes it in with the account's next \
             request.",
            file.display()
        );
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

/// Stores the device where the server finds it. `false` if the server is running and will fetch it from the inbox.
fn store_device(file: &Path, identifier: &str, device: &KnownDevice) -> Result<bool, String> {
    let open = || match DeviceFile::open(file) {
        Ok(devices) => Ok(Some(devices)),
        Err(error) if error.kind() == StoreErrorKind::InUse => Ok(None),
        Err(error) => Err(with_source(&error)),
    };
    match open()? {
        Some(devices) => devices.put(identifier, device.clone()),
        None => {
            let inbox = DeviceInbox::at(file).map_err(|error| with_source(&error))?;
            inbox.hand_in(identifier, device).map_err(|error| with_source(&error))?;
            return Ok(false);
        }
    }
    // A store whose file can't be written to continues in memory, so check the file.
    match open()? {
        Some(devices) if devices.get(identifier).is_none() => {
            Err(format!("{} could not be written to: see whether there is room", file.display()))
        }
        _ => Ok(true),
    }
}

/// Captures the device that the enrollment stores.
#[derive(Clone, Default)]
struct Enrolled(Arc<Mutex<Option<(String, KnownDevice)>>>);

impl Enrolled {
    fn take(&self) -> Option<(String, KnownDevice)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl DeviceStore for Enrolled {
    fn get(&self, _: &str) -> Option<KnownDevice> {
        None
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((identifier.to_owned(), device));
    }

    fn remove(&self, _: &str) {}

    fn remove_user(&self, _: &str) {}

    fn clear(&self) {}
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

/// Formats an error with its source, if it has one.
fn with_source(error: &StoreError) -> String {
    match error.source() {
        Some(source) => format!("{error} ({source})"),
        None => error.to_string(),
    }
}
