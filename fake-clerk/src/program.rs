//! The stand-in as a program.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::accounts::demo;
use crate::fake::FakeClerk;
use crate::server::FakeClerkServer;
use crate::variable::variable;
use crate::webhooks::{WebhookEndpoint, WebhookSecret};

/// Runs the program `fake-clerk`, which serves the [demo accounts](crate#demo-accounts) until Ctrl-C or SIGTERM.
///
/// Reads its configuration from the environment. Call it from your own `main` to ship the stand-in.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `FAKE_CLERK_ADDR` | the address to listen on; port 0 picks a free one | `127.0.0.1:4400` |
/// | `FAKE_CLERK_LIMITS` | `off`: no rate limits | Clerk's limits |
/// | `CLERK_SECRET_KEY` | the Backend API's key, `sk_test_…` or `sk_live_…` | a fixed key, printed to stderr |
/// | `FAKE_CLERK_WEBHOOK_URL` | a webhook endpoint, `http://HOST:PORT/PATH` | no webhooks |
/// | `FAKE_CLERK_WEBHOOK_SECRET` | the secret of its signatures, `whsec_…` | a fixed secret, printed to stderr |
///
/// An empty variable counts as unset. Once the program accepts connections, it prints the line `fake clerk listening
/// on http://HOST:PORT` to stdout. The key, the secret of webhooks, the ids of the organizations and the mailed codes go to stderr. The exit
/// code is 2 if a variable is unusable, and 1 if no signal handler can be installed.
pub async fn run() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => return unusable(&error),
    };
    let mut clerk = FakeClerk::builder().on_code(|to, code| eprintln!("mail to {to}: {code}"));
    if !settings.limits {
        clerk = clerk.no_rate_limit();
    }
    if let Some(endpoint) = settings.webhook.clone() {
        clerk = clerk.webhook(endpoint);
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
    // Before the address is announced, because from then on another process may send a signal.
    let stopped = match stop_signal() {
        Ok(stopped) => stopped,
        Err(error) => {
            eprintln!("can't wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    describe(&clerk, key_is_given, &server);
    if let Some(endpoint) = &settings.webhook {
        describe_webhook(endpoint, settings.webhook_secret_is_given);
    }
    announce(server.addr());
    stopped.await;
    server.shutdown().await;
    ExitCode::SUCCESS
}

/// Prints how to use both APIs.
fn describe(clerk: &FakeClerk, key_is_given: bool, server: &FakeClerkServer) {
    if key_is_given {
        // The key may be a real one, so it isn't printed.
        eprintln!("the Backend API is at the same address, its key is the one in CLERK_SECRET_KEY");
    } else {
        // Printed as a shell command, to be copied.
        eprintln!("the Backend API is at the same address, with this key:");
        eprintln!("export CLERK_SECRET_KEY={}", clerk.secret_key());
    }
    let organizations = ["acme", "globex"].map(|slug| format!("{slug} is {}", demo::organization_id(slug)));
    eprintln!("{}", organizations.join(", "));
    for key in demo::api_keys() {
        eprintln!("API key of {}: {}", key.subject, key.secret);
    }
    eprintln!(
        "try: curl 'http://{}/v1/client/sign_ins?_is_native=1' -d strategy=password -d identifier=jane \
         -d 'password=correct horse battery staple'",
        server.addr()
    );
}

/// Prints where webhooks go, and the secret for the receiver. A given one may be real, so it isn't printed.
fn describe_webhook(endpoint: &WebhookEndpoint, secret_is_given: bool) {
    if secret_is_given {
        eprintln!("webhooks go to {}, signed with FAKE_CLERK_WEBHOOK_SECRET", endpoint.url);
    } else {
        eprintln!("webhooks go to {}, signed with this secret:", endpoint.url);
        let secrets = endpoint.secrets.iter().map(WebhookSecret::expose);
        secrets.for_each(|secret| eprintln!("export CLERK_WEBHOOK_SIGNING_SECRET={secret}"));
    }
}

/// The settings from the environment.
struct Settings {
    address: String,
    limits: bool,
    key: Option<String>,
    webhook: Option<WebhookEndpoint>,
    webhook_secret_is_given: bool,
}

impl Settings {
    /// Reads the settings. An error starts with the name of its variable.
    fn from_env() -> Result<Self, String> {
        let address = variable("FAKE_CLERK_ADDR")?.unwrap_or_else(|| "127.0.0.1:4400".to_owned());
        let limits = match variable("FAKE_CLERK_LIMITS")?.as_deref() {
            None => true,
            Some("off") => false,
            Some(_) => return Err("FAKE_CLERK_LIMITS: must be off or unset".to_owned()),
        };
        let key = variable("CLERK_SECRET_KEY")?;
        if key.as_ref().is_some_and(|key| !key.starts_with("sk_test_") && !key.starts_with("sk_live_")) {
            // Without the value, which may be a secret even if it doesn't look like one.
            return Err("CLERK_SECRET_KEY: must begin with sk_test_ or sk_live_".to_owned());
        }
        let webhook = WebhookEndpoint::from_env().map_err(|error| error.to_string())?;
        let webhook_secret_is_given = variable("FAKE_CLERK_WEBHOOK_SECRET")?.is_some();
        Ok(Self { address, limits, key, webhook, webhook_secret_is_given })
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
    // A closed stdout is no reason to stop.
    let _ = writeln!(stdout, "fake clerk listening on http://{address}");
    let _ = stdout.flush();
}

/// Completes on Ctrl-C or SIGTERM.
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

/// Completes on Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
