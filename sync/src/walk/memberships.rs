//! The walk over all memberships of an instance.

use serde::{Deserialize, Serialize};
use tower_clerk::backend::{
    BackendClient, BackendError, BackendErrorKind, ListOrder, MembershipData, MembershipQuery, Page,
};

use super::next_organizations;
use super::offset::OffsetWalk;

/// Memberships up to which one list of the whole instance is walked. A large offset gets slower and in the end times out, by
/// Clerk's description of `GET /users`, and memberships have no cursor.
const MOST_BY_OFFSET: u64 = 50_000;

/// A walk over the memberships of an instance, or above [`MOST_BY_OFFSET`] over those of one organization after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MembershipWalk {
    OfInstance(OffsetWalk),
    ByOrganization {
        organizations: OffsetWalk,
        /// The organizations of the page before that are yet to be walked, the next one last.
        waiting: Vec<String>,
        current: Option<(String, OffsetWalk)>,
    },
}

impl Default for MembershipWalk {
    fn default() -> Self {
        Self::OfInstance(OffsetWalk::default())
    }
}

impl MembershipWalk {
    /// The next page, or `None` at the end.
    pub(crate) async fn next(
        &mut self,
        client: &BackendClient,
        limit: u32,
    ) -> Result<Option<(Page<MembershipData>, u64)>, BackendError> {
        self.next_within(client, limit, MOST_BY_OFFSET).await
    }

    async fn next_within(
        &mut self,
        client: &BackendClient,
        limit: u32,
        most_by_offset: u64,
    ) -> Result<Option<(Page<MembershipData>, u64)>, BackendError> {
        if let Self::OfInstance(walk) = self {
            while let Some(offset) = walk.offset() {
                let page = client.memberships(&query(offset, limit)).await?;
                if offset == 0 && page.total_count.is_some_and(|total| total > most_by_offset) {
                    *self = Self::ByOrganization {
                        organizations: OffsetWalk::default(),
                        waiting: Vec::new(),
                        current: None,
                    };
                    return self.next_by_organization(client, limit).await;
                }
                if let Some(new) = walk.step(page.entries.iter().map(|it| &*it.id), page.is_last()) {
                    return Ok(Some((page, new)));
                }
            }
            return Ok(None);
        }
        self.next_by_organization(client, limit).await
    }

    async fn next_by_organization(
        &mut self,
        client: &BackendClient,
        limit: u32,
    ) -> Result<Option<(Page<MembershipData>, u64)>, BackendError> {
        let Self::ByOrganization { organizations, waiting, current } = self else { return Ok(None) };
        loop {
            if let Some((id, walk)) = current
                && let Some(offset) = walk.offset()
            {
                match client.memberships_of(id, &query(offset, limit)).await {
                    Ok(page) => {
                        if let Some(new) = walk.step(page.entries.iter().map(|it| &*it.id), page.is_last()) {
                            return Ok(Some((page, new)));
                        }
                    }
                    // The organization has been deleted, and its memberships with it.
                    Err(error) if error.kind() == BackendErrorKind::NotFound => *current = None,
                    Err(error) => return Err(error),
                }
            } else if let Some(id) = waiting.pop() {
                *current = Some((id, OffsetWalk::default()));
            } else {
                let Some((page, _)) = next_organizations(organizations, client, limit).await? else {
                    return Ok(None);
                };
                waiting.extend(page.entries.into_iter().rev().map(|it| it.id));
                *current = None;
            }
        }
    }
}

fn query(offset: u64, limit: u32) -> MembershipQuery {
    MembershipQuery::new().order_by(ListOrder::OldestFirst).limit(limit).offset(offset)
}
