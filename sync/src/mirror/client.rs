//! Reads of single objects at Clerk: for the just-in-time read, for events as hints, and for replays (rules Y2, Y3, Y7).

use tower_clerk::backend::{MembershipQuery, OrganizationData, UserData};

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

/// What Clerk answered to a read.
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
    pub(super) async fn ask(&self, read: &ReadById, parents: Parents<'_>) -> Result<Answered, MirrorError> {
        self.check_client().await?;
        let client = self.client()?;
        match read.kind {
            Kind::User => {
                let answer = client.user(&read.id).await?;
                Ok(Answered { read_at: millis(answer.read_at), json: answer.value.as_ref().map(of_user) })
            }
            Kind::Organization => {
                let answer = client.organization(&read.id).await?;
                Ok(Answered {
                    read_at: millis(answer.read_at),
                    json: answer.value.as_ref().map(of_organization),
                })
            }
            Kind::Membership => {
                let (Some(organization), Some(user)) = (parents.organization_id, parents.user_id) else {
                    return Err(MirrorError::new(
                        MirrorErrorKind::Unfit,
                        "a membership is found by its organization and its user only, and they aren't known",
                    ));
                };
                let page =
                    client.memberships_of(organization, &MembershipQuery::new().user_ids([user])).await?;
                let found = page.entries.iter().find(|entry| entry.id == read.id);
                Ok(Answered {
                    read_at: millis(page.read_at),
                    json: found.map(|entry| entry.json.as_str().to_owned()),
                })
            }
        }
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

fn of_user(user: &UserData) -> String {
    user.json.as_str().to_owned()
}

fn of_organization(organization: &OrganizationData) -> String {
    organization.json.as_str().to_owned()
}
