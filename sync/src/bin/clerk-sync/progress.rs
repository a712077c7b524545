//! Shows how far a run has come: as a bar on a terminal, and otherwise as a line from time to time.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tower_clerk_sync::Progress;

/// The time between two lines.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The observer of a run, on the standard error.
pub(crate) fn observer() -> impl Fn(Progress) + Send + Sync + 'static {
    let style = "{msg:14} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
    let bar = io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(0);
        ProgressStyle::with_template(style).map(|style| bar.set_style(style)).ok();
        bar
    });
    let last = Mutex::new(None::<Instant>);
    move |progress| match &bar {
        Some(bar) => draw(bar, progress),
        None => {
            let Ok(mut last) = last.lock() else { return };
            let is_due = last.is_none_or(|last| last.elapsed() >= BETWEEN_LINES);
            if is_due || !matches!(progress, Progress::Listed { .. }) {
                *last = Some(Instant::now());
                _ = writeln!(io::stderr(), "{}", line(progress));
            }
        }
    }
}

fn draw(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Listed { kind, entries, of } => {
            let message = format!("{kind}s");
            if bar.message() != message {
                bar.reset();
                bar.set_message(message);
            }
            bar.set_length(of.max(entries));
            bar.set_position(entries);
        }
        other => bar.println(line(other)),
    }
}

fn line(progress: Progress) -> String {
    match progress {
        Progress::Listed { kind, entries, of } => format!("{kind}s: {entries} of {of}"),
        Progress::Confirming { kind, rows } => {
            format!("{kind}s: asking by id for rows that are not in Clerk's list: {rows}")
        }
        Progress::Waiting { time } => format!("waiting {} s until they are asked for again", time.as_secs()),
        _ => "under way".to_owned(),
    }
}
