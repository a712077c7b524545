//! The stand-in as a program.

use std::env::{self, VarError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::fake::FakeClerk;

/// The program `fake-clerk`: serves the [demo accounts](crate#demo-accounts) until Ctrl-C or SIGTERM.
///
/// It reads the environment and prints as the program's documentation says, which makes it the whole of a `main` in a
/// workspace that wants the stand-in as a program of its own.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `FAKE_CLERK_ADDR` | the address it listens on; port 0 picks a free one | `127.0.0.1:4400` |
/// | `CLERK_SECRET_KEY` | the key that the Backend API asks for, `sk_test_…` or `sk_live_…` | one that is the same at every start, printed on stderr |
///
/// The exit code is 2 where a variable is unusable, and 1 where signals can't be waited for.
pub async fn run() -> ExitCode {
    let address = match env::var("FAKE_CLERK_ADDR") {
        Ok(address) => address,
        Err(VarError::NotPresent) => "127.0.0.1:4400".to_owned(),
        Err(VarError::NotUnicode(_)) => return unusable("it isn't text"),
    };
    let mut clerk = FakeClerk::builder().on_code(|to, code| eprintln!("mail to {to}: {code}"));
    let key = match env::var("CLERK_SECRET_KEY") {
        Ok(key) if key.starts_with("sk_test_") || key.starts_with("sk_live_") => Some(key),
        Err(VarError::NotPresent) => None,
        // Without the text: it may be a secret in spite of its form.
        Ok(_) | Err(VarError::NotUnicode(_)) => {
            eprintln!("CLERK_SECRET_KEY: it doesn't begin with sk_test_ or sk_live_");
            return ExitCode::from(2);
        }
    };
    let key_is_given = key.is_some();
    if let Some(key) = key {
        clerk = clerk.secret_key(key);
    }
    let clerk = clerk.build();
    let server = match clerk.serve(address.as_str()).await {
        Ok(server) => server,
        Err(error) => return unusable(&format!("can't listen on {address:?}: {error}")),
    };
    // Signals are caught before the address is announced: from then on something may want to stop the program.
    let stopped = match stop_signal() {
        Ok(stopped) => stopped,
        Err(error) => {
            eprintln!("can't wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    // A key from outside may be a real one, which is nothing to print.
    let key = if key_is_given { "the one in CLERK_SECRET_KEY".to_owned() } else { clerk.secret_key() };
    eprintln!("the Backend API is at the same address, its key is {key}");
    announce(server.addr());
    stopped.await;
    server.shutdown().await;
    ExitCode::SUCCESS
}

fn unusable(why: &str) -> ExitCode {
    eprintln!("FAKE_CLERK_ADDR: {why}");
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
