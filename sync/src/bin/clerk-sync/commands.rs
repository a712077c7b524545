//! The commands.

use std::process::ExitCode;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tower_clerk_sync::{Backfill, BackfillReport, MirrorErrorKind, Reconcile, ReconcileMode};

use crate::args::{self, Args, Command, Options};
use crate::output::{Failure, show};
use crate::{progress, quarantine, status, watch};

/// Runs the command, and returns the exit code.
pub(crate) async fn run(args: Args) -> ExitCode {
    let Args { options, command } = args;
    let done = match command {
        Command::Watch(arguments) => watch::watch(&options, &arguments).await.map(|()| 0),
        command => tokio::select! {
            done = dispatch(&options, command) => done,
            signal = stopped() => Err(Failure::new(format!("stopped by {signal}; run it again to go on"))),
        },
    };
    done.map_or_else(|failure| failure.end(options.json), ExitCode::from)
}

async fn dispatch(options: &Options, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Migrate => migrate(options).await,
        Command::Backfill => backfill(options).await,
        Command::Reconcile(arguments) => reconcile(options, &arguments).await,
        Command::Status => status::show(options).await,
        Command::Quarantine(command) => quarantine::run(options, command).await,
        // Ends by signals in a way of its own.
        Command::Watch(_) => Ok(0),
    }
}

/// Ends with the name of the signal that has arrived.
async fn stopped() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

async fn migrate(options: &Options) -> Result<u8, Failure> {
    options.migrated().await?;
    show(options.json, &json!({ "outcome": "migrated" }), "the tables are up to date")?;
    Ok(0)
}

async fn backfill(options: &Options) -> Result<u8, Failure> {
    let client = options.client()?;
    let backfill = Backfill::new(options.mirror().await?, client).on_progress(progress::observer());
    // The client has repeated its calls already. A database that is away for a moment is worth a wait, since the run goes on
    // where it was; its lease may be there until it ends.
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(2))
        .with_max_delay(Duration::from_secs(60))
        .with_max_times(8)
        .with_jitter();
    let mut has_failed = false;
    let report = (|| backfill.run())
        .retry(pauses)
        .when(|error| {
            let is_away = error.kind() == MirrorErrorKind::Database;
            has_failed |= is_away;
            is_away || (has_failed && error.kind() == MirrorErrorKind::Busy)
        })
        .notify(|error, pause| tracing::warn!(%error, ?pause, "the backfill goes on after a pause"))
        .await?;
    show(options.json, &report, &text(&report))?;
    Ok(0)
}

fn text(report: &BackfillReport) -> String {
    let kinds = [
        ("users", report.users),
        ("organizations", report.organizations),
        ("memberships", report.memberships),
    ];
    let lines: Vec<String> = kinds
        .iter()
        .map(|(name, it)| format!("{name}: {} rows, {} at Clerk", it.rows, it.at_clerk))
        .collect();
    lines.join("\n")
}

async fn reconcile(options: &Options, arguments: &args::Reconcile) -> Result<u8, Failure> {
    let client = options.client()?;
    let mode = if arguments.repair { ReconcileMode::Repair } else { ReconcileMode::Report };
    let reconcile = Reconcile::new(options.mirror().await?, client)
        .mode(mode)
        .force(arguments.force)
        .on_progress(progress::observer());
    let report = reconcile.run().await?;
    // The reason of an abort is a part of it.
    show(options.json, &report, &report.to_string())?;
    Ok(report.outcome.exit_code())
}
