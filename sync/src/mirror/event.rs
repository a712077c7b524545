//! How an event is applied (rules Y2, Y3).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Mirror;
use super::apply::{Deletion, Object, Written};
use super::client::{Answered, Parents};
use super::feed::{ChangeCause, ChangeKind, Told};
use super::quarantine::Poison;
use super::read_by_id::ReadOutcome;
use super::write::Write;
use crate::database::statements::Guard;
use crate::error::{MirrorError, MirrorErrorKind};
use crate::kind::Kind;
use crate::raw::raw;
use crate::record::{Record, Unfit};

/// An event, as far as it concerns the mirror.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    /// The id of the message (`msg_…`), the same for all deliveries of it.
    pub(crate) id: &'a str,
    pub(crate) event_type: &'a str,
    /// The envelope's time, in milliseconds.
    pub(crate) at: i64,
    pub(crate) instance: Option<&'a str>,
    /// The whole body.
    pub(crate) json: &'a str,
}

/// The outcome for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Its object isn't mirrored.
    Ignored,
    /// It was applied before.
    Duplicate,
    /// The mirror is as the event says.
    Applied,
    /// The mirror holds a newer state, or a tombstone.
    Outdated,
    Quarantined,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The change that an event asks for.
enum Action {
    Write(Object),
    Delete(Deletion),
}

impl Mirror {
    /// Applies an event in a transaction of its own.
    pub(crate) async fn apply_event(&self, message: Message<'_>) -> Result<Outcome, MirrorError> {
        let Some((kind, change)) = mirrored(message.event_type) else { return Ok(Outcome::Ignored) };
        match self.bind_to(message).await {
            Err(error) if error.kind() == MirrorErrorKind::WrongInstance => {
                let poison = Poison::event(
                    message,
                    Some(kind),
                    Unfit { reason: "it is of another Clerk instance", ..Unfit::default() },
                );
                self.quarantine(&[poison], None).await?;
                return Ok(Outcome::Quarantined);
            }
            other => other?,
        }
        let applied = match self.action(kind, change, message.json) {
            Ok(Action::Write(object)) if self.inner.refetch && kind == Kind::User => {
                self.read_again(message, &object.record.id).await
            }
            Ok(action) => self.apply_action(message, &action).await,
            Err(unfit) => {
                self.quarantine(&[Poison::event(message, Some(kind), unfit)], None).await?;
                return Ok(Outcome::Quarantined);
            }
        };
        match applied {
            Err(error) if error.kind() == MirrorErrorKind::Unfit => {
                let unfit = Unfit { reason: "the database can't store it", ..Unfit::of(data(message.json)) };
                self.quarantine(&[Poison::event(message, Some(kind), unfit)], None).await?;
                Ok(Outcome::Quarantined)
            }
            other => other,
        }
    }

    async fn bind_to(&self, message: Message<'_>) -> Result<(), MirrorError> {
        match message.instance {
            Some(instance) => self.bind(instance).await,
            None => self.instance().map(drop),
        }
    }

    fn action(&self, kind: Kind, change: ChangeKind, json: &str) -> Result<Action, Unfit> {
        let data = data(json);
        let record = Record::read(kind, data);
        if change != ChangeKind::Deleted {
            let raw = if self.inner.keep_raw { raw(data) } else { None };
            return record.map(|record| Action::Write(Object { record, raw }));
        }
        // Events of deleted users and organizations have little more than the id. Those of memberships show the object.
        if let Ok(record) = &record {
            return Ok(Action::Delete(Deletion::of_record(record)));
        }
        match Unfit::of(data) {
            Unfit { id: Some(id), .. } => Ok(Action::Delete(Deletion::of_unknown(kind, &id))),
            unfit => Err(Unfit { reason: "it names no object", ..unfit }),
        }
    }

    async fn apply_action(&self, message: Message<'_>, action: &Action) -> Result<Outcome, MirrorError> {
        let mut write = self.begin().await?;
        if !self.note(&mut write, message).await? {
            return Ok(Outcome::Duplicate);
        }
        let (outcome, told) = match action {
            Action::Write(object) => {
                let objects = std::slice::from_ref(object);
                let written = self.upsert(&mut write, objects, message.at, Guard::NotNewer).await?;
                let written = written.first().copied().unwrap_or(Written::Older);
                let told = written.change().map(|change| Told {
                    kind: object.record.kind,
                    id: object.record.id.clone(),
                    change,
                });
                let is_refused = matches!(written, Written::Older | Written::Deleted);
                (if is_refused { Outcome::Outdated } else { Outcome::Applied }, told)
            }
            Action::Delete(deletion) => {
                if deletion.kind != Kind::Membership {
                    self.lock_parents(&mut write, &[&deletion.id]).await?;
                }
                let (is_new, told) = self.delete(&mut write, deletion, None).await?;
                (if is_new { Outcome::Applied } else { Outcome::Outdated }, told)
            }
        };
        self.tell(&mut write, told.as_slice(), ChangeCause::Event).await?;
        write.commit().await?;
        self.inner.wake.notify_one();
        Ok(outcome)
    }

    /// Reads the user of an event, and applies the answer in its place.
    async fn read_again(&self, message: Message<'_>, user_id: &str) -> Result<Outcome, MirrorError> {
        self.check_client().await?;
        let read = self.begin_read(Kind::User, user_id).await?;
        let Answered { read_at, json } = self.ask(&read, Parents::default()).await?;
        Ok(match self.apply_read_of(message, &read, read_at, json.as_deref()).await? {
            None => Outcome::Duplicate,
            Some(ReadOutcome::Unfit) => Outcome::Quarantined,
            Some(ReadOutcome::Written(Written::Older | Written::Deleted) | ReadOutcome::Moved) => {
                Outcome::Outdated
            }
            Some(ReadOutcome::Written(_) | ReadOutcome::Deleted | ReadOutcome::Lifted) => Outcome::Applied,
        })
    }

    /// Notes that an event is applied, within the transaction that applies it. Returns whether it is the first time.
    ///
    /// Of two deliveries at once, the second one waits here for the first one's transaction.
    pub(super) async fn note(&self, write: &mut Write, message: Message<'_>) -> Result<bool, MirrorError> {
        let noted = sqlx::query(
            "INSERT INTO clerk_mirror_deliveries (instance_id, message_id, noted_at, event_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (instance_id, message_id) DO NOTHING",
        )
        .bind(self.instance()?)
        .bind(message.id)
        .bind(self.now())
        .bind(message.at)
        .execute(write.connection())
        .await?;
        Ok(noted.rows_affected() > 0)
    }
}

/// The kind of object and the change that an event of this type tells, if it is mirrored.
fn mirrored(event_type: &str) -> Option<(Kind, ChangeKind)> {
    let kind = Kind::of_event(event_type)?;
    match event_type.split_once('.')?.1 {
        "created" => Some((kind, ChangeKind::Created)),
        "updated" => Some((kind, ChangeKind::Updated)),
        "deleted" => Some((kind, ChangeKind::Deleted)),
        _ => None,
    }
}

/// The object that an event is about.
fn data(json: &str) -> &str {
    serde_json::from_str::<Envelope<'_>>(json).map_or("null", |envelope| envelope.data.get())
}
