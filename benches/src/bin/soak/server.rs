//! The process that is watched: both engines behind one server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_clerk::{Clerk, ClerkBasicAuthLayer, ClerkBuilder};

use crate::{Failure, load, watch};

/// Fewer than there are users, so that sessions are pushed out all the time.
const SESSIONS: u64 = 150;

/// Short, so that each proof ends several times.
const SESSION_TTL: Duration = Duration::from_secs(120);

/// The time for the sessions to be ended at Clerk.
const END: Duration = Duration::from_secs(30);

/// Runs the soak. Returns the promises that were broken.
pub(crate) async fn run(time: Duration) -> Result<Vec<String>, Failure> {
    let mut clerk = Process::start(&["clerk"])?;
    let line = clerk.line()?;
    let (url, key) = line.split_once(' ').ok_or("the stand-in didn't start")?;
    let frontend = engine(Clerk::builder(url))?;
    let backend = engine(
        Clerk::builder(url).secret_key(key).backend_url(url).backend_rate(100_000, Duration::from_secs(1)),
    )?;
    let app = Router::new()
        .route("/frontend", get(async || "ok").layer(ClerkBasicAuthLayer::new(frontend.clone())))
        .route("/backend", get(async || "ok").layer(ClerkBasicAuthLayer::new(backend.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut clients = Process::start(&["load", &address, &time.as_secs().to_string()])?;
    let samples = watch::watch(time, &[&frontend, &backend]).await;
    let mut broken = watch::judge(&samples);
    let outcome = tokio::task::spawn_blocking(move || clients.line()).await??;
    println!("{outcome}");
    broken.extend(load::judge(&outcome));
    for engine in [frontend, backend] {
        let left = engine.shutdown(END).await;
        if left > 0 {
            broken.push(format!("all sessions are ended at the shutdown, and not {left} left"));
        }
    }
    Ok(broken)
}

/// An engine whose budgets are no part of this.
fn engine(builder: ClerkBuilder) -> Result<Clerk, Failure> {
    let builder = builder.unlimited_sign_ins().max_sessions(SESSIONS).session_ttl(SESSION_TTL);
    Ok(builder.upstream_timeout(Duration::from_secs(1)).build()?)
}

/// This program in another role. It is killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(Self(command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?))
    }

    /// The only line that it prints.
    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        let output = self.0.stdout.as_mut().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
