//! Events and entries that can't be applied (rule Y3).

use std::str::FromStr;
use std::time::SystemTime;

use sqlx::Row as _;

use super::Mirror;
use super::apply::Written;
use super::client::Parents;
use super::event::Message;
use super::read_by_id::ReadOutcome;
use super::write::Fence;
use crate::error::{MirrorError, MirrorErrorKind};
use crate::kind::Kind;
use crate::record::Unfit;
use crate::time::time;

/// An event or a list entry that can't be applied, by its ids. Its content isn't kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// The id of the event (`msg_…`), or `list:` with the kind and the id of an object that a list or a read showed.
    pub message_id: String,
    /// The type of the event, or `list`.
    pub event_type: String,
    /// The kind of the object.
    pub kind: Option<Kind>,
    /// The id of the object, where it could be read.
    pub object_id: Option<String>,
    /// The id of a membership's organization, where it could be read.
    pub organization_id: Option<String>,
    /// The id of a membership's user, where it could be read.
    pub user_id: Option<String>,
    /// Why it can't be applied.
    pub reason: String,
    /// When it came first.
    pub first_at: SystemTime,
    /// When it came last.
    pub last_at: SystemTime,
}

/// The outcome of [`Mirror::replay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replay {
    /// The mirror is as Clerk says.
    Applied,
    /// The object is deleted.
    Deleted,
    /// The object still can't be stored.
    Unfit,
    /// Something else has written the object meanwhile. Replay it again.
    Moved,
}

/// An event or entry that is to be quarantined.
pub(super) struct Poison {
    message_id: String,
    event_type: String,
    kind: Option<Kind>,
    unfit: Unfit,
}

impl Poison {
    pub(super) fn event(message: Message<'_>, kind: Option<Kind>, unfit: Unfit) -> Self {
        Self { message_id: message.id.to_owned(), event_type: message.event_type.to_owned(), kind, unfit }
    }

    pub(super) fn entry(kind: Kind, unfit: Unfit) -> Self {
        let id = unfit.id.as_deref().unwrap_or_default();
        Self {
            message_id: format!("list:{kind}:{id}"),
            event_type: "list".to_owned(),
            kind: Some(kind),
            unfit,
        }
    }
}

impl Mirror {
    /// The events and entries that can't be applied, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(Vec::new()) };
        let rows = sqlx::query(
            "SELECT message_id, event_type, kind, object_id, organization_id, user_id, reason, first_at, last_at \
             FROM clerk_mirror_quarantine WHERE instance_id = $1 ORDER BY first_at, message_id",
        )
        .bind(instance)
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::any::AnyRow| -> Result<Quarantined, sqlx::Error> {
            Ok(Quarantined {
                message_id: row.try_get(0)?,
                event_type: row.try_get(1)?,
                kind: row.try_get::<Option<String>, _>(2)?.and_then(|kind| Kind::from_str(&kind).ok()),
                object_id: row.try_get(3)?,
                organization_id: row.try_get(4)?,
                user_id: row.try_get(5)?,
                reason: row.try_get(6)?,
                first_at: time(row.try_get(7)?),
                last_at: time(row.try_get(8)?),
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Removes an entry from the quarantine. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn discard_quarantined(&self, message_id: &str) -> Result<bool, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(false) };
        let mut write = self.begin().await?;
        let removed =
            sqlx::query("DELETE FROM clerk_mirror_quarantine WHERE instance_id = $1 AND message_id = $2")
                .bind(instance)
                .bind(message_id)
                .execute(write.connection())
                .await?;
        write.commit().await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Reads the object of an entry from Clerk, applies the answer, and removes the entry.
    ///
    /// The mirror must have a [client](super::MirrorBuilder::client). An object that still can't be stored stays.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such entry, it names no object, or the database or Clerk's API fails.
    pub async fn replay(&self, message_id: &str) -> Result<Replay, MirrorError> {
        let unfit = |detail| MirrorError::new(MirrorErrorKind::Unfit, detail);
        let entries = self.quarantined().await?;
        let entry = entries.into_iter().find(|entry| entry.message_id == message_id);
        let entry = entry.ok_or_else(|| unfit("the quarantine holds no entry of this id"))?;
        let (Some(kind), Some(id)) = (entry.kind, &entry.object_id) else {
            return Err(unfit("the entry names no object that could be read"));
        };
        let parents =
            Parents { organization_id: entry.organization_id.as_deref(), user_id: entry.user_id.as_deref() };
        let replay = match self.read(kind, id, parents).await? {
            // The read has an entry of its own in the quarantine now.
            ReadOutcome::Unfit => return Ok(Replay::Unfit),
            ReadOutcome::Moved => return Ok(Replay::Moved),
            ReadOutcome::Deleted | ReadOutcome::Written(Written::Deleted) => Replay::Deleted,
            ReadOutcome::Written(_) | ReadOutcome::Lifted => Replay::Applied,
        };
        self.discard_quarantined(message_id).await?;
        self.discard_quarantined(&format!("list:{kind}:{id}")).await?;
        Ok(replay)
    }

    /// Quarantines events or list entries. An event's id isn't noted: it may come again, to a newer version of the program.
    pub(super) async fn quarantine(
        &self,
        poison: &[Poison],
        fence: Option<&Fence>,
    ) -> Result<(), MirrorError> {
        if poison.is_empty() {
            return Ok(());
        }
        let mut write = self.begin_fenced(fence).await?;
        for Poison { message_id, event_type, kind, unfit } in poison {
            let reason = unfit.reason;
            tracing::warn!(
                target: "tower_clerk_sync",
                message_id, event_type, object_id = unfit.id.as_deref(), reason,
                "quarantined what can't be applied to the mirror"
            );
            sqlx::query(
                "INSERT INTO clerk_mirror_quarantine (instance_id, message_id, event_type, kind, object_id, organization_id, \
                 user_id, reason, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) \
                 ON CONFLICT (instance_id, message_id) DO UPDATE SET reason = excluded.reason, last_at = excluded.last_at",
            )
            .bind(self.instance()?)
            .bind(message_id)
            .bind(event_type)
            .bind(kind.map(Kind::name))
            .bind(unfit.id.as_ref())
            .bind(unfit.organization_id.as_ref())
            .bind(unfit.user_id.as_ref())
            .bind(reason)
            .bind(self.now())
            .execute(write.connection())
            .await?;
        }
        write.commit().await
    }
}
