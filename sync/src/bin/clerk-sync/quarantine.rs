//! `clerk-sync quarantine`.

use serde_json::json;

use crate::args::{Options, Quarantine};
use crate::output::{Failure, print, show};

pub(crate) async fn run(options: &Options, command: Quarantine) -> Result<u8, Failure> {
    match command {
        Quarantine::List => list(options).await,
        Quarantine::Replay { messages, .. } => replay(options, messages).await,
    }
}

async fn list(options: &Options) -> Result<u8, Failure> {
    let quarantined = options.mirror().await?.quarantined().await?;
    let lines: Vec<String> = quarantined.iter().map(ToString::to_string).collect();
    let text = if lines.is_empty() { "nothing is quarantined".to_owned() } else { lines.join("\n") };
    show(options.json, &quarantined, &text)?;
    Ok(0)
}

/// Replays these messages, or all. Ends with 1 if one could not be applied.
async fn replay(options: &Options, mut messages: Vec<String>) -> Result<u8, Failure> {
    let mirror = options.mirror_with(options.client()?).await?;
    if messages.is_empty() {
        messages = mirror.quarantined().await?.into_iter().map(|it| it.message_id).collect();
    }
    let mut has_failed = false;
    for message in messages {
        let (outcome, reason) = match mirror.replay(&message).await {
            Ok(replayed) => (replayed.to_string(), None),
            Err(error) => ("failed".to_owned(), Some(error.to_string())),
        };
        has_failed |= reason.is_some();
        if options.json {
            print(&json!({ "message_id": message, "outcome": outcome, "reason": reason }).to_string());
        } else {
            print(&format!("{message}: {outcome}{}", reason.map(|reason| format!(": {reason}")).unwrap_or_default()));
        }
    }
    Ok(u8::from(has_failed))
}
