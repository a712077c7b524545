//! Walks over Clerk's lists (rule Y5).
//!
//! A walk is a position in a list and nothing else, so that it can be stored between two pages and gone on from.

mod memberships;
mod offset;
mod users;

use serde::{Deserialize, Serialize};
use tower_clerk::backend::{
    BackendClient, BackendError, Json, ListOrder, MembershipData, MembershipQuery, OrganizationData,
    OrganizationQuery, Page, UserData,
};

use self::memberships::MembershipWalk;
use self::offset::OffsetWalk;
use self::users::UserWalk;
use crate::kind::Kind;
use crate::time;

/// The largest page of Clerk's lists.
pub(crate) const LARGEST_PAGE: u32 = 500;

/// A walk over all entries of one kind, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Walk {
    Users(UserWalk),
    Organizations(OffsetWalk),
    Memberships(MembershipWalk),
}

/// A page of any list.
#[derive(Debug)]
pub(crate) struct ListPage {
    /// Clerk's `Date`, in ms.
    pub(crate) read_at: i64,
    pub(crate) entries: Vec<Listed>,
    /// How many of them the walk shows for the first time, as far as it can tell.
    pub(crate) new: u64,
}

/// An entry of a list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// The user and the organization of a membership.
    pub(crate) user_id: Option<String>,
    pub(crate) organization_id: Option<String>,
    pub(crate) json: Json,
}

impl Walk {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::User => Self::Users(UserWalk::default()),
            Kind::Organization => Self::Organizations(OffsetWalk::default()),
            Kind::Membership => Self::Memberships(MembershipWalk::default()),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Users(_) => Kind::User,
            Self::Organizations(_) => Kind::Organization,
            Self::Memberships(_) => Kind::Membership,
        }
    }

    /// The next page, or `None` at the end. A page may show entries of earlier ones again.
    pub(crate) async fn next(
        &mut self,
        client: &BackendClient,
        limit: u32,
    ) -> Result<Option<ListPage>, BackendError> {
        match self {
            Self::Users(walk) => Ok(walk.next(client, limit).await?.map(ListPage::from)),
            Self::Organizations(walk) => {
                Ok(next_organizations(walk, client, limit).await?.map(ListPage::from))
            }
            Self::Memberships(walk) => Ok(walk.next(client, limit).await?.map(ListPage::from)),
        }
    }
}

async fn next_organizations(
    walk: &mut OffsetWalk,
    client: &BackendClient,
    limit: u32,
) -> Result<Option<(Page<OrganizationData>, u64)>, BackendError> {
    while let Some(offset) = walk.offset() {
        let query = OrganizationQuery::new().order_by(ListOrder::OldestFirst).limit(limit).offset(offset);
        let page = client.organizations(&query).await?;
        if let Some(new) = walk.step(page.entries.iter().map(|it| &*it.id), page.is_last()) {
            return Ok(Some((page, new)));
        }
    }
    Ok(None)
}

/// The number of entries that Clerk says it has.
pub(crate) async fn count(client: &BackendClient, kind: Kind) -> Result<u64, BackendError> {
    Ok(match kind {
        Kind::User => client.count_users().await?.value,
        Kind::Organization => {
            let page = client.organizations(&OrganizationQuery::new().limit(1)).await?;
            page.total_count.unwrap_or_default()
        }
        Kind::Membership => {
            client.memberships(&MembershipQuery::new().limit(1)).await?.total_count.unwrap_or_default()
        }
    })
}

impl<T: Into<Listed>> From<(Page<T>, u64)> for ListPage {
    fn from((page, new): (Page<T>, u64)) -> Self {
        let entries = page.entries.into_iter().map(Into::into).collect();
        Self { read_at: time::millis(page.read_at), entries, new }
    }
}

impl From<UserData> for Listed {
    fn from(user: UserData) -> Self {
        Self { id: user.id, user_id: None, organization_id: None, json: user.json }
    }
}

impl From<OrganizationData> for Listed {
    fn from(it: OrganizationData) -> Self {
        Self { id: it.id, user_id: None, organization_id: None, json: it.json }
    }
}

impl From<MembershipData> for Listed {
    fn from(it: MembershipData) -> Self {
        Self { id: it.id, user_id: it.user_id, organization_id: Some(it.organization.id), json: it.json }
    }
}
