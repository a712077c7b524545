//! Confirms that rows are no longer at Clerk, by asking for them by id (rule Y6).
//!
//! A list may leave out an entry that is there, so a scan alone says nothing about deletions. A question by ids can be
//! answered wrongly, too: by a default limit, a cache, an outage half-way. Each one therefore contains an entry that is known to
//! be there, and it is the newest one of all. In an order from the oldest to the newest it is the last of a right answer, so
//! whatever cuts an answer short takes it away first.

use std::collections::{BTreeMap, HashSet};

use tower_clerk::backend::{
    BackendClient, BackendErrorKind, ListOrder, MembershipQuery, OrganizationQuery, UserQuery,
};

use super::abort::{Abort, Stop};
use crate::kind::Kind;

/// Ids that are asked for together with one that is known to be there. Clerk takes 100.
const CHUNK: usize = 99;

/// Entries that are looked up as known to be there: if the newest one is deleted meanwhile, the next one serves.
const KNOWN: u32 = 8;

/// A row of the mirror that the scan hasn't shown.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    pub(crate) revision: i64,
    /// Of a membership; otherwise empty.
    pub(crate) organization_id: String,
    pub(crate) user_id: String,
}

impl Candidate {
    /// An object that the mirror has no row of.
    pub(super) fn stranger(id: &str) -> Self {
        Self { id: id.to_owned(), revision: 0, organization_id: String::new(), user_id: String::new() }
    }
}

/// Rows that may not be at Clerk any more.
#[derive(Debug)]
pub(super) struct Candidates {
    pub(super) kind: Kind,
    pub(super) rows: Vec<Candidate>,
}

/// The answer to one question.
struct Found {
    ids: HashSet<String>,
    /// The ids by which the entries were asked for: their own, or those of the users of memberships.
    keys: Vec<String>,
    total: Option<u64>,
}

impl Candidates {
    /// Keeps the rows that Clerk says it doesn't have. `gone` are organizations that are known to be gone.
    pub(super) async fn confirm(
        &mut self,
        client: &BackendClient,
        gone: &HashSet<String>,
    ) -> Result<(), Stop> {
        let mut groups = BTreeMap::<String, Vec<Candidate>>::new();
        for row in std::mem::take(&mut self.rows) {
            groups.entry(row.organization_id.clone()).or_default().push(row);
        }
        for (organization, rows) in groups {
            if gone.contains(&organization) {
                self.rows.extend(rows);
                continue;
            }
            let Some(known) = self.known(client, &organization).await? else { continue };
            for chunk in rows.chunks(CHUNK) {
                if let Some(found) = self.ask(client, &organization, &known, chunk).await? {
                    self.rows.extend(chunk.iter().filter(|row| !found.contains(&row.id)).cloned());
                }
            }
        }
        Ok(())
    }

    /// The newest entries that Clerk has. `None` if the organization isn't there.
    ///
    /// They come by a question of their own and not from the scan, which may have been cut short.
    async fn known(&self, client: &BackendClient, organization: &str) -> Result<Option<Vec<String>>, Stop> {
        let (known, total): (Vec<String>, u64) = match self.kind {
            Kind::User => {
                let page = client.users(&UserQuery::new().limit(KNOWN)).await?;
                let total = if page.entries.is_empty() { client.count_users().await?.value } else { 0 };
                (page.entries.into_iter().map(|it| it.id).collect(), total)
            }
            Kind::Organization => {
                let page = client.organizations(&OrganizationQuery::new().limit(KNOWN)).await?;
                (page.entries.into_iter().map(|it| it.id).collect(), page.total_count.unwrap_or_default())
            }
            Kind::Membership => {
                let query = MembershipQuery::new().order_by(ListOrder::NewestFirst).limit(KNOWN);
                let page = match client.memberships_of(organization, &query).await {
                    Ok(page) => page,
                    Err(error) if error.kind() == BackendErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let total = page.total_count.unwrap_or_default();
                (page.entries.into_iter().filter_map(|it| it.user_id).collect(), total)
            }
        };
        if known.is_empty() && total > 0 {
            return Err(self.void("it is empty, while Clerk counts some").into());
        }
        Ok(Some(known))
    }

    /// Asks for a chunk, and returns the ids that Clerk has. `None` if the organization isn't there.
    async fn ask(
        &self,
        client: &BackendClient,
        organization: &str,
        known: &[String],
        chunk: &[Candidate],
    ) -> Result<Option<HashSet<String>>, Stop> {
        let wanted =
            chunk.iter().map(|row| if self.kind == Kind::Membership { &*row.user_id } else { &*row.id });
        let wanted: HashSet<&str> = wanted.collect();
        for known in known.iter().map(|known| Some(&**known)).chain([None]) {
            let known_too = known.filter(|known| !wanted.contains(known));
            let keys: Vec<&str> = wanted.iter().copied().chain(known_too).collect();
            let Some(found) = find(client, self.kind, organization, &keys).await? else { return Ok(None) };
            self.check(&found, &keys)?;
            match known {
                Some(known) if found.keys.last().is_some_and(|key| key == known) => {
                    return Ok(Some(found.ids));
                }
                Some(known) if found.keys.iter().any(|key| key == known) => {
                    return Err(self.void("its newest entry isn't the last one").into());
                }
                // It may have been deleted since it was shown, which a question of its own tells.
                Some(known) if self.is_there(client, organization, known).await? => {
                    return Err(self.void("it lacks an entry that is there").into());
                }
                Some(_) => {}
                // Nothing is known to be there, so there must be nothing at all.
                None if found.keys.is_empty() && self.is_empty(client, organization).await? => {
                    return Ok(Some(found.ids));
                }
                None => return Err(self.void("all entries that it should have are gone").into()),
            }
        }
        Ok(None)
    }

    fn check(&self, found: &Found, keys: &[&str]) -> Result<(), Abort> {
        if found.keys.iter().any(|key| !keys.contains(&&**key)) {
            return Err(self.void("it has entries that weren't asked for"));
        }
        let shown = u64::try_from(found.keys.len()).unwrap_or(u64::MAX);
        if found.total.is_some_and(|total| total != shown) {
            return Err(self.void("it doesn't have as many entries as it says"));
        }
        Ok(())
    }

    async fn is_there(&self, client: &BackendClient, organization: &str, key: &str) -> Result<bool, Stop> {
        Ok(match self.kind {
            Kind::User => client.user(key).await?.value.is_some(),
            Kind::Organization => client.organization(key).await?.value.is_some(),
            Kind::Membership => {
                let found = find(client, self.kind, organization, &[key]).await?;
                found.is_some_and(|found| !found.keys.is_empty())
            }
        })
    }

    async fn is_empty(&self, client: &BackendClient, organization: &str) -> Result<bool, Stop> {
        Ok(self.known(client, organization).await?.is_none_or(|known| known.is_empty()))
    }

    fn void(&self, reason: &'static str) -> Abort {
        Abort::Void { kind: self.kind, reason }
    }
}

/// Asks Clerk for entries by id, or for the memberships that users have in an organization. `None` if the organization isn't
/// there.
async fn find(
    client: &BackendClient,
    kind: Kind,
    organization: &str,
    keys: &[&str],
) -> Result<Option<Found>, Stop> {
    let keys = keys.iter().copied();
    Ok(Some(match kind {
        Kind::User => {
            let query = UserQuery::new().order_by(ListOrder::OldestFirst).limit(100).ids(keys);
            let page = client.users(&query).await?;
            Found::new(page.entries.into_iter().map(|it| (it.id.clone(), it.id)), None)
        }
        Kind::Organization => {
            let query = OrganizationQuery::new().order_by(ListOrder::OldestFirst).limit(100).ids(keys);
            let page = client.organizations(&query).await?;
            Found::new(page.entries.into_iter().map(|it| (it.id.clone(), it.id)), page.total_count)
        }
        Kind::Membership => {
            let query = MembershipQuery::new().order_by(ListOrder::OldestFirst).limit(100).user_ids(keys);
            let page = match client.memberships_of(organization, &query).await {
                Ok(page) => page,
                Err(error) if error.kind() == BackendErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let entries = page.entries.into_iter().map(|it| (it.id, it.user_id.unwrap_or_default()));
            Found::new(entries, page.total_count)
        }
    }))
}

impl Found {
    fn new(entries: impl Iterator<Item = (String, String)>, total: Option<u64>) -> Self {
        let (ids, keys) = entries.unzip();
        Self { ids, keys, total }
    }
}
