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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use tower_clerk::testing::{Endpoint, FakeClerk, FakeOrganization, FakeUser};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn y5_many_memberships_are_listed_by_organization() {
        let fake = FakeClerk::builder().empty().no_rate_limit().build();
        let client = BackendClient::builder(fake.secret_key())
            .backend_url(fake.backend_url())
            .transport(fake.clone())
            .list_rate(80, Duration::from_secs(1))
            .build()
            .unwrap();
        let slugs: Vec<String> = (0..7).map(|number| format!("organization{number}")).collect();
        for slug in &slugs {
            fake.add_organization(FakeOrganization::new(slug));
        }
        for number in 0..12 {
            let user = fake.add_user(FakeUser::new(format!("user{number}@example.com")));
            slugs.iter().take(number).for_each(|slug| fake.add_member(&user, slug, "org:member"));
        }
        // One of them is deleted between the list of organizations and its own.
        let gone = fake.organization_id(&slugs[2]).unwrap();
        fake.after_answer(Endpoint::Organizations, 1, move |fake| fake.delete_organization(&gone));
        let (mut walk, mut seen) = (MembershipWalk::default(), BTreeSet::new());
        while let Some((page, _)) = walk.next_within(&client, 4, 20).await.unwrap() {
            seen.extend(page.entries.into_iter().map(|it| it.id));
            // The position can be stored between two pages.
            walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
        }
        assert!(fake.count(Endpoint::OrganizationMembers) > slugs.len());
        let page = client.memberships(&query(0, 500)).await.unwrap();
        let all: BTreeSet<String> = page.entries.into_iter().map(|it| it.id).collect();
        assert_eq!(seen, all);
        assert!(all.len() > 40, "{}", all.len());
    }
}
