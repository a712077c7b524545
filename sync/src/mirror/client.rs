//! Reads of single objects at Clerk: for the just-in-time read, for events as hints, and for replays (rules Y2, Y3, Y7).

use tower_clerk::backend::{BackendError, BackendErrorKind, MembershipQuery};

use super::Mirror;
use super::read_by_id::{ReadById, ReadOutcome};
use crate::error::{MirrorError, MirrorErrorKind};
use crate::kind::Kind;
use crate::time::millis;

/// The ids by which a membership is found: Clerk shows none by its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parents<'a> {
    pub(super) organization_id: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
}

/// Clerk's answer to a read.
pub(super) struct Answered {
    /// When, by Clerk's clock.
    pub(super) read_at: i64,
    /// The object, or `None` where there is none.
    pub(super) json: Option<String>,
}

impl Mirror {
    /// Binds the mirror to the instance of the client's key, once. Another instance's key finds no object of this one, and each
    /// read by id would be a deletion.
    pub(super) async fn check_client(&self) -> Result<(), MirrorError> {
        self.inner
            .checked
            .get_or_try_init(|| async {
                let instance = self.client()?.instance().await?.value;
                self.bind(&instance.id).await
            })
            .await
            .copied()
    }

    fn client(&self) -> Result<&tower_clerk::backend::BackendClient, MirrorError> {
        self.inner
            .client
            .as_ref()
            .ok_or_else(|| MirrorError::setting("the mirror has no client of Clerk's Backend API"))
    }

    /// Asks Clerk for an object. The read must have begun.
    ///
    /// # Errors
    ///
    /// [`MirrorErrorKind::Unfit`] if this object can't be asked for, and [`MirrorErrorKind::Unreadable`] if Clerk refuses to answer
    /// about it, or something between this program and Clerk spoils the answer: the next object may be read all the same.
    pub(super) async fn ask(&self, read: &ReadById, parents: Parents<'_>) -> Result<Answered, MirrorError> {
        self.check_client().await?;
        let answered = match (read.kind, parents) {
            (Kind::User, _) => self.client()?.user(&read.id).await.map(|answer| {
                let json = answer.value.map(|user| user.json.as_str().to_owned());
                Answered { read_at: millis(answer.read_at), json }
            }),
            (Kind::Organization, _) => self.client()?.organization(&read.id).await.map(|answer| {
                let json = answer.value.map(|organization| organization.json.as_str().to_owned());
                Answered { read_at: millis(answer.read_at), json }
            }),
            (Kind::Membership, Parents { organization_id: Some(organization), user_id: Some(user) }) => {
                let query = MembershipQuery::new().user_ids([user]);
                self.client()?.memberships_of(organization, &query).await.map(|page| {
                    let found = page.entries.iter().find(|entry| entry.id == read.id);
                    let json = found.map(|entry| entry.json.as_str().to_owned());
                    Answered { read_at: millis(page.read_at), json }
                })
            }
            (Kind::Membership, _) => {
                return Err(MirrorError::new(
                    MirrorErrorKind::Unfit,
                    "a membership is found by its organization and its user only, and they aren't known",
                ));
            }
        };
        answered.or_else(|error| match error.kind() {
            // The organization is gone, and its memberships with it.
            BackendErrorKind::NotFound => Ok(Answered { read_at: self.now(), json: None }),
            // The client sends no such id.
            BackendErrorKind::Invalid if error.code() == Some("unusable_id") => {
                Err(MirrorError::new(MirrorErrorKind::Unfit, "Clerk has no such ids"))
            }
            BackendErrorKind::Invalid => Err(unreadable("Clerk refuses to answer about the object", &error)),
            BackendErrorKind::Unreadable => {
                Err(unreadable("Clerk's answer about the object can't be read", &error))
            }
            _ => Err(error.into()),
        })
    }

    /// Reads an object and applies the answer.
    pub(super) async fn read(
        &self,
        kind: Kind,
        id: &str,
        parents: Parents<'_>,
    ) -> Result<ReadOutcome, MirrorError> {
        self.check_client().await?;
        let read = self.begin_read(kind, id).await?;
        let Answered { read_at, json } = self.ask(&read, parents).await?;
        self.apply_read(&read, read_at, json.as_deref(), None).await
    }
}

fn unreadable(detail: &str, error: &BackendError) -> MirrorError {
    MirrorError::new(MirrorErrorKind::Unreadable, format!("{detail}: {error}"))
}
