//! The stand-in as a program.

use std::env::{self, VarError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::accounts::demo;
use crate::fake::FakeClerk;

/// The program `fake-clerk`: serves the [demo accounts](crate#demo-accounts) until Ctrl-C or SIGTERM.
///
/// Reads its configuration from the environment. Call it from a `main` of your own to ship the stand-in.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `FAKE_CLERK_ADDR` | the address it listens on; port 0 picks a free one | `127.0.0.1:4400` |
/// | `FAKE_CLERK_LIMITS` | `off`: any number of sign-ins, attempts and requests | Clerk's limits |
/// | `CLERK_SECRET_KEY` | the key that the Backend API asks for, `sk_test_…` or `sk_live_…` | a fixed key, printed on stderr |
///
/// An empty variable counts as unset. Once it accepts connections, it prints the line
/// `fake clerk listening on http://HOST:PORT` to stdout; all else goes to stderr: the key, the ids of the
/// organizations, and the codes that Clerk would mail. The exit code is 2 where a variable is unusable, and 1 where
/// signals can't be waited for.
pub async fn run() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => return unusable(&error),
    };
    let mut clerk = FakeClerk::builder().on_code(|to, code| eprintln!("mail to {to}: {code}"));
    if !settings.limits {
        clerk = clerk.no_rate_limit();
    }
    let key_is_given = settings.key.is_some();
    if let Some(key) = settings.key {
        clerk = clerk.secret_key(key);
    }
    let clerk = clerk.build();
    let server = match clerk.serve(settings.address.as_str()).await {
        Ok(server) => server,
        Err(error) => return unusable(&cannot_listen(&settings.address, &error)),
    };
    // Signals are caught before the address is announced: from then on something may want to stop the program.
    let stopped = match stop_signal() {
        Ok(stopped) => stopped,
        Err(error) => {
            eprintln!("can't wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    if key_is_given {
        // It may be a real one, which is nothing to print.
        eprintln!("the Backend API is at the same address, its key is the one in CLERK_SECRET_KEY");
    } else {
        // As a line for a shell, to be copied.
        eprintln!("the Backend API is at the same address, with this key:");
        eprintln!("export CLERK_SECRET_KEY={}", clerk.secret_key());
    }
    let organizations = ["acme", "globex"].map(|slug| format!("{slug} is {}", demo::organization_id(slug)));
    eprintln!("{}", organizations.join(", "));
    announce(server.addr());
    stopped.await;
    server.shutdown().await;
    ExitCode::SUCCESS
}

/// The settings that the environment asks for.
struct Settings {
    address: String,
    limits: bool,
    key: Option<String>,
}

impl Settings {
    /// An error names its variable.
    fn from_env() -> Result<Self, String> {
        let address = variable("FAKE_CLERK_ADDR")?.unwrap_or_else(|| "127.0.0.1:4400".to_owned());
        let limits = match variable("FAKE_CLERK_LIMITS")?.as_deref() {
            None => true,
            Some("off") => false,
            Some(_) => return Err("FAKE_CLERK_LIMITS: must be off or unset".to_owned()),
        };
        let key = variable("CLERK_SECRET_KEY")?;
        if key.as_ref().is_some_and(|key| !key.starts_with("sk_test_") && !key.starts_with("sk_live_")) {
            // Without the text: it may be a secret in spite of its form.
            return Err("CLERK_SECRET_KEY: must begin with sk_test_ or sk_live_".to_owned());
        }
        Ok(Self { address, limits, key })
    }
}

/// A variable's value; an empty one counts as unset.
fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8")),
    }
}

fn cannot_listen(address: &str, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::InvalidInput => "; must be like 127.0.0.1:4400",
        io::ErrorKind::AddrInUse => "; set FAKE_CLERK_ADDR (127.0.0.1:0 for a free port)",
        _ => "",
    };
    format!("FAKE_CLERK_ADDR: can't listen on {address:?}: {error}{advice}")
}

fn unusable(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(2)
}

fn announce(address: SocketAddr) {
    let mut stdout = io::stdout();
    // A closed output is no reason to stop.
    let _ = writeln!(stdout, "fake clerk listening on http://{address}");
    let _ = stdout.flush();
}

/// Ends with Ctrl-C or SIGTERM.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends with Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
