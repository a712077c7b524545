//! `clerk-sync`: fills, compares and repairs a mirror of Clerk's users, and receives the webhooks that keep it in step.

mod args;
mod commands;
mod output;
mod progress;
mod quarantine;
mod settings;
mod status;
mod watch;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use self::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    // Ends with code 2 and the usage if the arguments are unusable.
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    commands::run(args).await
}
