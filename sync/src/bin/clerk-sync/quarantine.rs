//! `clerk-sync quarantine`.

use std::time::SystemTime;

use serde_json::{Value, json};
use tower_clerk_sync::{MirrorErrorKind, Quarantined, Replay};

use crate::args::{Options, Quarantine};
use crate::output::{Failure, print, show};

pub(crate) async fn run(options: &Options, command: Quarantine) -> Result<u8, Failure> {
    match command {
        Quarantine::List => list(options).await,
        Quarantine::Replay { messages, .. } => replay(options, messages).await,
        Quarantine::Discard { messages } => discard(options, messages).await,
    }
}

async fn list(options: &Options) -> Result<u8, Failure> {
    let quarantined = options.mirror().await?.quarantined().await?;
    let objects: Vec<Value> = quarantined.iter().map(object).collect();
    let lines: Vec<String> = quarantined.iter().map(line).collect();
    let text = if lines.is_empty() { "nothing is quarantined".to_owned() } else { lines.join("\n") };
    show(options.json, &objects, &text)?;
    Ok(0)
}

fn object(it: &Quarantined) -> Value {
    let millis = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    json!({
        "message_id": it.message_id,
        "event_type": it.event_type,
        "kind": it.kind.map(|kind| kind.to_string()),
        "object_id": it.object_id,
        "organization_id": it.organization_id,
        "user_id": it.user_id,
        "reason": it.reason,
        "first_at": millis(it.first_at),
        "last_at": millis(it.last_at),
    })
}

fn line(it: &Quarantined) -> String {
    // An id that isn't one may hold what a terminal obeys.
    let object = it.object_id.as_deref().unwrap_or("of an unknown object").escape_debug();
    format!("{}: {} {object}: {}", it.message_id.escape_debug(), it.event_type, it.reason)
}

/// Replays these messages, or all. Ends with 1 if one could not be applied.
async fn replay(options: &Options, mut messages: Vec<String>) -> Result<u8, Failure> {
    let mirror = options.mirror_with(options.client()?).await?;
    if messages.is_empty() {
        messages = mirror.quarantined().await?.into_iter().map(|it| it.message_id).collect();
        if messages.is_empty() && !options.json {
            print("nothing is quarantined");
        }
    }
    let mut told = Told::default();
    for message in messages {
        let (outcome, reason) = match mirror.replay(&message).await {
            Ok(Replay::Applied) => ("applied", None),
            Ok(Replay::Deleted) => ("deleted", None),
            Ok(Replay::Moved) => {
                ("failed", Some("an event has written the object meanwhile: replay it again".to_owned()))
            }
            Ok(_) => ("failed", Some("Clerk still has the object in a form that can't be stored".to_owned())),
            Err(error) if matches!(error.kind(), MirrorErrorKind::Unfit | MirrorErrorKind::Unreadable) => {
                ("failed", Some(error.to_string()))
            }
            // The next ones would fail as this one did.
            Err(error) => return Err(error.into()),
        };
        told.tell(options, &message, outcome, reason.as_deref());
    }
    told.end(options)
}

/// Removes these messages. Ends with 1 if one wasn't there.
async fn discard(options: &Options, messages: Vec<String>) -> Result<u8, Failure> {
    let mirror = options.mirror().await?;
    let mut told = Told::default();
    for message in messages {
        let (outcome, reason) = if mirror.discard_quarantined(&message).await? {
            ("discarded", None)
        } else {
            ("failed", Some("the quarantine holds no entry of this id"))
        };
        told.tell(options, &message, outcome, reason);
    }
    told.end(options)
}

/// The outcome for messages: a line each, or all of them in a list with `--json`.
#[derive(Default)]
struct Told {
    objects: Vec<Value>,
    has_failed: bool,
}

impl Told {
    fn tell(&mut self, options: &Options, message: &str, outcome: &str, reason: Option<&str>) {
        self.has_failed |= reason.is_some();
        if !options.json {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            print(&format!("{message}: {outcome}{reason}"));
        }
        self.objects.push(json!({ "message_id": message, "outcome": outcome, "reason": reason }));
    }

    fn end(self, options: &Options) -> Result<u8, Failure> {
        if options.json {
            show(true, &self.objects, "")?;
        }
        Ok(u8::from(self.has_failed))
    }
}
